"""Data for fits with networks."""

from __future__ import annotations

import numpy as np
import pandas as pd


def frame(
    seed: int = 0, n_groups: int = 20, size: int = 8, noise: float = 0.5
) -> pd.DataFrame:
    """Two inputs with a curved effect, a factor, groups, responses of several kinds."""
    rng = np.random.default_rng(seed)
    n = n_groups * size
    g = np.repeat(np.arange(n_groups), size)
    x1, x2 = rng.normal(size=(2, n))
    f = np.sin(1.5 * x1) + 0.4 * x2**2
    b = 0.7 * rng.normal(size=n_groups)
    eta = 1.0 + f + b[g]
    p = 1 / (1 + np.exp(1.0 - eta))
    trials = rng.integers(1, 9, n)
    return pd.DataFrame(
        {
            "x1": x1,
            "x2": x2,
            "c": rng.choice(["a", "b", "c"], n),
            "g": [f"g{i}" for i in g],
            "h": np.arange(n) % 7,
            "w": rng.uniform(0.3, 3.0, n),
            "known": 0.3 * rng.normal(size=n),
            "f": f,
            "y": eta + noise * rng.normal(size=n),
            "z": (rng.random(n) < p).astype(int),
            "k": rng.poisson(np.exp(0.4 * eta)),
            "trials": trials,
            "s": rng.binomial(trials, p),
        }
    )
