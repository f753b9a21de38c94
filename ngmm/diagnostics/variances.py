"""What the linear predictor's variance is made of: the basis of R2 and the ICC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ngmm.diagnostics.checks import Additive
from ngmm.errors import OptionError, did_you_mean
from ngmm.inference.marginal.observation_variance import (
    METHODS,
    observation_variance,
    offered,
)
from ngmm.results import MixedModelFit
from ngmm.results.response import row_trials

WORDS = {
    "residual": "the residual variance",
    "latent": "the variance of the latent response of the link",
    "lognormal": "log(1 + cv^2), cv the coefficient of variation of the response",
    "trigamma": "trigamma(1 / cv^2), cv the coefficient of variation of the response",
    "delta": "the variance of the response by the delta method",
}


@dataclass(frozen=True)
class Variances:
    """Parts of the variance on the scale of the linear predictor.

    Attributes
    ----------
    fixed
        Of the fixed part over the rows, networks among it, without offsets.
    random
        Grouping factor -> mean over the rows of z' Sigma z (Johnson 2014, eq. 11).
    observation
        Of an observation about its mean.
    method
        Where the last comes from.
    """

    fixed: float
    random: Mapping[str, float]
    observation: float
    method: str

    @property
    def between(self) -> float:
        """Of all random effects."""
        return sum(self.random.values())

    @property
    def total(self) -> float:
        """Of all three."""
        return self.fixed + self.between + self.observation

    @property
    def text(self) -> str:
        """What stands for the variance of an observation, in words."""
        return WORDS[self.method]


def variances(fit: MixedModelFit, analysis: Additive, method: str) -> Variances:
    """The parts of the variance of a fit.

    Raises
    ------
    OptionError
        If the method does not suit the family.
    """
    d, family = analysis.design, analysis.model.family
    fixed = d.X @ analysis.estimate.beta + analysis.outputs.sum(1)
    random: dict[str, float] = {}
    for term, c in zip(d.random, analysis.components, strict=True):
        own = np.einsum("ni,ij,nj->n", term.Z, c.covariance, term.Z).mean()
        random[term.group] = random.get(term.group, 0.0) + float(own)
    chosen = _method(fit, method)
    phi = analysis.dispersion
    if family.has_residual:
        found = phi * float(np.mean(1.0 / d.weights))
    else:
        mean = float(d.y.sum() / row_trials(d).sum())
        found = observation_variance(family, mean, phi, chosen)
    return Variances(float(np.var(fixed, ddof=1)), random, found, chosen)


def _method(fit: MixedModelFit, method: str) -> str:
    family = fit.model.family
    if family.has_residual:
        if method not in ("auto", "residual"):
            raise OptionError(
                f'method="{method}" is for responses that are not gaussian; a gaussian '
                "one has its residual variance: leave method out"
            )
        return "residual"
    choices = offered(family)
    if method == "auto":
        return choices[0]
    if method in choices:
        return method
    reason = "is no method" if method not in METHODS else f"does not suit {family!r}"
    quoted = ", ".join(f'"{c}"' for c in ("auto", *choices))
    raise OptionError(
        f'method="{method}" {reason}{did_you_mean(method, choices) or ";"} '
        f"use one of {quoted}"
    )
