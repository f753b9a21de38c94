"""A fit as text, Markdown or JSON."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from ngmm.model import GeneralizedEstimate
from ngmm.results import MixedModelFit
from ngmm.results.table import Table


def report(fit: MixedModelFit, options: argparse.Namespace) -> str:
    """The fit in the format that was asked for."""
    if options.json:
        return as_json(_document(fit))
    summary = fit.summary()
    return summary.to_markdown() if options.markdown else str(summary)


def as_json(value: Any) -> str:
    """Plain containers as JSON, with null for what is not a number."""
    return json.dumps(_plain(value), indent=2, allow_nan=False)


def records(table: Table, label: str = "name") -> list[dict[str, Any]]:
    """The rows of a table, its row names under `label`."""
    frame = table.to_frame().rename_axis(label).reset_index()
    return [
        {str(k): v for k, v in row.items()} for row in frame.to_dict(orient="records")
    ]


def _document(fit: MixedModelFit) -> dict[str, Any]:
    """Collect the numbers of a fit."""
    verdict = fit.check()
    return {
        "formula": fit.formula,
        "family": fit.family,
        "link": fit.link,
        "reml": fit.reml,
        "nobs": fit.nobs,
        "n_levels": fit.n_levels,
        "loglik": fit.loglik,
        "aic": fit.aic,
        "bic": fit.bic,
        "df_model": fit.df_model,
        "sigma": fit.sigma,
        "phi": fit.phi,
        "integral": _integral(fit),
        "fixef": records(fit.coef_table()),
        "varcorr": fit.varcorr().to_frame().to_dict("records"),
        "networks": records(fit.nn_table()) if fit.is_neural else [],
        "converged": fit.converged,
        "singular": fit.is_singular,
        "messages": [str(message) for message in verdict.messages],
    }


def _integral(fit: MixedModelFit) -> dict[str, Any] | None:
    """Say how the random effects were integrated out; None for an exact likelihood."""
    if not isinstance(fit.estimate, GeneralizedEstimate):
        return None
    return asdict(fit.estimate.integral)


def _plain(value: Any) -> Any:
    """Turn numpy's numbers into Python's, and what JSON cannot hold into null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, int | float | None) else str(value)
