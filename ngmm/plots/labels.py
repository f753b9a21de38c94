"""What the axes of pictures are called."""

from __future__ import annotations

from ngmm.results import MixedModelFit


def response_text(fit: MixedModelFit) -> str:
    """The response, as means and rows are measured."""
    if fit.response_levels is not None:
        return f"P({fit.response_name} = {fit.response_levels[1]})"
    if fit.design.trials is not None:
        return f"share of {fit.response_name}"
    return fit.response_name


def predictor_text(fit: MixedModelFit) -> str:
    """The linear predictor: the response itself where the link is the identity."""
    if fit.link == "identity":
        return response_text(fit)
    return f"{fit.link} of the mean of {fit.response_name}"


def effect_text(fit: MixedModelFit) -> str:
    """A difference on the scale of the linear predictor."""
    if fit.link == "identity":
        return f"effect on {response_text(fit)}"
    return f"effect on the {fit.link} of the mean of {fit.response_name}"
