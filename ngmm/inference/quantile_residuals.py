r"""Residuals as ranks among responses simulated from the model, and tests of them.

With y and n simulated responses of a row exchangeable under the model, the rank R of y
among all n + 1, ties broken at random, is uniform, and so is

.. math:: U = (R - V) / (n + 1), \qquad V \sim \mathrm{uniform}(0, 1).

The rows of a level share its random effects, so that their residuals are dependent and
the usual reference distributions of tests do not hold. But the simulated columns can be
ranked in the same way: a statistic of the observed column is compared with those of the
simulated ones, which is exact whatever the dependence at known parameters, and rejects
too rarely at estimated ones, which follow the data. Statistics of refits to simulated
responses, each ranked among simulations of its own, allow for that as well.

References
----------
Dunn & Smyth (1996), J. Comput. Graph. Stat. 5, 236-244; Besag & Clifford (1989),
Biometrika 76, 633-642, for the test; Hartig (2022), the R package DHARMa.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Numbers of the largest array that is formed at once.
CELLS = 4_000_000


class SimulationTest(NamedTuple):
    """A statistic of the data beside those of simulated data.

    Attributes
    ----------
    statistic
        Of the data.
    expected
        Mean over the simulations.
    p_value
        Share of all data sets, the observed one among them, that are as extreme.
    """

    statistic: float
    expected: float
    p_value: float


def uniform_ranks(
    y: Vector, simulated: Matrix, generator: np.random.Generator
) -> Matrix:
    """Uniform residuals of the data, the first column, and of each simulation.

    Parameters
    ----------
    y
        (rows,) responses.
    simulated
        (rows, n) responses drawn from the model.
    generator
        Source of the random numbers that break ties.

    Returns
    -------
    Matrix
        (rows, n + 1), each value uniform on (0, 1) under the model.

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.array([[1.0, 2.0, 4.0]])
    >>> u = uniform_ranks(np.array([3.0]), draws, np.random.default_rng(0))
    >>> np.ceil(4 * u).astype(int).tolist()
    [[3, 1, 2, 4]]
    """
    out = np.empty((len(y), simulated.shape[1] + 1))
    size = max(1, CELLS // out.shape[1])
    for start in range(0, len(y), size):
        part = slice(start, start + size)
        pooled = np.column_stack([y[part], simulated[part]])
        order = np.lexsort((generator.random(pooled.shape), pooled), axis=1)
        rank = np.empty_like(pooled)
        np.put_along_axis(rank, order, np.arange(pooled.shape[1])[None, :] + 1.0, 1)
        out[part] = (rank - generator.random(pooled.shape)) / pooled.shape[1]
    # A random number of exactly zero would give the end of the interval.
    tiny = np.finfo(np.float64).epsneg
    return np.clip(out, tiny, 1.0 - tiny)


def rank_test(values: Vector, *, two_sided: bool = False) -> SimulationTest:
    """Test of the first value, that of the data, against the others.

    Parameters
    ----------
    values
        (n + 1,) a statistic of the data and of n simulated data sets.
    two_sided
        Whether small values speak against the model as well as large ones.

    Examples
    --------
    >>> import numpy as np
    >>> rank_test(np.array([9.0, 1.0, 2.0, 3.0])).p_value
    0.25
    """
    above = float(np.mean(values >= values[0]))
    p = above
    if two_sided:
        p = min(1.0, 2.0 * min(above, float(np.mean(values <= values[0]))))
    return SimulationTest(float(values[0]), float(values[1:].mean()), p)


class Statistics(NamedTuple):
    """What is tested of one data set."""

    uniformity: float
    dispersion: float
    outliers: float


def statistics(
    y: Vector, simulated: Matrix, generator: np.random.Generator
) -> Statistics:
    """The statistics of one data set among simulations."""
    n = simulated.shape[1] + 1
    less = (simulated < y[:, None]).sum(1)
    ties = (simulated == y[:, None]).sum(1) + 1.0
    u = (less + generator.random(len(y)) * ties) / n
    beyond = (u < 1.0 / n) | (u > 1.0 - 1.0 / n)
    dispersion = spread(y, simulated).statistic
    return Statistics(distance(u), dispersion, float(beyond.sum()))


def distance(u: Vector) -> float:
    """Kolmogorov and Smirnov's distance of a sample from the uniform distribution."""
    ordered, step = np.sort(u), np.arange(len(u)) / len(u)
    above = (step + 1.0 / len(u) - ordered).max()
    return float(max(above, (ordered - step).max()))


def uniformity(u: Matrix) -> SimulationTest:
    """Largest distance of the distribution of the residuals from the uniform one.

    Parameters
    ----------
    u
        (rows, n + 1) from `uniform_ranks`.
    """
    return rank_test(np.array([distance(column) for column in u.T]))


def spread(y: Vector, simulated: Matrix) -> SimulationTest:
    """Mean square of the responses about their means, each over its own variance.

    Both are those of the simulations and the data together. Rows in which no response
    varies say nothing and are left out.
    """
    pooled = np.column_stack([y, simulated])
    away = pooled - pooled.mean(1, keepdims=True)
    variance = (away**2).mean(1)
    used = variance > 0
    if not used.any():
        return SimulationTest(1.0, 1.0, 1.0)
    squares = (away[used] ** 2 / variance[used, None]).mean(0)
    found = rank_test(squares, two_sided=True)
    return found._replace(statistic=found.statistic / found.expected, expected=1.0)


def outliers(u: Matrix) -> SimulationTest:
    """Number of rows whose response lies beyond all simulated ones."""
    edge = 1.0 / u.shape[1]
    beyond = ((u < edge) | (u > 1.0 - edge)).sum(0).astype(np.float64)
    return rank_test(beyond, two_sided=True)
