"""Random-effect standard deviations and correlations as a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.inference.analysis import Analysis
from ngmm.inference.components import (
    Components,
    ScaleParameter,
    fisher_interval,
    log_interval,
)
from ngmm.inference.latent import LatentAnalysis
from ngmm.inference.quantiles import critical
from ngmm.results.latent import latent_variance_rows


def variance_frame(analysis: Analysis, level: float) -> pd.DataFrame:
    """Columns group, name, name2, variance, sd, corr, conf_low, conf_high.

    A row with ``name2`` is about a correlation, any other about a standard deviation.
    The standard deviations of a latent input of a network are one by definition: True
    in a column ``fixed``. At a boundary (a variance of zero, a correlation of one)
    limits are NaN. The dispersion parameter of a family that has one is the last row,
    in a column ``dispersion`` of its own.
    """
    cov = analysis.parameter_covariance
    z = float(critical(level))
    rows: list[dict[str, Any]] = []
    if isinstance(analysis, LatentAnalysis):
        rows += latent_variance_rows(analysis)
    start = 0
    for term, c in zip(analysis.model.design.random, analysis.components, strict=True):
        size = c.d_log_sd.shape[1] - 1
        at = np.append(np.arange(start, start + size), len(cov) - 1)
        own = cov[np.ix_(at, at)]
        rows += _sd_rows(term.group, term.names, c, own, z)
        if term.correlated:
            rows += _correlation_rows(term.group, term.names, c, own, z)
        start += size
    if analysis.scale is not None:
        rows.append(_scale_row(analysis.scale, z))
    return pd.DataFrame(rows)


def _sd_rows(
    group: str, names: tuple[str, ...], c: Components, cov: NDArray[Any], z: float
) -> list[dict[str, Any]]:
    out = []
    for name, sd, d in zip(names, c.sd, c.d_log_sd, strict=True):
        limits = log_interval(sd, np.sqrt(d @ cov @ d), z)
        out.append(_row(group, limits, name=name, variance=sd**2, sd=sd))
    return out


def _correlation_rows(
    group: str, names: tuple[str, ...], c: Components, cov: NDArray[Any], z: float
) -> list[dict[str, Any]]:
    out = []
    for i in range(len(names)):
        for j in range(i):
            d, r = c.d_z[i, j], c.correlation[i, j]
            limits = fisher_interval(r, np.sqrt(d @ cov @ d), z)
            out.append(_row(group, limits, name=names[i], name2=names[j], corr=r))
    return out


def _scale_row(scale: ScaleParameter, z: float) -> dict[str, Any]:
    limits = log_interval(scale.value, scale.log_se, z)
    if scale.name == "sigma":
        return _row("Residual", limits, variance=scale.value**2, sd=scale.value)
    return _row("Dispersion", limits, name=scale.name, dispersion=scale.value)


def _row(group: str, limits: tuple[float, float], **values: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("variance", "sd", "corr"), np.nan)
    bounds = dict(zip(("conf_low", "conf_high"), limits, strict=True))
    return {"group": group, "name": None, "name2": None, **empty, **bounds, **values}
