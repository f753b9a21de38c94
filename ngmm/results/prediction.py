"""Predictions for the training rows or for new ones, with their uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import DesignSpec
from ngmm.inference.analysis import Analysis
from ngmm.inference.latent import LatentAnalysis
from ngmm.inference.marginal.mean import (
    marginal_mean,
    marginal_slope,
    marginal_variance,
)
from ngmm.inference.quantiles import critical
from ngmm.results.latent import predict_latent
from ngmm.results.linear_predictor import (
    Variance,
    effects_of,
    linear_predictor,
    term_frame,
    variance,
)
from ngmm.results.predictive import check_predictive, predictive_limits
from ngmm.results.request import Request
from ngmm.results.response import within
from ngmm.results.rows import new_rows, training_rows
from ngmm.results.similar import Similarity

Vector = NDArray[np.float64]


def predict(
    analysis: Analysis,
    spec: DesignSpec,
    newdata: Any,
    ask: Request,
    seed: int,
    similarity: Similarity,
) -> pd.Series | pd.DataFrame:
    """What `MixedModelFit.predict` gives."""
    if isinstance(analysis, LatentAnalysis):
        return predict_latent(analysis, spec, newdata, ask, seed)
    if newdata is None:
        rows = training_rows(analysis)
    else:
        rows = new_rows(analysis, spec, newdata, ask)
    if ask.interval == "prediction":
        check_predictive(analysis.model.family, rows, ask)
    effects = effects_of(analysis, rows, ask, seed, similarity)
    if ask.kind == "terms":
        return term_frame(analysis, rows, ask, effects)
    eta = linear_predictor(analysis, rows, ask, effects)
    precise = ask.se or ask.interval is not None
    unknown = variance(analysis, rows, ask, estimation=precise)
    scale = _link_scale if ask.kind == "link" else _response_scale
    columns = scale(analysis, eta, unknown, ask)
    if ask.interval == "prediction":
        limits = predictive_limits(analysis, rows, eta, unknown.total, ask.level, seed)
        columns["lower"], columns["upper"] = limits
    if not precise:
        return pd.Series(columns["fit"], index=rows.index, name="fit")
    wanted = ["fit", *["se"] * ask.se, *["lower", "upper"] * (ask.interval is not None)]
    return pd.DataFrame({name: columns[name] for name in wanted}, index=rows.index)


def _link_scale(
    _: Analysis, eta: Vector, unknown: Variance, ask: Request
) -> dict[str, Vector]:
    """Linear predictor, its standard error and normal confidence limits."""
    se = np.sqrt(unknown.of_mean)
    margin = float(critical(ask.level)) * se
    return {"fit": eta, "se": se, "lower": eta - margin, "upper": eta + margin}


def _response_scale(
    analysis: Analysis, eta: Vector, unknown: Variance, ask: Request
) -> dict[str, Vector]:
    """Mean, its standard error and limits carried over from the linear predictor."""
    link = analysis.model.family.transform
    out = {"fit": marginal_mean(link, eta, unknown.of_effects)}
    if ask.se:
        slope = marginal_slope(link, eta, unknown.of_effects)
        # Effects of new levels make the mean itself unknown; integrated ones do not.
        between = marginal_variance(link, eta, unknown.unseen)
        out["se"] = np.sqrt(slope**2 * unknown.estimation + between)
    if ask.interval == "confidence":
        margin = float(critical(ask.level)) * np.sqrt(unknown.of_mean)
        low, high = (
            marginal_mean(link, within(link, eta + sign * margin), unknown.integrated)
            for sign in (-1, 1)
        )
        out["lower"], out["upper"] = np.minimum(low, high), np.maximum(low, high)
    return out
