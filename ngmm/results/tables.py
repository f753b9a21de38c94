"""The tables of a fitted model: which columns they print, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ngmm.results.columns import (
    Column,
    Count,
    FirstOf,
    Fixed,
    Interval,
    Label,
    Number,
    Percent,
    PValue,
    Size,
    Text,
    floats,
)
from ngmm.results.formatting import percent
from ngmm.results.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ngmm.neural.record import FittedNetworks

    _Row = dict[str, Any]

_TESTS = {
    "satterthwaite": "t tests with Satterthwaite degrees of freedom",
    "kenward-roger": "t tests with Kenward-Roger degrees of freedom",
    "none": "z tests (normal approximation)",
}


_LATENT = "v is standard normal by definition; loadings() says what it does"

_VARIANCES = {
    "negative_binomial": "Var(y) = mu + mu^2 / size",
    "gamma": "Var(y) = phi mu^2",
    "inverse_gaussian": "Var(y) = phi mu^3",
    "beta": "Var(y) = mu (1 - mu) / (1 + phi)",
    "betabinomial": "Var(y) = n p (1 - p) (phi + n) / (phi + 1) for n trials",
}


def method_caption(df_method: str, networks: FittedNetworks | None = None) -> str:
    """How the coefficients were tested, in words.

    Parameters
    ----------
    df_method
        How the degrees of freedom were found.
    networks
        The networks beside the coefficients, if any.

    Examples
    --------
    >>> method_caption("satterthwaite")
    't tests with Satterthwaite degrees of freedom'
    """
    text = _TESTS.get(df_method, f"t tests with {df_method} degrees of freedom")
    if networks is None:
        return text
    if networks.has_covariance:
        return f"{text}; standard errors allow for the networks"
    return f"{text}; standard errors take the networks as known"


def coef_table(frame: pd.DataFrame, caption: str = "", *, level: float = 0.95) -> Table:
    """The table of fixed effects.

    Parameters
    ----------
    frame
        Index: names of the coefficients. Columns: estimate, std_error, df, statistic,
        p_value, conf_low, conf_high. The statistic is called t if any df is finite, and
        z otherwise.
    caption
        How the coefficients were tested, see `method_caption`.
    level
        Confidence level of the intervals.
    """
    estimate = ("estimate", "std_error")
    has_df = bool(np.isfinite(floats(frame, "df")).any())
    columns: list[Column] = [
        Label(),
        Number("estimate", "estimate", *estimate),
        Number("std_error", "se", *estimate),
        *([Number("df", "df", decimals=1)] if has_df else []),
        Number("statistic", "t" if has_df else "z", decimals=2),
        PValue("p_value"),
        Interval(
            "conf_low", "conf_high", "estimate", f"{percent(level)} CI", "std_error"
        ),
    ]
    return Table(frame.copy(), caption, tuple(columns), "Fixed effects")


def brief_coef_table(frame: pd.DataFrame) -> Table:
    """Estimates and standard errors only, from the same frame as `coef_table`."""
    estimate = ("estimate", "std_error")
    columns = (
        Label(),
        Number("estimate", "estimate", *estimate),
        Number("std_error", "se", *estimate),
    )
    return Table(frame.copy(), columns=columns, title="Fixed effects")


def varcorr_table(
    frame: pd.DataFrame, caption: str = "", *, level: float = 0.95
) -> Table:
    """The table of variances, standard deviations and correlations, one a row.

    Parameters
    ----------
    frame
        Columns: group, name, name2, variance, sd, corr, conf_low, conf_high. A row
        without name2 is about a standard deviation, one with it about the correlation
        of name and name2; the interval is for the sd or the correlation. A column
        dispersion, where there is one, holds that parameter in a row of its own.
    caption
        Printed below the table.
    level
        Confidence level of the intervals.
    """
    header = f"{percent(level)} CI"
    interval: Column = FirstOf(
        _sd_interval("conf_low", "conf_high", header), _corr_interval(header)
    )
    dispersion: list[Column] = []
    if "dispersion" in frame:
        dispersion = [Number("dispersion", "dispersion", missing="")]
        interval = FirstOf(_dispersion_interval(header), interval)
    if "fixed" in frame:
        interval = FirstOf(Fixed("fixed", header), interval)
        caption = caption or _LATENT
    columns = (
        Label("group", "group", once=True),
        Label("name", "name"),
        Label("name2", "with"),
        Number("variance", "variance", exact_zero=True, missing=""),
        Number("sd", "sd", exact_zero=True, missing=""),
        Number("corr", "corr", decimals=2, missing=""),
        *dispersion,
        interval,
    )
    return Table(frame.copy(), caption, columns, "Random effects")


def random_effects_table(
    frame: pd.DataFrame, *, level: float = 0.95, intervals: bool = True
) -> Table:
    """The summary's view of `varcorr_table`: an effect a row, correlations beside it.

    Effects that are correlated in pairs show the correlation, and its interval, beside
    the second of them. Longer terms show the lower triangle of their correlations.

    Parameters
    ----------
    frame
        As for `varcorr_table`.
    level
        Confidence level of the intervals.
    intervals
        Whether to show intervals at all.
    """
    if "dispersion" in frame:
        frame = frame.loc[frame["dispersion"].isna()]
    wide = _one_row_per_effect(frame)
    if "fixed" in frame:
        # Neural random effects have no correlations, and no others stand beside them.
        wide["fixed"] = list(frame["fixed"])
    n_corr = sum(str(name).startswith("corr_with_") for name in wide.columns)
    header = f"{percent(level)} CI"
    columns: list[Column] = [
        Label("group", once=True),
        Label("name"),
        Number("sd", "sd", exact_zero=True),
    ]
    if intervals:
        interval: Column = _sd_interval("conf_low", "conf_high", header)
        if "fixed" in wide:
            interval = FirstOf(Fixed("fixed", header), interval)
        columns.append(interval)
    columns += [
        Number(f"corr_with_{j}", "corr" if j == 1 else "", decimals=2, missing="")
        for j in range(1, n_corr + 1)
    ]
    if intervals and n_corr == 1:
        columns.append(_corr_interval(header, "corr_low", "corr_high", "corr_with_1"))
    caption = (
        "corr: with the effects above, in order; intervals in varcorr()"
        if n_corr > 1 and intervals
        else ""
    )
    if "fixed" in wide and intervals:
        caption = _LATENT
    return Table(wide, caption, tuple(columns), "Random effects")


def dispersion_table(
    frame: pd.DataFrame, family: str, *, level: float = 0.95, intervals: bool = True
) -> Table:
    """The summary's view of the dispersion parameter, without rows if there is none.

    Parameters
    ----------
    frame
        As for `varcorr_table`.
    family
        Name of the response distribution, for how the parameter enters the variance.
    level
        Confidence level of the interval.
    intervals
        Whether to show the interval and the variance.
    """
    rows = (
        frame["dispersion"].notna() if "dispersion" in frame else [False] * len(frame)
    )
    header = f"{percent(level)} CI"
    columns: list[Column] = [Label("name"), Number("dispersion", "estimate")]
    if intervals:
        columns.append(_dispersion_interval(header))
    caption = _VARIANCES.get(family, "") if intervals else ""
    return Table(frame.loc[rows], caption, tuple(columns), "Dispersion")


def network_table(frame: pd.DataFrame, caption: str = "") -> Table:
    """The table of network terms.

    Parameters
    ----------
    frame
        Index: labels of the terms. Columns: layout, weights, edf, penalty, sd, linear,
        spread.
    caption
        Printed below the table.
    """
    columns: list[Column] = [
        Label(),
        Text("layout", "layout"),
        Count("weights", "weights"),
        Number("edf", "edf", decimals=1),
        Size("penalty", "penalty"),
        Number("sd", "sd(f)"),
        Percent("linear", "linear"),
    ]
    if np.isfinite(floats(frame, "spread")).any():
        columns.append(Percent("spread", "spread"))
    return Table(frame.copy(), caption, tuple(columns), "Network terms")


def brief_network_table(frame: pd.DataFrame) -> Table:
    """The summary's view of `network_table`."""
    columns = (
        Label(),
        Text("layout", "layout"),
        Number("edf", "edf", decimals=1),
        Number("sd", "sd(f)"),
        Percent("linear", "linear"),
    )
    return Table(frame.copy(), columns=columns, title="Network terms")


def _dispersion_interval(header: str) -> Interval:
    return Interval("conf_low", "conf_high", "dispersion", header)


def _sd_interval(low: str, high: str, header: str) -> Interval:
    return Interval(low, high, "sd", header, edges=(0.0,))


def _corr_interval(
    header: str, low: str = "conf_low", high: str = "conf_high", corr: str = "corr"
) -> Interval:
    return Interval(low, high, corr, header, decimals=2, edges=(-1.0, 1.0))


def _one_row_per_effect(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows: the sds of ``frame``. corr_with_j: with the j-th effect of the same term.

    The bounds corr_low and corr_high belong to the correlation with the first effect.
    """
    rows = [row for group in _groups(frame) for row in _effects(group)]
    columns = ["group", "name", "sd", "conf_low", "conf_high", "corr_low", "corr_high"]
    n_corr = max((len(row) - len(columns) for row in rows), default=0)
    columns += [f"corr_with_{j}" for j in range(1, n_corr + 1)]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def _groups(frame: pd.DataFrame) -> list[list[_Row]]:
    """The rows of each grouping factor, in order of appearance."""
    names = [str(name) for name in frame.columns]
    groups: dict[object, list[_Row]] = {}
    for values in frame.itertuples(index=False, name=None):
        row = dict(zip(names, values, strict=True))
        groups.setdefault(row["group"], []).append(row)
    return list(groups.values())


def _effects(group: list[_Row]) -> Iterator[_Row]:
    """The effects of one grouping factor with their correlations.

    A factor can have several terms, such as (1 + x | g) + (0 + z | g): an effect
    without a correlation with the ones above it begins a new term.
    """
    pairs = {
        frozenset((row["name"], row["name2"])): row
        for row in group
        if not pd.isna(row["name2"])
    }
    term: list[object] = []
    for row in (row for row in group if pd.isna(row["name2"])):
        found = [pairs.get(frozenset((row["name"], other))) for other in term]
        if not any(found):
            term, found = [], []
        term.append(row["name"])
        first = (found[0] if found else None) or {}
        yield {
            **{key: row[key] for key in ("group", "name", "sd")},
            **{key: row[key] for key in ("conf_low", "conf_high")},
            "corr_low": first.get("conf_low", np.nan),
            "corr_high": first.get("conf_high", np.nan),
            **{
                f"corr_with_{j}": pair["corr"] if pair else np.nan
                for j, pair in enumerate(found, start=1)
            },
        }
