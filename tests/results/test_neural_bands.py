"""Bands of a network cover the function that made the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ngmm

INPUTS = [f"x{i}" for i in range(1, 6)]


def friedman(d: pd.DataFrame) -> pd.Series:
    return np.sin(np.pi * d.x1 * d.x2) * 2 + 4 * (d.x3 - 0.5) ** 2 + 2 * d.x4 + d.x5


def coverage(seed: int) -> float:
    """Share of new rows whose 95% interval has the mean without random effects."""
    r = np.random.default_rng(seed)
    n, groups = 600, 30
    d = pd.DataFrame(r.uniform(size=(n, 5)), columns=pd.Index(INPUTS))
    d["g"] = np.arange(n) % groups
    b = 0.7 * r.normal(size=groups)
    d["y"] = friedman(d) + b[d.g] + 0.7 * r.normal(size=n)
    estimator = ngmm.Evidence(restarts=2, widths=(4, 8))
    fit = ngmm.fit(f"y ~ nn({', '.join(INPUTS)}) + (1 | g)", d, estimator=estimator)
    # Conditional modes of known levels: the intercept's own error is not in the way.
    new = pd.DataFrame(r.uniform(size=(400, 5)), columns=pd.Index(INPUTS))
    new["g"] = np.arange(400) % groups
    found = fit.predict(new, interval="confidence")
    truth = (friedman(new) + b[new.g]).to_numpy()
    lower, upper = (np.asarray(found[name]) for name in ("lower", "upper"))
    return float(np.mean((lower < truth) & (truth < upper)))


@pytest.mark.calibration
def test_pointwise_bands_cover() -> None:
    # Rows of one fit share its errors: six fits have a standard error of about 0.005.
    found = np.mean([coverage(seed) for seed in range(6)])
    assert 0.92 < found < 0.99
