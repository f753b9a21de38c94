"""From the maximum of a likelihood to what can be said of it, whatever the family.

The analyses have the same members, in the units of the data and the order of the
formula, so that nothing above them asks for the family:

vcov, degrees_of_freedom
    Of the estimate of beta.
parameter_covariance
    Of the estimates of (theta, sigma).
scale, dispersion
    The parameter of the response beside its mean: for tables, and for the functions of
    the family.
components
    Standard deviations and correlations of each random-effects term.
modes, mode_variances
    The random effects given the data.
predictor_variance
    Of the linear predictor of any rows.
integral_text, verdict, verdict_by_importance
    What to say of the likelihood and its maximum.
"""

from __future__ import annotations

from typing import TypeAlias

from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.latent import LatentAnalysis
from ngmm.inference.neural import NeuralAnalysis
from ngmm.model import Estimate, GaussianEstimate, GeneralizedEstimate, Model

Analysis: TypeAlias = (
    GaussianAnalysis | GeneralizedAnalysis | NeuralAnalysis | LatentAnalysis
)


def analyse(model: Model, estimate: Estimate) -> GaussianAnalysis | GeneralizedAnalysis:
    """The analysis that suits the family.

    Raises
    ------
    TypeError
        If the estimate is of no known kind.
    """
    if isinstance(estimate, GaussianEstimate):
        return GaussianAnalysis(model, estimate)
    if isinstance(estimate, GeneralizedEstimate):
        return GeneralizedAnalysis(model, estimate)
    raise TypeError(f"cannot analyse an estimate of type {type(estimate).__name__}")
