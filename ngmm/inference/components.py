r"""Standard deviations and correlations of random effects, with Wald intervals.

Intervals are symmetric for log sd and for Fisher's z of a correlation, and are then
carried back; where a variance or a correlation is at its boundary there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import Pattern, factor_numpy, pattern

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Term(Protocol):
    """One random-effects term, as the design holds it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its k columns."""
        ...

    @property
    def correlated(self) -> bool:
        """Whether the columns may be correlated."""
        ...


@dataclass(frozen=True)
class ScaleParameter:
    """The parameter of a response distribution beside its mean.

    Attributes
    ----------
    name
        ``"sigma"``, a standard deviation; otherwise what the family calls it.
    value
        Estimate, on the natural scale.
    log_se
        Standard error of its logarithm; NaN if the data do not identify it.
    """

    name: str
    value: float
    log_se: float


@dataclass(frozen=True)
class Components:
    """Standard deviations and correlations of one term.

    Attributes
    ----------
    sd
        (k,) standard deviations, in the units of the linear predictor.
    correlation
        (k, k); NaN where a standard deviation is zero.
    d_log_sd
        (k, n_theta + 1) derivatives of log sd in (theta of the term, sigma).
    rank
        Rank of the covariance matrix: k unless the estimate is at a boundary.
    d_z
        (k, k, n_theta + 1) derivatives of atanh of the correlations.
    """

    sd: Vector
    correlation: Matrix
    rank: int
    d_log_sd: Matrix
    d_z: NDArray[np.float64]

    @property
    def is_full_rank(self) -> bool:
        """Whether the covariance matrix is away from every boundary."""
        return self.rank == len(self.sd)

    @property
    def covariance(self) -> Matrix:
        """(k, k) covariance matrix."""
        finite = np.where(np.isnan(self.correlation), 0.0, self.correlation)
        return np.outer(self.sd, self.sd) * finite


def components(theta: Vector, sigma: float, p: Pattern) -> Components:
    """Standard deviations and correlations of a term, and their derivatives."""
    lam = factor_numpy(theta, p)
    cov = lam @ lam.T
    half = np.einsum("aij,kj->aik", p.basis(), lam)
    d_cov = half + np.swapaxes(half, 1, 2)
    variance = np.diag(cov)
    safe = np.where(variance > 0, variance, np.nan)
    d_log_var = np.einsum("aii->ia", d_cov) / safe[:, None]
    scale = np.outer(np.sqrt(safe), np.sqrt(safe))
    correlation = np.clip(cov / scale, -1.0, 1.0)
    d_cor = np.moveaxis(d_cov, 0, -1) / scale[:, :, None] - 0.5 * correlation[
        :, :, None
    ] * (d_log_var[:, None, :] + d_log_var[None, :, :])
    interior = np.where(np.abs(correlation) < 1 - 1e-8, 1 - correlation**2, np.nan)
    k = p.k
    return Components(
        sd=sigma * np.sqrt(variance),
        correlation=correlation,
        rank=int(np.count_nonzero(np.diag(lam))),
        d_log_sd=np.column_stack([0.5 * d_log_var, np.full(k, 1.0 / sigma)]),
        d_z=np.concatenate([d_cor / interior[:, :, None], np.zeros((k, k, 1))], axis=2),
    )


def term_components(
    terms: Sequence[Term], theta: Vector, sigma: float
) -> list[Components]:
    """Components of each term of the formula, from the theta of all of them."""
    out: list[Components] = []
    start = 0
    for term in terms:
        p = pattern([(len(term.names), term.correlated)])
        out.append(components(theta[start : start + p.n_theta], sigma, p))
        start += p.n_theta
    return out


def log_interval(value: float, se: float, z: float) -> tuple[float, float]:
    """Interval of a positive quantity from the standard error of its logarithm."""
    # Near a boundary the standard error has no bound, nor has the upper limit then.
    with np.errstate(over="ignore"):
        return float(value * np.exp(-z * se)), float(value * np.exp(z * se))


def fisher_interval(value: float, se: float, z: float) -> tuple[float, float]:
    """Interval of a correlation from the standard error of its atanh."""
    if not abs(value) < 1:
        return np.nan, np.nan
    middle = np.arctanh(value)
    return float(np.tanh(middle - z * se)), float(np.tanh(middle + z * se))
