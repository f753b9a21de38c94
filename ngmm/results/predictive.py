r"""Limits for a new observation: quantiles of its predictive distribution.

For a Gaussian response the linear predictor and the residual add up to a normal
variable. For others the distribution of y is a mixture over that of eta,

.. math:: p(y) = \int p(y \mid \mu(m + \sqrt{v}\, t), \phi)\, \varphi(t)\, dt,

and the limits are quantiles of draws from it: eta at equally probable points, which
adds no noise of its own, and one response drawn at each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import OptionError
from ngmm.families import Family
from ngmm.inference.analysis import Analysis
from ngmm.inference.marginal.mean import link_mean
from ngmm.inference.quantiles import critical
from ngmm.results.request import Request
from ngmm.results.response import drawable
from ngmm.results.rows import Rows

Vector = NDArray[np.float64]

# The share of draws beyond a 95 % limit has a standard error of 0.16 percent points.
N_DRAWS = 10_000
# Draws made at once: bounds memory at real sizes.
CHUNK = 5_000_000


def check_predictive(family: Family, rows: Rows, ask: Request) -> None:
    """Refuse prediction intervals that would say nothing.

    Raises
    ------
    OptionError
        Saying what to use.
    """
    if family.has_residual:
        return
    if ask.kind == "link":
        raise OptionError(
            f"a {family.name} response has no values on the scale of the link; use "
            'kind="response" with interval="prediction", or interval="confidence"'
        )
    if family.name == "bernoulli":
        raise OptionError(
            "a new 0/1 response is 0 or 1 whatever the interval; use "
            'interval="confidence" for its probability'
        )
    if family.takes_trials and rows.trials is None:
        raise OptionError(
            f"a prediction interval of a {family.name} response needs the number of "
            'trials, which is known for the rows of the fit only; use interval="con'
            'fidence" for the probability'
        )


def predictive_limits(
    analysis: Analysis, rows: Rows, m: Vector, v: Vector, level: float, seed: int
) -> tuple[Vector, Vector]:
    """Limits of a new observation when the linear predictor is N(m, v)."""
    if analysis.model.family.has_residual:
        variance = v + analysis.dispersion / rows.weights
        margin = float(critical(level)) * np.sqrt(variance)
        return m - margin, m + margin
    out = np.empty((2, len(m)))
    size = max(1, CHUNK // N_DRAWS)
    generator = np.random.default_rng(seed)
    for start in range(0, len(m), size):
        part = slice(start, start + size)
        out[:, part] = _sampled_limits(analysis, rows, m, v, level, part, generator)
    return out[0], out[1]


def _sampled_limits(
    analysis: Analysis,
    rows: Rows,
    m: Vector,
    v: Vector,
    level: float,
    part: slice,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    from scipy.special import ndtri  # loads slowly; prediction intervals only

    family = analysis.model.family
    t = ndtri((np.arange(N_DRAWS) + 0.5) / N_DRAWS)
    eta = m[part, None] + np.sqrt(v[part, None]) * t
    trials = np.ones(len(m)) if rows.trials is None else rows.trials
    trials = trials[part, None]
    y = family.sample(
        generator,
        link_mean(family.transform, drawable(family.transform, eta)),
        analysis.dispersion,
        rows.weights[part, None],
        trials,
    )
    tail = 0.5 * (1.0 - level)
    method = "inverted_cdf" if family.discrete else "linear"
    return np.quantile(y / trials, [tail, 1.0 - tail], axis=1, method=method)
