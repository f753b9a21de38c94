"""Models without random effects as the smaller one of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import Design, build_design
from ngmm.errors import DataError, OptionError
from ngmm.estimation.glm import GlmStart, fit_glm
from ngmm.estimation.status import Status
from ngmm.families import Family
from ngmm.formula import ModelFormula, parse
from ngmm.results import MixedModelFit
from ngmm.results.response import draw

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

BINARY = ("bernoulli", "binomial")


@dataclass(frozen=True, eq=False)
class LinearBase:
    """A (generalized) linear model, fitted to the rows of a mixed model.

    Attributes
    ----------
    terms
        The parsed formula.
    design
        Its arrays.
    family
        Response distribution.
    reml
        Whether `loglik` is the restricted log-likelihood.
    beta
        (p,) coefficients.
    dispersion
        Residual variance of a Gaussian model, phi of a family that has one, else 1.
    loglik
        Log-likelihood with all constants.
    status
        How the search for the maximum ended.
    """

    terms: ModelFormula
    design: Design
    family: Family
    reml: bool
    beta: Vector
    dispersion: float
    loglik: float
    status: Status

    @property
    def formula(self) -> str:
        """The formula as it was written."""
        return " ".join(self.terms.text.split())

    @property
    def df_model(self) -> int:
        """Number of parameters."""
        scale = self.family.has_residual or self.family.dispersion is not None
        return len(self.beta) + int(scale)

    @property
    def aic(self) -> float:
        """-2 loglik + 2 df_model."""
        return -2.0 * self.loglik + 2.0 * self.df_model

    @property
    def converged(self) -> bool:
        """Whether the search ended at a maximum."""
        return self.status is Status.CONVERGED

    def simulate(self, n: int, seed: int) -> pd.DataFrame:
        """Responses drawn from the model, a column each."""
        d = self.design
        eta = np.repeat((d.X @ self.beta + d.offset)[:, None], n, axis=1)
        values = draw(self.family, d, eta, self.dispersion, np.random.default_rng(seed))
        return pd.DataFrame(values, index=d.index)

    def logliks(self, Y: Matrix) -> tuple[Vector, NDArray[np.int64]]:
        """Log-likelihoods of refits to the rows of Y (B, n), and how they ended."""
        if self.family.has_residual:
            found = _gaussian_logliks(self.design, Y, reml=self.reml)
            return found, np.full(len(Y), int(Status.CONVERGED))
        fits = [_glm(replace(self.design, y=y), self.family) for y in Y]
        status = np.array([int(f.status) for f in fits])
        return np.array([f.loglik for f in fits]), status


def base_model(formula: str, like: MixedModelFit, *, reml: bool) -> LinearBase:
    """Fit a formula without random effects to the rows of a fitted mixed model.

    Parameters
    ----------
    formula
        Such as ``"y ~ x"``.
    like
        The fit whose data, family, weights, trials, offset and contrasts are used.
    reml
        Whether to give the restricted log-likelihood (Gaussian models).

    Raises
    ------
    DataError
        If a column is missing in rows that `like` uses.
    OptionError
        If the formula has networks.
    """
    terms = parse(formula)
    if terms.networks:
        raise OptionError(
            f"{formula!r} has a network and no random effect; a model given as a "
            "formula is a linear one"
        )
    family = like.model.family
    arguments: Mapping[str, Any] = like.call.arguments
    names = ("weights", "offset", "trials", "contrasts", "na_action")
    given = {k: arguments[k] for k in names if arguments.get(k) is not None}
    if "contrasts" in given:
        used = str(terms)
        given["contrasts"] = {k: v for k, v in given["contrasts"].items() if k in used}
    design, _ = build_design(
        terms, like.call.data, binary_response=family.name in BINARY, **given
    )
    design = _rows_of(design, like.design, formula)
    return fitted_base(terms, design, family, reml=reml)


def fitted_base(
    terms: ModelFormula, design: Design, family: Family, *, reml: bool
) -> LinearBase:
    """Fit a design without random effects."""
    if not family.has_residual:
        found = _glm(design, family)
        phi = 1.0 if found.log_phi is None else float(np.exp(found.log_phi))
        return LinearBase(
            terms, design, family, False, found.beta, phi, found.loglik, found.status
        )
    loglik = float(_gaussian_logliks(design, design.y[None], reml=reml)[0])
    root = np.sqrt(design.weights)
    beta, *_ = np.linalg.lstsq(
        design.X * root[:, None], (design.y - design.offset) * root
    )
    left = root * (design.y - design.offset - design.X @ beta)
    count = len(left) - (len(beta) if reml else 0)
    return LinearBase(
        terms=terms,
        design=design,
        family=family,
        reml=reml,
        beta=np.asarray(beta, dtype=np.float64),
        dispersion=float(left @ left / count),
        loglik=loglik,
        status=Status.CONVERGED,
    )


def _glm(d: Design, family: Family) -> GlmStart:
    return fit_glm(d.X, d.y, family, d.offset, d.weights, d.trials, max_steps=100)


def _gaussian_logliks(design: Design, Y: Matrix, *, reml: bool) -> Vector:
    """Maximal log-likelihoods of responses, with all constants."""
    root = np.sqrt(design.weights)
    q, triangle = np.linalg.qr(design.X * root[:, None])
    y = (Y - design.offset) * root
    left = y - (y @ q) @ q.T
    rss = (left * left).sum(axis=1)
    n, p = design.X.shape
    m = n - p if reml else n
    constant = -np.log(design.weights).sum()
    if reml:
        constant += 2.0 * np.log(np.abs(np.diag(triangle))).sum()
    return -0.5 * (m * (np.log(2.0 * np.pi * rss / m) + 1.0) + constant)


def _rows_of(design: Design, like: Design, formula: str) -> Design:
    """The design on the rows that another one uses."""
    lacking = np.setdiff1d(like.rows, design.rows)
    if len(lacking):
        where = np.isin(like.rows, lacking)
        labels = ", ".join(map(str, like.index[where][:5]))
        raise DataError(
            f"{formula!r} reads columns that are missing in {len(lacking)} rows of the "
            f"mixed model ({labels}{', ...' if len(lacking) > 5 else ''}); leave those "
            "rows out of the data of both"
        )
    keep = np.searchsorted(design.rows, like.rows)
    return replace(
        design,
        y=design.y[keep],
        X=np.ascontiguousarray(design.X[keep]),
        offset=design.offset[keep],
        weights=design.weights[keep],
        trials=None if design.trials is None else design.trials[keep],
        rows=design.rows[keep],
        index=design.index[keep],
    )
