"""Inputs of networks that make a fit hard to read: what a user should be warned of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.design._text import counted
from ngmm.design.rank import independent_columns
from ngmm.design.records import Design, NetworkDesign

__all__ = ["network_warnings"]

# An input with at least this share of a factor's number of levels tells them apart.
_NEARLY_ALL = 0.9


def network_warnings(design: Design) -> tuple[str, ...]:
    """Return what to warn of about the inputs of a design's networks.

    An input that is constant within each level of a grouping factor and differs between
    them competes with the random intercept: the network can give each level its own
    effect. Two inputs of which one is a linear function of the other share their
    effect between them in an arbitrary way.

    Examples
    --------
    >>> import pandas as pd
    >>> from ngmm.design import build_design
    >>> from ngmm.formula import parse
    >>> data = pd.DataFrame({"y": [1.0, 2, 4, 3, 5, 9], "g": list("aabbcc")})
    >>> data["size"] = [10, 10, 14, 14, 25, 25]
    >>> design, _ = build_design(parse("y ~ nn(size) + (1 | g)"), data)
    >>> print(network_warnings(design)[0])
    input size of nn(size) is the same within each level of 'g' and has 3 values in 3 \
levels, so the network competes with the random intercept of 'g', whose variance may \
come out too small; let it enter as a linear term, + size, outside of nn()
    """
    texts: list[str] = []
    for network, groups in _networks(design):
        for variable in range(len(network.variables)):
            values = _values_of(network, variable)
            if values is None:
                continue
            for group, (codes, n_levels) in groups.items():
                n_values = _values_by_level(values, codes, n_levels)
                if n_values >= _NEARLY_ALL * n_levels:
                    texts.append(
                        _competition(network, variable, group, n_values, n_levels)
                    )
        texts += _copies(network)
    return tuple(dict.fromkeys(texts))


def _networks(
    design: Design,
) -> Iterator[tuple[NetworkDesign, dict[str, tuple[NDArray[np.int32], int]]]]:
    """Yield each network with the grouping factors that have a random intercept."""
    groups = {
        term.group: (term.codes, term.n_levels)
        for term in design.random
        if "Intercept" in term.names
    }
    for network in design.networks:
        yield network, groups
    for term in design.latent:
        yield term.network, {**groups, term.group: (term.codes, term.n_levels)}


def _values_of(network: NetworkDesign, variable: int) -> NDArray[Any] | None:
    """Return the values of an input, or the codes of a factor; None for an array."""
    if variable in network.code_inputs:
        return network.inputs.codes[network.code_inputs.index(variable)]
    columns = _columns_of(network, variable)
    if not columns.shape[1]:
        return None
    if columns.shape[1] > 1:
        return columns.argmax(axis=1)
    return columns[:, 0]


def _columns_of(network: NetworkDesign, variable: int) -> NDArray[np.float64]:
    """Return the columns of ``x`` that belong to an input."""
    mine = np.flatnonzero(np.asarray(network.column_inputs) == variable)
    return np.asarray(network.inputs.x)[:, mine]


def _values_by_level(
    values: NDArray[Any], codes: NDArray[np.int32], n_levels: int
) -> int:
    """Return how many values the levels have; 0 unless each level has one."""
    by_level = np.zeros(n_levels, dtype=values.dtype)
    by_level[codes] = values
    constant = bool((by_level[codes] == values).all())
    return len(np.unique(by_level)) if constant else 0


def _competition(
    network: NetworkDesign, variable: int, group: str, n_values: int, n_levels: int
) -> str:
    text = network.variables[variable]
    effect = (
        f"the network competes with the random intercept of '{group}', whose variance "
        "may come out too small"
    )
    if text.strip("`") == group:
        return (
            f"input {text} of {network.label} is the grouping factor itself, so "
            f"{effect}; leave it out of nn()"
        )
    return (
        f"input {text} of {network.label} is the same within each level of '{group}' "
        f"and has {counted(n_values, 'value')} in {counted(n_levels, 'level')}, so "
        f"{effect}; let it enter as a linear term, + {text}, outside of nn()"
    )


def _copies(network: NetworkDesign) -> list[str]:
    """Return a warning for each input that is a linear function of earlier ones."""
    blocks = [_block(network, variable) for variable in range(len(network.variables))]
    owner = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
    ones = np.ones((network.inputs.n_rows, 1))
    kept = independent_columns(np.concatenate([ones, *blocks], axis=1)) - 1
    aliased = np.setdiff1d(np.arange(len(owner)), kept)
    copies = {
        int(variable): _alike(blocks, int(variable))
        for variable in np.unique(owner[aliased])
    }
    for position, variable in enumerate(network.code_inputs):
        for earlier in range(position):
            if _same_partition(network.inputs.codes, earlier, position):
                copies[variable] = network.code_inputs[earlier]
    return [
        f"input {network.variables[variable]} of {network.label} is a linear function "
        f"of {_named(network, other)}, so the effect of one cannot be told from that "
        "of the other; remove one of them"
        for variable, other in copies.items()
    ]


def _block(network: NetworkDesign, variable: int) -> NDArray[np.float64]:
    """Return the columns of an input, one less for a factor: they add up to one."""
    columns = _columns_of(network, variable)
    return columns[:, 1:] if columns.shape[1] > 1 else columns


def _alike(blocks: list[NDArray[np.float64]], variable: int) -> int | None:
    """Return the one earlier input that an input is a linear function of, if any."""
    block = blocks[variable]
    ones = np.ones((len(block), 1))
    for other in range(variable):
        both = np.concatenate([ones, blocks[other], block], axis=1)
        if len(independent_columns(both)) <= 1 + blocks[other].shape[1]:
            return other
    return None


def _same_partition(
    codes: tuple[NDArray[np.int32], ...], first: int, second: int
) -> bool:
    """Whether two factors tell the same rows apart."""
    a, b = (codes[position].astype(np.int64) for position in (first, second))
    pairs = len(np.unique(a * (b.max() + 1) + b))
    return pairs == len(np.unique(a)) == len(np.unique(b))


def _named(network: NetworkDesign, other: int | None) -> str:
    return "the other inputs" if other is None else network.variables[other]
