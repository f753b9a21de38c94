"""Random-effect standard deviations and correlations as a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.covariance import pattern
from ngmm.inference.components import (
    Components,
    components,
    fisher_interval,
    log_interval,
)
from ngmm.inference.information import (
    covariance_from_information,
    variance_information,
)
from ngmm.inference.quantiles import critical
from ngmm.model import Estimate, Model


def term_components(model: Model, estimate: Estimate) -> list[Components]:
    """Standard deviations and correlations of each term of the formula."""
    out: list[Components] = []
    start = 0
    for term in model.design.random:
        p = pattern([(len(term.names), term.correlated)])
        theta = estimate.theta[start : start + p.n_theta]
        out.append(components(theta, estimate.sigma, p))
        start += p.n_theta
    return out


def parameter_covariance(model: Model, estimate: Estimate) -> NDArray[np.float64]:
    """Covariance matrix of the estimates of (theta, sigma), user's order and units."""
    problem = model.problem
    information = variance_information(estimate.profile, problem.n_residual)
    scale = np.append(problem.theta_scale, 1.0 / problem.data.y_scale)
    order = np.append(problem.order, problem.layout.n_theta)
    engine = covariance_from_information(information) / np.outer(scale, scale)
    return engine[np.ix_(order, order)]


def variance_frame(model: Model, estimate: Estimate, level: float) -> pd.DataFrame:
    """Columns group, name, name2, variance, sd, corr, conf_low, conf_high.

    A row with ``name2`` is about a correlation, any other about a standard deviation.
    At a boundary (a variance of zero, a correlation of one) limits are NaN.
    """
    cov = parameter_covariance(model, estimate)
    z = float(critical(level))
    rows: list[dict[str, Any]] = []
    start = 0
    for term, c in zip(
        model.design.random, term_components(model, estimate), strict=True
    ):
        size = c.d_log_sd.shape[1] - 1
        at = np.append(np.arange(start, start + size), len(cov) - 1)
        own = cov[np.ix_(at, at)]
        rows += _sd_rows(term.group, term.names, c, own, z)
        if term.correlated:
            rows += _correlation_rows(term.group, term.names, c, own, z)
        start += size
    se = np.sqrt(cov[-1, -1]) / estimate.sigma
    rows.append(
        _row("Residual", None, None, estimate.sigma, log_interval, se, z, is_sd=True)
    )
    return pd.DataFrame(rows)


def _sd_rows(
    group: str, names: tuple[str, ...], c: Components, cov: NDArray, z: float
) -> list[dict[str, Any]]:
    out = []
    for name, sd, d in zip(names, c.sd, c.d_log_sd, strict=True):
        se = np.sqrt(d @ cov @ d)
        out.append(_row(group, name, None, sd, log_interval, se, z, is_sd=True))
    return out


def _correlation_rows(
    group: str, names: tuple[str, ...], c: Components, cov: NDArray, z: float
) -> list[dict[str, Any]]:
    out = []
    for i in range(len(names)):
        for j in range(i):
            d = c.d_z[i, j]
            se = np.sqrt(d @ cov @ d)
            r = c.correlation[i, j]
            out.append(
                _row(group, names[i], names[j], r, fisher_interval, se, z, is_sd=False)
            )
    return out


def _row(
    group: str,
    name: str | None,
    name2: str | None,
    value: float,
    interval: Any,
    se: float,
    z: float,
    *,
    is_sd: bool,
) -> dict[str, Any]:
    low, high = interval(value, se, z)
    return {
        "group": group,
        "name": name,
        "name2": name2,
        "variance": value**2 if is_sd else np.nan,
        "sd": value if is_sd else np.nan,
        "corr": np.nan if is_sd else value,
        "conf_low": low,
        "conf_high": high,
    }
