"""The frozen records that the design layer hands to the rest of the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Design", "NewDesign", "RandomDesign"]


@dataclass(frozen=True, eq=False)
class RandomDesign:
    """One random-effects term as arrays.

    The term contributes ``sum_k Z[i, k] * b[codes[i], k]`` to the linear predictor of
    row i, so the sparse matrix of textbooks is never formed.

    Attributes
    ----------
    group
        Name of the grouping factor, ``"a:b"`` for an interaction.
    names
        Names of the k columns of ``Z``: ``"Intercept"``, ``"Days"``, ``"recipe[B]"``.
    Z
        Values that multiply the random effects, shape (n, k).
    codes
        Level of each row as an index into ``levels``, shape (n,). In a design for new
        data, -1 marks a level that was not in the training data.
    levels
        Labels of the levels in the order of the codes; ``"A:a"`` for an interaction.
    correlated
        False for a term written with ``||``: the columns of ``Z`` are independent.
    """

    group: str
    names: tuple[str, ...]
    Z: NDArray[np.float64]
    codes: NDArray[np.int32]
    levels: pd.Index
    correlated: bool

    @property
    def n_levels(self) -> int:
        """Number of levels of the grouping factor."""
        return len(self.levels)

    @property
    def label(self) -> str:
        """The term as a reader would write it: ``(1 + Days | Subject)``."""
        names = ["1" if name == "Intercept" else name for name in self.names]
        if "1" not in names:
            names.insert(0, "0")
        bar = "|" if self.correlated else "||"
        return f"({' + '.join(names)} {bar} {self.group})"


@dataclass(frozen=True, eq=False)
class Design:
    """A formula and a data frame as arrays: all that a likelihood needs.

    Attributes
    ----------
    y
        Response, shape (n,); the number of successes if there are trials; 0 or 1 if
        the response has two labels.
    response_name
        The response as the user wrote it.
    X
        Fixed-effects matrix of full column rank, shape (n, p), in C order.
    names
        Names of the columns of ``X``: ``"Intercept"``, ``"Days"``, ``"x[T.b]"``.
    column_terms
        For each column of ``X``, the term of the formula it belongs to.
    offset
        Known part of the linear predictor, shape (n,); zeros if there is none.
    weights
        Prior (precision) weights, shape (n,); ones if there are none.
    has_weights
        Whether weights were given.
    trials
        Binomial numbers of trials, shape (n,), or None.
    random
        The random-effects terms in the order of the formula.
    rows
        Positions in the user's data of the n rows used, shape (n,).
    index
        Labels of those rows.
    missing
        Column name -> number of rows in which it is missing (only columns with any).
    n_dropped
        Number of rows left out because a value is missing.
    aliased
        Names of columns that were left out of ``X`` because they are linear
        combinations of columns to their left.
    response_levels
        The labels of a binary response that count as 0 and as 1; None if the response
        is numeric or boolean.
    """

    y: NDArray[np.float64]
    response_name: str
    X: NDArray[np.float64]
    names: tuple[str, ...]
    column_terms: tuple[str, ...]
    offset: NDArray[np.float64]
    weights: NDArray[np.float64]
    has_weights: bool
    trials: NDArray[np.float64] | None
    random: tuple[RandomDesign, ...]
    rows: NDArray[np.int64]
    index: pd.Index
    missing: Mapping[str, int] = field(default_factory=dict)
    n_dropped: int = 0
    aliased: tuple[str, ...] = ()
    response_levels: tuple[str, str] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows used."""
        return self.y.shape[0]


@dataclass(frozen=True, eq=False)
class NewDesign:
    """The matrices of a fitted model for new data.

    Attributes
    ----------
    X
        Fixed-effects matrix with the columns of the training design, shape (n, p).
    offset
        Known part of the linear predictor, shape (n,).
    random
        The requested random-effects terms. Their ``levels`` are those of the training
        data; a code of -1 marks a level that is not among them.
    unseen
        Grouping factor -> number of rows for each label that is not among its levels.
        Only grouping factors with such labels are listed.
    unseen_codes
        For those grouping factors, the position of each row's label in ``unseen``, and
        -1 where the level is known.
    index
        Labels of the rows.
    """

    X: NDArray[np.float64]
    offset: NDArray[np.float64]
    random: tuple[RandomDesign, ...]
    unseen: Mapping[str, pd.Series]
    unseen_codes: Mapping[str, NDArray[np.intp]]
    index: pd.Index

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.X.shape[0]
