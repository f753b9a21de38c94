"""The rows of a fit on the scale of the response: means, residuals, new responses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.errors import OptionError, did_you_mean
from ngmm.families import Family, Link
from ngmm.inference.analysis import Analysis
from ngmm.inference.marginal.mean import link_mean, link_slope

Vector = NDArray[np.float64]

# Families whose dispersion parameter multiplies the variance: their Pearson residuals
# leave it out, as those of a linear model leave out sigma.
PRECISION_WEIGHTED = ("gaussian", "gamma", "inverse_gaussian")
# Quantile residuals beyond +-8.2 are beyond what a probability in double precision
# can tell from 0 and 1.
LARGEST_PROBABILITY = 1.0 - 2.0**-53


def row_trials(design: Design) -> Vector:
    """Number of trials of each row; one where the response is not a count of them."""
    return np.ones(design.n_rows) if design.trials is None else design.trials


def residuals(analysis: Analysis, eta: Vector, kind: str, seed: int) -> Vector:
    """Residuals of the rows of a fit at a linear predictor.

    Raises
    ------
    OptionError
        If there is no such kind.
    """
    if kind not in RESIDUALS:
        raise OptionError(
            f"there are no residuals {kind!r}"
            f"{did_you_mean(str(kind), RESIDUALS) or '.'} "
            f"Kinds: {', '.join(RESIDUALS)}"
        )
    return RESIDUALS[kind](analysis, eta, seed)


def _response(analysis: Analysis, eta: Vector, _: int) -> Vector:
    d = analysis.model.design
    return d.y / row_trials(d) - link_mean(analysis.model.family.transform, eta)


def _working(analysis: Analysis, eta: Vector, seed: int) -> Vector:
    slope = link_slope(analysis.model.family.transform, eta)
    return _response(analysis, eta, seed) / slope


def _pearson(analysis: Analysis, eta: Vector, seed: int) -> Vector:
    d, family = analysis.model.design, analysis.model.family
    mu, trials = link_mean(family.transform, eta), row_trials(d)
    phi = 1.0 if family.name in PRECISION_WEIGHTED else analysis.dispersion
    variance = np.asarray(family.variance(mu, phi, trials))
    return _response(analysis, eta, seed) * trials * np.sqrt(d.weights / variance)


def _deviance(analysis: Analysis, eta: Vector, seed: int) -> Vector:
    d, family = analysis.model.design, analysis.model.family
    mu = link_mean(family.transform, eta)
    square = family.unit_deviance(
        d.y, mu, analysis.dispersion, d.weights, row_trials(d)
    )
    sign = np.sign(_response(analysis, eta, seed))
    # A perfect fit can come out as a rounding error below zero.
    return sign * np.sqrt(np.maximum(square, 0.0))


def _quantile(analysis: Analysis, eta: Vector, seed: int) -> Vector:
    """Normal quantiles of P(Y <= y); for a Gaussian response without the detour."""
    d, family = analysis.model.design, analysis.model.family
    if family.has_residual:
        return _pearson(analysis, eta, seed) / np.sqrt(analysis.dispersion)
    from scipy.special import ndtri  # loads slowly

    mu = link_mean(family.transform, eta)

    def probability(y: Vector) -> Vector:
        phi = analysis.dispersion
        return np.asarray(family.cdf(y, mu, phi, d.weights, row_trials(d)))

    u = probability(d.y)
    if family.discrete:
        below = probability(d.y - 1.0)
        share = np.random.default_rng(seed).uniform(size=len(u))
        u = below + share * (u - below)
    return ndtri(np.clip(u, 1.0 - LARGEST_PROBABILITY, LARGEST_PROBABILITY))


RESIDUALS: dict[str, Callable[[Analysis, Vector, int], Vector]] = {
    "response": _response,
    "pearson": _pearson,
    "deviance": _deviance,
    "working": _working,
    "quantile": _quantile,
}


def within(link: Link, eta: Vector) -> Vector:
    """Linear predictors brought into the domain of the link, just inside its ends."""
    if not (np.isfinite(link.lower) or np.isfinite(link.upper)):
        return eta
    edge = 1e-8 * np.maximum(np.abs(eta), 1e-300)
    return np.clip(eta, link.lower + edge, link.upper - edge)


def drawable(link: Link, eta: Vector) -> Vector:
    """Random linear predictors at which a response can be drawn.

    Where the domain ends with a mean of zero, those beyond stand at its end.

    Raises
    ------
    OptionError
        If the mean has a pole there.
    """
    inside = within(link, eta)
    if link.name == "inverse" and (inside != eta).any():
        share = float(np.mean(inside != eta))
        raise OptionError(
            f"{share:.1%} of the linear predictors drawn for the inverse link are not "
            "positive, where the model has no response; a log link has none of this"
        )
    return inside


def draw(
    family: Family,
    design: Design,
    eta: Vector,
    dispersion: float,
    generator: np.random.Generator,
) -> Vector:
    """Responses at linear predictors (rows, n), one for each."""
    return np.asarray(
        family.sample(
            generator,
            link_mean(family.transform, drawable(family.transform, eta)),
            dispersion,
            design.weights[:, None],
            row_trials(design)[:, None],
        ),
        dtype=np.float64,
    )
