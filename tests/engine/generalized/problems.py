"""One small data frame with a response of every family, and likelihoods of it.

What is needed for brute force is written here anew, with the densities of scipy: no
number that a test expects passes through the families or the engine of the package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

import ngmm
from ngmm import families
from ngmm.likelihood.choose import accurate_engine
from ngmm.likelihood.engines import Derivatives, Engine
from ngmm.likelihood.generalized import GeneralizedProblem
from ngmm.likelihood.rules import as_rule
from ngmm.model import Model
from tests.families.cases import PRECISION_WEIGHTS, SETTINGS

Vector = NDArray[Any]

N_ROWS, N_TRIALS = 24, 6
# Levels of g; two of them make one of a, in which they are b.
SIZES = (2, 3, 4, 4, 5, 6)

NAMES = tuple(name for name in families.REGISTRY if name != "gaussian")
LINKS = [(name, link) for name in NAMES for link in families.get(name).links]

# Machine differentiation of these four times over takes XLA ten seconds and more.
SLOW = {"beta", "betabinomial"}

# As the mean grows the density of an inverse Gaussian response tends to a constant.
# The posterior then has the tail of the prior, far beyond nodes that follow its scale:
# their error is 1e-7, and they report it.
LONG_TAIL = "inverse_gaussian"

PHI = {
    "negative_binomial": 3.0,
    "gamma": 0.4,
    "inverse_gaussian": 0.3,
    "beta": 6.0,
    "betabinomial": 5.0,
}

MEANS: dict[str, Callable[[Vector], Vector]] = {
    "logit": special.expit,
    "probit": stats.norm.cdf,
    "cloglog": lambda eta: -np.expm1(-np.exp(eta)),
    "log": np.exp,
    "identity": lambda eta: eta,
    "inverse": lambda eta: 1.0 / eta,
    "sqrt": np.square,
}

# Intercept and slope, and the unit of the standard deviations. Where eta must be
# positive zero is eight standard deviations away, so that no integrand is cut off.
COEFFICIENTS = {
    "logit": (-0.2, 0.4, 0.9),
    "probit": (-0.1, 0.3, 0.6),
    "cloglog": (-0.4, 0.3, 0.6),
    "log": (0.7, 0.3, 0.6),
    "identity": (5.0, 0.2, 0.4),
    "inverse": (0.9, 0.03, 0.08),
    "sqrt": (2.5, 0.1, 0.2),
}


@dataclass(frozen=True)
class Term:
    """A term of the formula, and its covariance parameters in units of the sd."""

    group: str
    columns: tuple[str, ...]
    theta: tuple[float, ...]

    def factor(self, theta: Vector) -> Vector:
        """Lambda, lower triangular, filled column by column."""
        k = len(self.columns)
        lam = np.zeros((k, k))
        lam[np.triu_indices(k)] = theta
        return lam.T


STRUCTURES: dict[str, tuple[Term, ...]] = {
    "single": (Term("g", ("one",), (1.0,)),),
    "double": (Term("g", ("one", "x"), (1.0, -0.3, 0.6)),),
    # As (1 | a/b) expands; the inner factor is the second.
    "nested": (Term("a", ("one",), (0.7,)), Term("g", ("one",), (0.8,))),
    "nested slopes": (
        Term("a", ("one",), (0.7,)),
        Term("g", ("one", "x"), (0.8, 0.3, 0.4)),
    ),
    "nested, wide outside": (
        Term("a", ("one", "x"), (0.7, 0.3, 0.4)),
        Term("g", ("one",), (0.8,)),
    ),
    "crossed": (Term("g", ("one",), (0.9,)), Term("h", ("one",), (0.6,))),
}

FORMULAS = {
    "single": "(1 | g)",
    "double": "(1 + x | g)",
    "nested": "(1 | a/b)",
    "nested slopes": "(1 | a) + (1 + x | a:b)",
    "nested, wide outside": "(1 + x | a) + (1 | a:b)",
    "crossed": "(1 | g) + (1 | h)",
}


@cache
def covariates() -> pd.DataFrame:
    """Groups, a covariate, an offset, weights and trials."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(len(SIZES)), SIZES)
    return pd.DataFrame(
        {
            "g": g,
            "a": g // 2,
            "b": g % 2,
            "h": rng.permutation(np.arange(N_ROWS) % 4),
            "one": 1.0,
            "x": rng.permutation(np.linspace(-1.5, 1.5, N_ROWS)),
            "o": rng.uniform(-0.1, 0.1, N_ROWS),
            "w": rng.choice([0.5, 1.0, 1.5, 2.0], N_ROWS),
            "n": float(N_TRIALS),
        }
    )


@cache
def frame(family: str, link: str) -> pd.DataFrame:
    """The covariates and a response of this family."""
    data = covariates()
    rng = np.random.default_rng(5)
    intercept, slope, sd = COEFFICIENTS[link]
    effect = rng.permutation(np.linspace(-1.5, 1.5, len(SIZES))) * sd
    eta = intercept + slope * data["x"] + effect[data["g"]]
    mu = MEANS[link](eta.to_numpy())
    w, n = data["w"].to_numpy(), int(N_TRIALS)
    rows = SETTINGS[family].distribution(mu, PHI.get(family), w, n)
    y = rows.rvs(random_state=rng)
    if family == "beta":
        y = np.clip(y, 0.03, 0.97)
    return data.assign(y=y)


@dataclass(frozen=True)
class Likelihood:
    """A log-likelihood of the user's psi = (beta, theta, log phi) by some rule."""

    family: str
    link: str
    structure: str
    quad: Any
    data: pd.DataFrame
    formula: str

    @cached_property
    def model(self) -> Model:
        """The model, from a formula."""
        trials = "n" if self.family in ("binomial", "betabinomial") else None
        design, _ = ngmm.build_design(
            ngmm.parse(self.formula),
            self.data,
            weights="w",
            offset="o",
            trials=trials,
        )
        return Model(design, families.get(self.family, self.link), quad=self.quad)

    @property
    def problem(self) -> GeneralizedProblem:
        """Standardised rows."""
        return self.model.marginal.problem

    @cached_property
    def psi(self) -> Vector:
        """A point where the likelihood is neither flat nor at its maximum."""
        intercept, slope, sd = COEFFICIENTS[self.link]
        theta = [t * sd for term in self.terms for t in term.theta]
        tail = [np.log(PHI[self.family])] if self.family in PHI else []
        return np.array([intercept, slope, *theta, *tail])

    @property
    def unit(self) -> Vector:
        """Sizes of changes in psi that matter alike."""
        out = np.full(len(self.psi), COEFFICIENTS[self.link][2])
        if self.family in PHI:
            out[-1] = 1.0
        return out

    @property
    def terms(self) -> tuple[Term, ...]:
        """Random-effects terms in the order of the formula."""
        return STRUCTURES[self.structure]

    @cached_property
    def engine(self) -> Engine:
        """The engine of the rule, at psi."""
        return accurate_engine(
            self.problem, as_rule(self.quad), self.problem.jacobian @ self.psi
        )

    def derivatives(self, psi: Vector | None = None) -> Derivatives:
        """Value, gradient and Hessian of the engine in psi, in its units."""
        J = self.problem.jacobian
        s = self.engine.derivatives(J @ (self.psi if psi is None else psi))
        J = J * self.unit
        return Derivatives(s.value, J.T @ s.gradient, J.T @ s.hessian @ J)

    def moved(self, t: Vector) -> Vector:
        """Value and gradient t units away from psi, to form differences of."""
        found = self.derivatives(self.psi + self.unit * t)
        return np.append(found.value, found.gradient)

    # What brute force needs.

    def log_prob(self, eta: Vector, rows: NDArray, log_phi: float) -> Vector:
        """Log-probabilities (rows, ...) by scipy."""
        data = self.data.iloc[rows]
        extra = (slice(None), *[None] * (np.ndim(eta) - 1))
        y, w, n = (data[c].to_numpy(dtype=float)[extra] for c in ("y", "w", "n"))
        valid = np.ones(eta.shape, bool)
        if self.link in ("identity", "inverse", "sqrt"):
            valid = eta > 0.0
        mu = MEANS[self.link](np.where(valid, eta, 1.0))
        if self.family in ("beta", "betabinomial"):
            # Parameters of zero are not allowed.
            mu = np.clip(mu, 1e-300, 1.0 - 2.0**-53)
        phi = np.exp(log_phi)
        rows_of = SETTINGS[self.family].distribution(mu, phi, w, n)
        discrete = isinstance(rows_of.dist, stats.rv_discrete)
        with np.errstate(divide="ignore"):
            value = rows_of.logpmf(y) if discrete else rows_of.logpdf(y)
        if self.family not in PRECISION_WEIGHTS:
            value = w * value
        return np.where(valid, value, -np.inf)

    @property
    def log_phi(self) -> float:
        """The last element of psi, zero for families without dispersion."""
        return float(self.psi[-1]) if self.family in PHI else 0.0

    def fixed_part(self) -> Vector:
        """X beta + offset."""
        X = self.data[["one", "x"]].to_numpy()
        return X @ self.psi[:2] + self.data["o"].to_numpy()

    def lambdas(self) -> list[Vector]:
        """Lambda of each term."""
        out, start = [], 2
        for term in self.terms:
            stop = start + len(term.theta)
            out.append(term.factor(self.psi[start:stop]))
            start = stop
        return out


@cache
def likelihood(
    family: str, structure: str = "single", quad: Any = "auto", link: str | None = None
) -> Likelihood:
    """A likelihood of the frame; the same object, and programs, every time."""
    link = families.get(family).link if link is None else link
    formula = f"y ~ x + {FORMULAS[structure]}"
    return Likelihood(family, link, structure, quad, frame(family, link), formula)
