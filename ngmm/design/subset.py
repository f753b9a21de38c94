"""Some rows of a design as a design of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design.rank import independent_columns, select_columns
from ngmm.design.records import Design, NetworkDesign, RandomDesign

__all__ = ["Part", "design_rows"]

Rows = NDArray[np.intp]


class Part(NamedTuple):
    """Some rows of a design.

    Attributes
    ----------
    design
        Of these rows; levels without any are left out.
    kept
        Columns of X that are independent there; those of a level without rows are not.
    """

    design: Design
    kept: NDArray[np.intp]


def design_rows(whole: Design, rows: Rows) -> Part:
    """Return the design of some of its rows."""
    X = whole.X[rows]
    kept = independent_columns(X)
    design = replace(
        whole,
        y=whole.y[rows],
        X=select_columns(X, kept),
        names=tuple(whole.names[i] for i in kept),
        column_terms=tuple(whole.column_terms[i] for i in kept),
        offset=whole.offset[rows],
        weights=whole.weights[rows],
        trials=None if whole.trials is None else whole.trials[rows],
        random=tuple(_random(t, rows) for t in whole.random),
        rows=whole.rows[rows],
        index=whole.index[rows],
        networks=tuple(_network(t, rows, kept) for t in whole.networks),
    )
    return Part(design, kept)


def _random(term: RandomDesign, rows: Rows) -> RandomDesign:
    used, codes = np.unique(term.codes[rows], return_inverse=True)
    return replace(
        term,
        Z=term.Z[rows],
        codes=codes.reshape(-1).astype(np.int32),
        levels=pd.Index(term.levels[used]),
    )


def _network(
    network: NetworkDesign, rows: Rows, kept: NDArray[np.intp]
) -> NetworkDesign:
    place = {int(column): at for at, column in enumerate(kept)}
    return replace(
        network,
        inputs=jax.tree.map(lambda a: np.asarray(a)[rows], network.inputs),
        shared=tuple(place[c] for c in network.shared if c in place),
    )
