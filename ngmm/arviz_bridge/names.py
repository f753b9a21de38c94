"""bambi's names of variables and dimensions for the parameters of a fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.inference.components import Term

ROWS = "__obs__"

_LEVEL = re.compile(r"\[([^\[\]]*)\]")


class Variable(NamedTuple):
    """One variable of a data set.

    Attributes
    ----------
    dims
        Names of its dimensions after chain and draw.
    values
        (draws, ...) values.
    coords
        Labels of those dimensions.
    note
        What is special about it; empty if nothing is.
    """

    dims: tuple[str, ...]
    values: NDArray[Any]
    coords: dict[str, NDArray[Any]]
    note: str = ""


class Part(NamedTuple):
    """Columns of a term that make one variable.

    Attributes
    ----------
    name
        ``"1"``, ``"x"``, ``"f"``.
    columns
        Their positions.
    labels
        Levels or numbers of several columns; None for a numeric one.
    """

    name: str
    columns: list[int]
    labels: list[str] | None


def allowed(name: str) -> str:
    """The name without the slash, which neither xarray's trees nor netCDF can have.

    >>> allowed("incidence / size")
    'incidence _over_ size'
    """
    return name.replace("/", "_over_")


def parts_of(names: Sequence[str]) -> list[Part]:
    """Columns of random effects by variable.

    >>> [tuple(p) for p in parts_of(["Intercept", "x", "f[T.b]", "f[T.c]"])]
    [('1', [0], None), ('x', [1], None), ('f', [2, 3], ['b', 'c'])]
    """
    by_name: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        term = "1" if name == "Intercept" else _LEVEL.sub("", name)
        by_name.setdefault(term, []).append(i)
    return [_part(term, at, names) for term, at in by_name.items()]


def fixed_parts(design: Design) -> list[Part]:
    """Columns of the fixed effects by variable."""
    by_name: dict[str, list[int]] = {}
    for i, term in enumerate(design.column_terms):
        by_name.setdefault(term, []).append(i)
    return [_part(term, at, design.names) for term, at in by_name.items()]


def _part(term: str, columns: list[int], names: Sequence[str]) -> Part:
    own = [names[i] for i in columns]
    if len(own) == 1 and not _LEVEL.search(own[0]):
        return Part(allowed(term), columns, None)
    labels = [
        ", ".join(x.removeprefix("T.") for x in _LEVEL.findall(name)) for name in own
    ]
    if len(set(labels)) < len(labels):
        # What stands in brackets does not tell them apart.
        labels = own
    return Part(allowed(term), columns, labels)


def level_labels(levels: pd.Index) -> NDArray[Any]:
    """Labels of the levels of a factor as text, as bambi has them."""
    return np.array([str(level) for level in levels], dtype=str)


def factor_dim(group: str) -> str:
    """Dimension of the levels of a grouping factor."""
    return f"{allowed(group)}__factor_dim"


def fixed_variables(design: Design, beta: NDArray[np.float64]) -> dict[str, Variable]:
    """``Intercept``, ``x``, and ``f`` with the dimension ``f_dim``."""
    out = {}
    for part in fixed_parts(design):
        if part.labels is None:
            out[part.name] = Variable((), beta[:, part.columns[0]], {})
            continue
        dim = f"{part.name}_dim"
        labels = np.array(part.labels, dtype=str)
        out[part.name] = Variable((dim,), beta[:, part.columns], {dim: labels})
    return out


def effect_variables(
    term: Term, group: str, levels: pd.Index, b: NDArray[np.float64]
) -> dict[str, Variable]:
    """``1|g``, ``x|g`` with the dimension ``g__factor_dim``."""
    out = {}
    over = {factor_dim(group): level_labels(levels)}
    for part in parts_of(term.names):
        name = f"{part.name}|{allowed(group)}"
        if part.labels is None:
            values = b[:, :, part.columns[0]]
            out[name] = Variable(tuple(over), values, over)
            continue
        dims = {f"{part.name}__expr_dim": np.array(part.labels, dtype=str), **over}
        values = np.swapaxes(b[:, :, part.columns], 1, 2)
        out[name] = Variable(tuple(dims), values, dims)
    return out


def deviation_variables(
    term: Term, group: str, lam: NDArray[np.float64], note: str
) -> dict[str, Variable]:
    """``1|g_sigma``, ``x|g_sigma``, and ``cor(Intercept, x | g)``, bambi having none.

    Correlations are left out where every draw of a standard deviation is zero.
    """
    sd = np.sqrt(np.einsum("dij,dij->di", lam, lam))
    out = {}
    for part in parts_of(term.names):
        name = f"{part.name}|{allowed(group)}_sigma"
        if part.labels is None:
            out[name] = Variable((), sd[:, part.columns[0]], {}, note)
            continue
        dim = f"{part.name}__expr_dim"
        labels = {dim: np.array(part.labels, dtype=str)}
        out[name] = Variable((dim,), sd[:, part.columns], labels, note)
    if term.correlated:
        out |= _correlations(term, group, lam, sd, note)
    return out


def _correlations(
    term: Term,
    group: str,
    lam: NDArray[np.float64],
    sd: NDArray[np.float64],
    note: str,
) -> dict[str, Variable]:
    out = {}
    for i in range(len(term.names)):
        for j in range(i):
            defined = (sd[:, i] > 0) & (sd[:, j] > 0)
            if not defined.any():
                continue
            product = np.einsum("dk,dk->d", lam[:, i], lam[:, j])
            with np.errstate(invalid="ignore", divide="ignore"):
                r = np.clip(product / (sd[:, i] * sd[:, j]), -1.0, 1.0)
            missing = int((~defined).sum())
            text = f"missing in {missing} draws with a standard deviation of zero"
            own = "; ".join(t for t in (note, text if missing else "") if t)
            name = f"cor({term.names[j]}, {term.names[i]} | {group})"
            out[allowed(name)] = Variable((), r, {}, own)
    return out
