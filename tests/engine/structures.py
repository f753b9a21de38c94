"""One small data frame, and the models on it that take every path of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

import ngmm
from ngmm.likelihood import condense
from ngmm.model import Model

N_ROWS = 48
SPARSE, FULL = 0, 10**12  # values of PAIR_COST that force a coupling


@dataclass(frozen=True)
class Structure:
    """A model and an interior point of its parameter space.

    Attributes
    ----------
    formula
        Of columns of `frame`.
    theta
        Relative covariance parameters at which the likelihood is evaluated.
    sigma
        Residual standard deviation there.
    call
        Further arguments of `build_design`.
    pair_cost
        Forces the sparse or the full coupling; None leaves the choice to the engine.
    """

    formula: str
    theta: tuple[float, ...]
    sigma: float = 0.8
    call: Mapping[str, Any] = field(default_factory=dict)
    pair_cost: int | None = None


@cache
def frame() -> pd.DataFrame:
    """Unbalanced crossed, nested and disjoint factors; 48 rows."""
    rng = np.random.default_rng(20)
    row = np.arange(N_ROWS)

    def factor(n_levels: int) -> Any:
        # Every level occurs; the rest of the rows fall where they may.
        codes = np.r_[np.arange(n_levels), rng.integers(0, n_levels, N_ROWS - n_levels)]
        return rng.permutation(codes).astype(str)

    a = row % 4
    b = rng.integers(0, 3, N_ROWS)
    data = pd.DataFrame(
        {
            "g": factor(8),
            "h": factor(6),
            "many": factor(14),
            # Labels of b are used again in every a, those of c in every a:b.
            "a": a.astype(str),
            "b": b.astype(str),
            "c": rng.integers(0, 2, N_ROWS).astype(str),
            # Two laboratories that share neither subjects nor items, of unequal size.
            "subject": np.where(row < 30, row % 7, 7 + row % 3).astype(str),
            "item": np.where(row < 30, row // 6 % 5, 5 + row % 2).astype(str),
            "x": rng.normal(size=N_ROWS),
            "z": rng.normal(size=N_ROWS) + 0.5,
            "u": rng.normal(size=N_ROWS),
            "v": rng.uniform(size=N_ROWS),
            "w": rng.uniform(0.3, 4.0, N_ROWS),
            "shift": rng.normal(0.0, 3.0, N_ROWS),
        }
    )
    y = 2.0 + 0.5 * data["x"] + rng.normal(size=8)[data["g"].astype(int)]
    data["y"] = y + rng.normal(size=6)[data["h"].astype(int)] + rng.normal(size=N_ROWS)
    data["y_far"] = data["y"] + 1e6
    data["big"], data["small"] = 1e6 * data["z"], 1e-6 * data["u"]
    return data


_CROSSED = Structure("y ~ x + (1 | g) + (1 | h)", (0.9, 0.5))
_VECTORS = Structure(
    "y ~ x + (1 + x | g) + (0 + z | g) + (1 + u | h)",
    (0.9, -0.3, 0.6, 0.4, 0.7, 0.2, 0.5),
)

STRUCTURES = {
    "scalar": Structure("y ~ x + (1 | g)", (0.9,)),
    "slope only": Structure("y ~ x + (0 + z | g)", (0.9,)),
    "vector": Structure("y ~ x + (1 + x | g)", (0.9, -0.3, 0.6)),
    "double bar": Structure("y ~ x + (1 + x || g)", (0.9, 0.6)),
    # Five effects: above the size to which the linear algebra is written out.
    "five effects": Structure(
        "y ~ x + (1 + x + z + u + v || g)", (0.9, 0.6, 0.4, 0.3, 0.7)
    ),
    "two terms": Structure("y ~ x + (1 + x | g) + (0 + z | g)", (0.9, -0.3, 0.6, 0.4)),
    "crossed, sparse": replace(_CROSSED, pair_cost=SPARSE),
    "crossed, full": replace(_CROSSED, pair_cost=FULL),
    # The factor named first has fewer levels, so it is not eliminated first.
    "crossed, small first": Structure(
        "y ~ x + (1 | h) + (1 + z | g)", (0.5, 1, 0.2, 1)
    ),
    "vectors, sparse": replace(_VECTORS, pair_cost=SPARSE),
    "vectors, full": replace(_VECTORS, pair_cost=FULL),
    "three crossed": Structure(
        "y ~ x + (1 | many) + (1 | h) + (1 + x | a)", (0.7, 0.5, 0.8, 0.1, 0.6)
    ),
    "disjoint crossed": Structure("y ~ x + (1 | subject) + (1 | item)", (0.9, 0.5)),
    "nested": Structure("y ~ x + (1 | a/b)", (0.9, 0.5)),
    "nested vectors": Structure(
        "y ~ x + (1 + x | a/b)", (0.9, -0.3, 0.6, 0.5, 0.2, 0.4)
    ),
    "nested deep": Structure("y ~ x + (1 | a/b/c)", (0.9, 0.5, 0.7)),
    "nested and crossed": Structure("y ~ x + (1 | a/b) + (1 | h)", (0.9, 0.5, 0.7)),
    "weights": Structure(
        "y ~ x + (1 + x | g)", (0.9, -0.3, 0.6), call={"weights": "w"}
    ),
    "crossed weights": replace(_CROSSED, call={"weights": "w"}),
    "offset": Structure("y ~ x + offset(shift) + (1 | g)", (0.9,)),
    "no fixed effects": Structure("y ~ 0 + (1 | g)", (0.9,)),
    "no fixed, crossed": Structure("y ~ 0 + (1 | g) + (1 | h)", (0.9, 0.5)),
    # 14 groups of one row upwards, three effects each.
    "more effects than rows": Structure(
        "y ~ x + (1 + x + z | many)", (0.9, -0.3, 0.2, 0.6, 0.1, 0.5)
    ),
    "badly scaled": Structure(
        "y ~ big + small + (1 + big + small | g)",
        (0.9, -3e-7, 2e5, 6e-7, 1e5, 5e5),
    ),
    "far from zero": Structure("y_far ~ x + (1 + x | g)", (0.9, -0.3, 0.6)),
}


def build(structure: Structure | str, *, reml: bool = False) -> Model:
    """The model of a structure, its cross-products formed."""
    s = STRUCTURES[structure] if isinstance(structure, str) else structure
    design, _ = ngmm.build_design(ngmm.parse(s.formula), frame(), **s.call)
    model = Model(design, reml=reml)
    cost = condense.PAIR_COST if s.pair_cost is None else s.pair_cost
    with patch.object(condense, "PAIR_COST", cost):
        assert model.problem.system.n_rows == N_ROWS
    return model
