"""Estimates of effects as tables: intervals, tests, degrees of freedom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.effects.linearised import Linearised
from ngmm.effects.population import Population
from ngmm.inference.gaussian import GaussianAnalysis, contrast_basis
from ngmm.inference.quantiles import critical
from ngmm.inference.wald.multiplicity import adjusted, adjusted_critical
from ngmm.inference.wald.satterthwaite import satterthwaite
from ngmm.results import Table
from ngmm.results.columns import Align, Column, Interval, Number, PValue, floats
from ngmm.results.formatting import percent, significant

Vector = NDArray[np.float64]

# A standard error below this share of the estimate is a rounding error.
KNOWN = 1e-12


@dataclass(frozen=True)
class Family:
    """Comparisons that are adjusted together.

    Attributes
    ----------
    rows
        Their rows.
    n_means
        Number of means compared.
    """

    rows: slice
    n_means: int


def degrees_of_freedom(population: Population, found: Linearised) -> Vector:
    """Satterthwaite's for linear functions of a Gaussian fit; infinite otherwise."""
    fit, analysis = population.fit, population.fit._analysis
    out = np.full(len(found.estimate), np.inf)
    is_t = isinstance(analysis, GaussianAnalysis) and fit.df_method != "none"
    if not is_t or found.modes is not None or not population.is_linear:
        return out
    assert isinstance(analysis, GaussianAnalysis)
    L = found.of_beta
    moving = np.flatnonzero(np.abs(L).max(axis=1, initial=0.0) > 0)
    basis = contrast_basis(fit.model)
    profile = analysis.estimate.profile
    out[moving] = satterthwaite(
        L[moving] @ basis, profile, fit.model.problem.n_residual
    )
    return out


def estimate_columns(
    population: Population, found: Linearised, level: float
) -> dict[str, Vector]:
    """Estimate, std_error, df and limits of means.

    Limits on the scale of the response are carried over from that of the link.
    """
    se = _errors(found)
    df = degrees_of_freedom(population, found)
    margin = critical(level, df)
    low, high = found.estimate - margin * se, found.estimate + margin * se
    if not population.is_linear:
        low, high = _through_link(population, found.estimate, se, margin)
    return {
        "estimate": found.estimate,
        "std_error": se,
        "df": df,
        "conf_low": low,
        "conf_high": high,
    }


def _through_link(
    population: Population, mean: Vector, se: Vector, margin: Vector
) -> tuple[Vector, Vector]:
    from ngmm.inference.marginal.mean import link_mean, link_slope
    from ngmm.results.response import within

    link = population.link
    eta = np.asarray(link.link(mean), dtype=np.float64)
    half = margin * se / np.abs(link_slope(link, eta))
    ends = [link_mean(link, within(link, eta + sign * half)) for sign in (-1.0, 1.0)]
    return np.minimum(*ends), np.maximum(*ends)


def difference_columns(
    population: Population,
    found: Linearised,
    level: float,
    adjust: str = "none",
    families: Sequence[Family] = (),
) -> dict[str, Vector]:
    """Estimate, std_error, df, statistic, p_value and limits of differences."""
    n = len(found.estimate)
    se = _errors(found)
    df = degrees_of_freedom(population, found)
    statistic = np.full(n, np.nan)
    np.divide(found.estimate, se, out=statistic, where=se > 0)
    p, margin = np.full(n, np.nan), np.full(n, np.nan)
    for family in families or (Family(slice(0, n), 2),):
        rows = np.arange(n)[family.rows]
        known = rows[np.isfinite(statistic[rows])]
        if len(known):
            p[known] = adjusted(statistic[known], df[known], adjust, family.n_means)
        margin[rows] = adjusted_critical(level, df[rows], adjust, family.n_means)
    return {
        "estimate": found.estimate,
        "std_error": se,
        "df": df,
        "statistic": statistic,
        "p_value": p,
        "conf_low": found.estimate - margin * se,
        "conf_high": found.estimate + margin * se,
    }


def _errors(found: Linearised) -> Vector:
    # A variance of zero can come out as a rounding error below it.
    variance = found.variance()
    se = np.sqrt(np.where(np.isnan(variance), np.nan, np.maximum(variance, 0.0)))
    return np.where(se <= KNOWN * np.abs(found.estimate), 0.0, se)


def effect_table(
    labels: pd.DataFrame,
    numbers: dict[str, Vector],
    level: float,
    caption: str,
) -> Table:
    """A table of labels and numbers.

    Parameters
    ----------
    labels
        Columns that say what each row is.
    numbers
        Columns as `estimate_columns` and `difference_columns` give them.
    level
        Level of the intervals.
    caption
        What the numbers are.
    """
    frame = pd.concat([labels.reset_index(drop=True), pd.DataFrame(numbers)], axis=1)
    scale = ("estimate", "std_error")
    has_df = bool(np.isfinite(floats(frame, "df")).any())
    columns: list[Column] = [Cells(str(name), str(name)) for name in labels.columns]
    columns.append(Number("estimate", "estimate", *scale))
    columns.append(Number("std_error", "se", *scale))
    if has_df:
        columns.append(Number("df", "df", decimals=1))
    if "statistic" in numbers:
        columns.append(Number("statistic", "t" if has_df else "z", decimals=2))
        columns.append(PValue("p_value"))
        if bool(frame["statistic"].isna().any()):
            caption += "; a difference that is zero by design has no test"
    header = f"{percent(level)} CI"
    columns.append(Interval("conf_low", "conf_high", "estimate", header, "std_error"))
    return Table(frame, caption, tuple(columns))


@dataclass(frozen=True)
class Cells:
    """Levels or numbers that say what a row is."""

    name: str
    header: str
    align: Align = "left"
    labels_rows: bool = True

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The values, numbers with as many digits as they need."""
        return [value_text(value) for value in frame[self.name]]


def value_text(value: Any) -> str:
    """A level, or a number with four significant digits."""
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}" if abs(value) < 1e4 else significant(float(value))
    return str(value)


def method_text(population: Population, numbers: dict[str, Vector]) -> str:
    """How errors and tests were found, in words."""
    if np.isfinite(numbers["df"]).any():
        return "Satterthwaite degrees of freedom"
    text = "normal approximation"
    if not population.is_linear:
        text = f"delta method, {text}"
    networks = population.fit.networks
    if networks is not None:
        known = networks.has_covariance
        text += "; errors allow for the networks" if known else "; networks as known"
    return text


def scale_text(population: Population) -> str:
    """What the numbers are, in words."""
    link = population.link.name
    if link == "identity":
        what = "of the response"
    elif population.scale == "link":
        what = f"of the linear predictor ({link})"
    else:
        what = "of the mean response"
    # What is linear has the same mean over the random effects as where they are zero.
    if not population.fit.design.random or (
        population.is_linear and population.re == "marginal"
    ):
        return what
    how = {
        "none": "random effects zero",
        "marginal": "averaged over the random effects",
        "all": "at the modes of the random effects",
    }[population.re]
    return f"{what}, {how}"
