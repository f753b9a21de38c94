r"""The log-likelihood by importance sampling, for rules that do not know their error.

With u the spherical random effects, q(u) the normal density at their joint mode with
the curvature H there, and draws u_s from it,

.. math:: L = \int p(y \mid u)\, p(u)\, du
   \approx \frac{1}{S} \sum_s \frac{p(y \mid u_s)\, p(u_s)}{q(u_s)} .

Laplace's approximation is the weight at the mode, so the estimate says how far off it
is. Draws from q need no factor of H: with u* ~ N(0, I) and y* = Z Lambda u* + e drawn
from the working model, u* - E(u | y*) has the covariance H^-1.

References
----------
Papandreou & Yuille (2010), NIPS 23, 1858-1866, for the draws; Skaug & Fournier (2006),
Comput. Stat. Data Anal. 51, 699-709, for Laplace as the proposal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.families import Family
from ngmm.inference.modes import Posterior
from ngmm.inference.working import Working, log_probability, working_posterior

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Draws made at once; no more than half as many as there are rows, since they take the
# place of fixed-effect columns.
BLOCK = 50


@dataclass(frozen=True)
class Importance:
    """The log-likelihood by importance sampling.

    Attributes
    ----------
    loglik
        Its estimate.
    std_error
        Standard error of the estimate.
    n_effective
        Number of equally weighted draws that would be as good, (sum w)^2 / sum w^2.
    n
        Number of draws.
    """

    loglik: float
    std_error: float
    n_effective: float
    n: int


class _Draws(NamedTuple):
    """Draws of u about its mode, one a column."""

    eta: Matrix  # (n, s) what they add to the linear predictor
    inner: Vector  # (s,) their inner product with the mode


def importance_loglik(
    design: Design,
    family: Family,
    phi: float,
    eta: Vector,
    at: Working,
    given: Posterior,
    *,
    n: int,
    seed: int,
) -> Importance:
    """The log-likelihood at the modes of an estimate, by at least n draws.

    Parameters
    ----------
    design, family, phi
        The model and its dispersion parameter.
    eta, at, given
        Linear predictor at the modes, the working model there, and its posterior.
    n, seed
        Number of draws, rounded up to whole blocks, and their seed.
    """
    generator = np.random.default_rng(seed)
    size = max(1, min(n, BLOCK, design.n_rows // 2))
    mode = _spherical_mode(given, at.score)
    square = sum(float((u**2).sum()) for u in mode)
    parts = []
    for _ in range(-(-n // size)):
        d = _draw(design, at.weight, given, mode, size, generator)
        total = log_probability(design, family, eta[:, None] + d.eta, phi)
        parts.append(total - d.inner + 0.5 * (at.weight @ d.eta**2))
    log_w = np.concatenate(parts)
    log_w -= 0.5 * (square + float(given.elimination.log_det))
    return _summarised(log_w)


def _summarised(log_w: Vector) -> Importance:
    top = log_w.max()
    w = np.exp(log_w - top)
    return Importance(
        loglik=float(top + np.log(w.mean())),
        std_error=float(w.std(ddof=1) / np.sqrt(len(w)) / w.mean()),
        n_effective=float(w.sum() ** 2 / (w**2).sum()),
        n=len(w),
    )


def _spherical_mode(given: Posterior, score: Vector) -> list[Matrix]:
    """The mode Lambda' Z' score of each factor, which needs no inverse of Lambda."""
    out = []
    for lam, group, z in zip(
        given.factors, given.problem.groups, _columns(given), strict=True
    ):
        total = np.zeros((group.n_levels, z.shape[1]))
        np.add.at(total, group.codes, z * score[:, None])
        out.append(total @ lam)
    return out


def _draw(
    design: Design,
    weight: Vector,
    given: Posterior,
    mode: list[Matrix],
    size: int,
    generator: np.random.Generator,
) -> _Draws:
    """Draws from the normal density at the mode."""
    prior = [generator.standard_normal((*u.shape, size)) for u in mode]
    noise = generator.standard_normal((len(weight), size + 1))
    noise /= np.sqrt(weight)[:, None]
    y = _predictor(given, prior) + noise[:, :size]
    theta = given.problem.to_user(given.theta)
    fit = working_posterior(noise[:, size], y, design.random, weight, theta)
    back = fit.problem.data.triangle
    draws = [
        u - np.einsum("ji,ljs->lis", lam, fit.weights(f)[..., :size] @ back)
        for f, (u, lam) in enumerate(zip(prior, fit.factors, strict=True))
    ]
    inner = [np.einsum("lk,lks->s", u, d) for u, d in zip(mode, draws, strict=True)]
    return _Draws(_predictor(given, draws), np.sum(inner, axis=0))


def _predictor(given: Posterior, u: list[NDArray[np.float64]]) -> Matrix:
    """(n, s) sum over factors of Z Lambda u."""
    total = 0.0
    for lam, group, z, draws in zip(
        given.factors, given.problem.groups, _columns(given), u, strict=True
    ):
        b = np.einsum("ij,ljs->lis", lam, draws)
        total = total + np.einsum("nk,nks->ns", z, b[group.codes])
    return np.asarray(total)


def _columns(given: Posterior) -> list[Matrix]:
    """Random-effect columns of the rows for each factor, engine's units."""
    data = given.problem.data
    return [
        group.columns / scale
        for group, scale in zip(given.problem.groups, data.column_scales, strict=True)
    ]
