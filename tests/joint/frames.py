"""Small data with an effect of a curve that differs between groups."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import ngmm

ROWS, GROUPS = 240, 12
# Few epochs: held-out rows of so few would not settle, which is warned of.
SHORT = ngmm.Joint(epochs=40, batch_rows=60, held_out=0.0)
SLOPES = "y ~ nn(x, z, hidden=(8, 3)) + (1 + nn || g)"


@cache
def curved(family: str = "gaussian", seed: int = 0) -> pd.DataFrame:
    """Rows of twelve groups, whose curves are steeper or flatter."""
    rng = np.random.default_rng(seed)
    g = np.arange(ROWS) % GROUPS
    x, z = rng.normal(size=(2, ROWS))
    steep = 1.0 + 0.5 * rng.normal(size=GROUPS)[g]
    eta = steep * np.sin(1.5 * x) + 0.4 * z + 0.5 * rng.normal(size=GROUPS)[g]
    y = eta + 0.3 * rng.normal(size=ROWS)
    if family == "bernoulli":
        y = (rng.random(ROWS) < 1.0 / (1.0 + np.exp(-2.0 * eta))).astype(float)
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": [f"g{i:02}" for i in g]})


@cache
def fitted(family: str = "gaussian", formula: str = SLOPES) -> Any:
    """A fit of slopes on the hidden units."""
    return ngmm.fit(
        formula, curved(family), family=family, estimator=SHORT, progress=False
    )
