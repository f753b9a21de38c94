r"""Exact distribution of the likelihood ratio of one variance in a Gaussian model.

For :math:`y = X \beta + Z b + \varepsilon`, :math:`b \sim N(0, \lambda \sigma^2 I)`,
with K levels, the ratio of :math:`\lambda = 0` has in finite samples the law

.. math:: \sup_{\lambda \ge 0} \Big\{ m \log \frac{\sum_s w_s^2 + R}
          {\sum_s w_s^2 / (1 + \lambda \mu_s) + R}
          - \sum_s \log(1 + \lambda \nu_s) \Big\}

with :math:`w_s` standard normal, :math:`R \sim \chi^2_{n-p-K}`, and :math:`\mu_s` the
eigenvalues of Z' M Z, M the projection off X. For the restricted likelihood m = n - p
and :math:`\nu = \mu`; for the likelihood m = n and :math:`\nu` are the eigenvalues of
Z'Z. Fixed effects that are tested along with the variance, r of them, add
:math:`n \log(1 + \chi^2_r / (\sum_s w_s^2 + R))`.

References
----------
Crainiceanu & Ruppert (2004), J. R. Stat. Soc. B 66, 165-185, theorem 1 and eq. 9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngmm.design import RandomDesign

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Values of lambda, relative to the largest eigenvalue, where the supremum is looked
# for; parabolas through three of them place it between.
GRID = np.concatenate([[0.0], np.logspace(-5.0, 5.0, 240)])
# Eigenvalues that agree to this share are one, with a chi-square of its own.
SAME = 1e-9
# Numbers drawn at once.
CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What the law depends on.

    Attributes
    ----------
    mu
        Distinct positive eigenvalues of Z' M Z.
    count
        How often each occurs.
    nu
        Eigenvalues of Z'Z, for the likelihood; equal to mu for the restricted one.
    nu_count
        How often each occurs.
    n_rest
        Degrees of freedom of R.
    n_likelihood
        m, the factor of the logarithm.
    n_tested
        Number of fixed effects that are tested as well; 0 for the restricted one.
    """

    mu: Vector
    count: Vector
    nu: Vector
    nu_count: Vector
    n_rest: int
    n_likelihood: int
    n_tested: int


def spectrum(
    X: Matrix, term: RandomDesign, weights: Vector, *, reml: bool, n_tested: int = 0
) -> Spectrum:
    """The spectrum of a model with one random effect per level.

    Parameters
    ----------
    X
        (n, p) fixed effects of the larger model.
    term
        A random-effects term of one column.
    weights
        (n,) prior weights.
    reml
        Whether the likelihood is the restricted one.
    n_tested
        Fixed effects that the smaller model lacks.

    Notes
    -----
    Cost O(K^3 + n p^2) for K levels.
    """
    n, p = X.shape
    root = np.sqrt(weights)
    z = term.Z[:, 0] * root
    q = np.linalg.qr(X * root[:, None])[0]
    own = np.zeros(term.n_levels)
    np.add.at(own, term.codes, z * z)
    cross = np.stack(
        [
            np.bincount(term.codes, weights=z * column, minlength=term.n_levels)
            for column in q.T
        ],
        axis=1,
    )
    mu = np.asarray(np.linalg.eigvalsh(np.diag(own) - cross @ cross.T), np.float64)
    positive = mu[mu > 1e-10 * own.max()]
    distinct, count = _distinct(positive)
    nu, nu_count = (distinct, count) if reml else _distinct(own[own > 0.0])
    return Spectrum(
        mu=distinct,
        count=count,
        nu=nu,
        nu_count=nu_count,
        n_rest=n - p - len(positive),
        n_likelihood=n - p if reml else n,
        n_tested=0 if reml else n_tested,
    )


def simulate_ratio(s: Spectrum, n: int, seed: int) -> Vector:
    """Draws of the likelihood ratio under a variance of zero.

    Examples
    --------
    Thirty groups of ten rows: the ratio is zero more often than half the time.

    >>> ten = np.array([10.0])
    >>> s = Spectrum(ten, np.array([29.0]), ten, np.array([29.0]), 270, 299, 0)
    >>> draws = simulate_ratio(s, 20_000, seed=1)
    >>> bool(0.5 < (draws == 0).mean() < 0.6)
    True
    """
    generator = np.random.default_rng(seed)
    lam = GRID / s.mu.max()
    shrink = 1.0 / (1.0 + np.outer(s.mu, lam))
    penalty = s.nu_count @ np.log1p(np.outer(s.nu, lam))
    size = max(1, CELLS // (len(lam) + len(s.mu)))
    out = np.empty(n)
    for first in range(0, n, size):
        part = slice(first, min(first + size, n))
        length = part.stop - first
        w2 = generator.chisquare(s.count, size=(length, len(s.count)))
        rest = generator.chisquare(s.n_rest, length) if s.n_rest else np.zeros(length)
        total = w2.sum(axis=1) + rest
        left = w2 @ shrink + rest[:, None]
        value = s.n_likelihood * np.log(total[:, None] / left) - penalty
        out[part] = _supremum(value)
        if s.n_tested:
            extra = generator.chisquare(s.n_tested, length)
            out[part] += s.n_likelihood * np.log1p(extra / total)
    return out


def _supremum(value: Matrix) -> Vector:
    """Largest value of each row, by a parabola where it lies inside the grid."""
    best = value.argmax(axis=1)
    row = np.arange(len(value))
    top = value[row, best]
    # Between lambda = 0 and the first positive one the grid is not even.
    inside = (best > 1) & (best < value.shape[1] - 1)
    before = value[row, np.maximum(best - 1, 0)]
    after = value[row, np.minimum(best + 1, value.shape[1] - 1)]
    bend = before - 2.0 * top + after
    gain = np.where(bend < 0, -((after - before) ** 2) / (8.0 * bend), 0.0)
    return np.where(inside, top + gain, np.maximum(top, 0.0))


def _distinct(values: Vector) -> tuple[Vector, Vector]:
    """Values that agree taken together, and how many there are of each."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = np.diff(ordered) > SAME * ordered[1:]
    group = np.cumsum(first) - 1
    count = np.bincount(group).astype(np.float64)
    return np.bincount(group, weights=ordered) / count, count
