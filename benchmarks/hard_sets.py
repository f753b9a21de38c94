"""Hard data sets for generalized models, simulated by number.

Large standard deviations, rare events, groups of one to three rows, very unequal or few
groups, heavy counts, and responses that fixed effects predict perfectly or nearly so. A
data set depends on its number only. Designs repeat, so that little is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brute_force import BruteForce

Vector = NDArray[np.float64]
Codes = NDArray[np.int64]

N_SETS = 200
SEED = 20261121
SDS = (0.0, 0.3, 1.0, 2.0, 4.0, 7.0, 10.0)
RATES = (0.5, 0.2, 0.05, 0.02, 0.01)
SEPARATIONS = (*["none"] * 6, "near", "near", "quasi", "complete")


@dataclass(frozen=True)
class Shape:
    """Rows, groups and family that many data sets share.

    Attributes
    ----------
    family
        Response distribution.
    n, groups
        Numbers of rows and groups.
    slope
        Whether x has a random slope, correlated with the intercept.
    even
        Whether groups are of equal size.
    copies
        Number of data sets.
    """

    family: str
    n: int
    groups: int
    slope: bool
    even: bool
    copies: int


SHAPES = (
    Shape("bernoulli", 120, 60, False, False, 44),
    Shape("bernoulli", 240, 40, False, True, 40),
    Shape("bernoulli", 200, 5, False, False, 20),
    Shape("bernoulli", 240, 40, True, True, 36),
    Shape("binomial", 90, 30, False, False, 18),
    Shape("poisson", 150, 30, False, False, 16),
    Shape("negative_binomial", 150, 30, False, False, 12),
    Shape("poisson", 120, 20, True, True, 14),
)


@dataclass(frozen=True, eq=False)
class HardSet:
    """A data set: what it is like, and its rows (y, x, t, g and trials)."""

    number: int
    shape: Shape
    sd: float
    rate: float
    separation: str
    data: pd.DataFrame

    @property
    def formula(self) -> str:
        """The model."""
        return f"y ~ x + t + ({'x' if self.shape.slope else '1'} | g)"

    @property
    def title(self) -> str:
        """What it is like, in a few words."""
        s = self.shape
        effects = "(x|g)" if s.slope else "(1|g)"
        return (
            f"{s.family} {effects} n={s.n}/{s.groups} sd={self.sd:g} "
            f"rate={self.rate:g} {self.separation}"
        )


def hard_set(number: int, seed: int = SEED) -> HardSet:
    """Data set of a number from 0 to 199; another seed gives others of its kind."""
    rng = np.random.default_rng([seed, number])
    shape = _shape(number)
    sd = float(rng.choice(SDS))
    rate = float(rng.choice(RATES))
    counts = shape.family in {"poisson", "negative_binomial"}
    separation = "none" if counts else str(rng.choice(SEPARATIONS))
    g = _codes(shape, rng)
    x = rng.normal(size=shape.n)
    t = rng.integers(0, 2, shape.groups).astype(float)[g]
    if t.std() == 0.0:
        t[g == 0] = 1.0 - t[0]
    if counts:
        sd = min(sd, 2.0)
    eta = _start(rate, counts, rng) + 0.5 * x - 0.5 * t
    eta = eta + _effects(shape, sd, x, g, rng)
    trials = np.ones(shape.n)
    if shape.family == "binomial":
        trials = rng.integers(1, 21, shape.n).astype(float)
    y = _draw(shape.family, eta, trials, rng)
    y = _separate(separation, y, x, t, trials, rng)
    if np.ptp(y) == 0.0:
        y[rng.integers(shape.n)] = 1.0 - min(y[0], 1.0)
    frame = pd.DataFrame(
        {"y": y.astype(int), "x": x, "t": t, "g": g, "trials": trials.astype(int)}
    )
    return HardSet(number, shape, sd, rate, separation, frame)


def _shape(number: int) -> Shape:
    for shape in SHAPES:
        if number < shape.copies:
            return shape
        number -= shape.copies
    raise IndexError("there are 200 data sets, from 0 to 199")


def _codes(shape: Shape, rng: np.random.Generator) -> Codes:
    """Group of each row: equal sizes, groups of 1 to 3 rows, or very unequal ones."""
    if shape.even:
        return np.repeat(np.arange(shape.groups), shape.n // shape.groups)
    extra = shape.n - shape.groups
    if extra <= shape.groups:
        sizes = 1 + rng.multivariate_hypergeometric(np.full(shape.groups, 2), extra)
    else:
        share = rng.dirichlet(np.full(shape.groups, 0.7))
        sizes = 1 + rng.multinomial(extra, share)
    return np.repeat(np.arange(shape.groups), sizes)


def _start(rate: float, counts: bool, rng: np.random.Generator) -> float:
    """Intercept: of rare events, or of counts from rare to heavy."""
    if counts:
        return float(rng.choice([np.log(rate), 0.0, 1.5, 4.0]))
    return float(np.log(rate / (1.0 - rate)))


def _effects(
    shape: Shape,
    sd: float,
    x: Vector,
    g: Codes,
    rng: np.random.Generator,
) -> Vector:
    """What the random effects add to the linear predictor."""
    b = sd * rng.normal(size=(shape.groups, 2))
    if not shape.slope:
        return b[g, 0]
    correlation = rng.choice([-1.0, -0.9, 0.0, 0.5, 1.0])
    rest = np.sqrt(1.0 - correlation**2)
    slope = rng.choice([0.3, 1.0]) * (correlation * b[:, 0] + rest * b[:, 1])
    return b[g, 0] + slope[g] * x


def _draw(family: str, eta: Vector, trials: Vector, rng: np.random.Generator) -> Vector:
    if family in {"bernoulli", "binomial"}:
        p = 1.0 / (1.0 + np.exp(-np.clip(eta, -500.0, 500.0)))
        return rng.binomial(trials.astype(int), p).astype(float)
    mu = np.exp(np.minimum(eta, 8.0))
    if family == "negative_binomial":
        size = float(rng.choice([0.3, 2.0, 50.0]))
        mu = mu * rng.gamma(size, 1.0 / size, len(mu))
    return rng.poisson(mu).astype(float)


def _separate(
    kind: str,
    y: Vector,
    x: Vector,
    t: Vector,
    trials: Vector,
    rng: np.random.Generator,
) -> Vector:
    """Let t, or t and x together, predict the response."""
    if kind == "none":
        return y
    if kind == "complete":
        return np.where(x > 0.3, trials, 0.0)
    y = np.where(t == 1.0, trials, y)
    if kind == "near":
        y[rng.choice(np.flatnonzero(t == 1.0))] = 0.0
    return y


def brute_force(hard: HardSet) -> BruteForce:
    """The model of a data set, by brute force."""
    d = hard.data
    one = np.ones(len(d))
    x, t, g, y, m = (d[c].to_numpy(float) for c in ("x", "t", "g", "y", "trials"))
    Z = np.column_stack([one, x]) if hard.shape.slope else one[:, None]
    X = np.column_stack([one, x, t])
    return BruteForce(hard.shape.family, y, m, X, Z, g.astype(np.int64))
