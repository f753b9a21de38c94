"""Network terms as arrays, and the records that rebuild them for new data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.design.columns import Column
from ngmm.design.frame import Frame
from ngmm.design.grouping import Grouping
from ngmm.design.network_inputs import (
    ArrayInput,
    FactorInput,
    InputSpec,
    build_input,
)
from ngmm.design.random_terms import Groups
from ngmm.design.records import LatentDesign, NetworkDesign
from ngmm.errors import DataError, DesignError, NewDataError, OptionError
from ngmm.formula import ModelFormula, NetworkTerm, RandomTerm
from ngmm.networks.inputs import Inputs

__all__ = [
    "FixedColumns",
    "LatentSpec",
    "NetworkSpec",
    "build_latent",
    "build_networks",
]

# The constant is spanned if a least-squares fit leaves no more than rounding errors.
_SPANNED = 1e-8


@dataclass(frozen=True, eq=False)
class NetworkSpec:
    """How to build the inputs of a network.

    Attributes
    ----------
    term
        The term as parsed.
    label
        What tables call it.
    inputs
        How to build each input.
    """

    term: NetworkTerm
    label: str
    inputs: tuple[InputSpec, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns of data that are needed."""
        return self.term.variables

    @property
    def array_names(self) -> tuple[str, ...]:
        """Those of them that are arrays."""
        return tuple(s.name for s in self.inputs if isinstance(s, ArrayInput))

    def build(
        self,
        columns: Mapping[str, Column],
        frame: Frame,
        error: type[DataError] = NewDataError,
    ) -> Inputs:
        """Return the inputs for these columns.

        Raises
        ------
        DataError
            If an input is not finite, or has another shape than in training.
        NewDataError
            If a factor has a level that was not seen in training.
        """
        tabular = [s for s in self.inputs if not isinstance(s, ArrayInput)]
        x = np.zeros((frame.n_rows, sum(len(spec.names) for spec in tabular)))
        start = 0
        codes: list[NDArray[np.int32]] = []
        arrays: list[NDArray[Any]] = []
        for spec in self.inputs:
            if isinstance(spec, ArrayInput):
                arrays.append(spec.array(frame, error))
            elif isinstance(spec, FactorInput) and spec.is_code:
                codes.append(spec.codes(columns, frame.n_rows, error))
            else:
                stop = start + len(spec.names)
                spec.fill(x[:, start:stop], columns, frame, error)
                start = stop
        return Inputs(x, tuple(codes), tuple(arrays))


@dataclass(frozen=True, eq=False)
class LatentSpec:
    """How to build a network with a latent input.

    Attributes
    ----------
    network
        The inputs of the network.
    grouping
        The grouping factor and its levels.
    """

    network: NetworkSpec
    grouping: Grouping


@dataclass(frozen=True, eq=False)
class FixedColumns:
    """The fixed-effects matrix, to find what a network shares with it.

    Attributes
    ----------
    X
        The matrix, shape (n, p).
    variables
        For each column, the columns of data in its term; none for the intercept.
    """

    X: NDArray[np.float64]
    variables: tuple[tuple[str, ...], ...]

    def shared_with(self, term: NetworkTerm) -> tuple[int, ...]:
        """Return the columns of terms all of whose variables the network reads."""
        inputs = set(term.variables)
        return tuple(
            column
            for column, names in enumerate(self.variables)
            if inputs.issuperset(names)
        )

    def centre(self, shared: tuple[int, ...]) -> bool:
        """Whether all columns span the constant, and those shared do not."""
        return not _spans_constant(self.X[:, list(shared)]) and _spans_constant(self.X)


def build_networks(
    terms: ModelFormula,
    columns: Mapping[str, Column],
    frame: Frame,
    fixed: FixedColumns,
) -> tuple[tuple[NetworkDesign, ...], tuple[NetworkSpec, ...]]:
    """Return the networks of the fixed part and how to build them again.

    Raises
    ------
    DataError
        If an input cannot be evaluated or looks like an identifier.
    DesignError
        If an input is the same in all rows.
    OptionError
        If an option is for networks with a latent input only.
    """
    labels = _labels(terms)
    designs: list[NetworkDesign] = []
    specs: list[NetworkSpec] = []
    for term in terms.networks:
        options = dict(term.options)
        if "latent" in options:
            raise OptionError(
                f"{term}: latent= is the number of latent values of a level, so it "
                f"stands left of a bar only: ({labels[term]} | g)"
            )
        spec = _network_spec(term, labels[term], columns, frame)
        inputs = spec.build(columns, frame, DataError)
        shared = fixed.shared_with(term)
        centred = fixed.centre(shared)
        designs.append(_network_design(spec, inputs, shared, options, centred=centred))
        specs.append(spec)
    return tuple(designs), tuple(specs)


def build_latent(
    terms: ModelFormula,
    columns: Mapping[str, Column],
    groups: Groups,
    frame: Frame,
) -> tuple[tuple[LatentDesign, ...], tuple[LatentSpec, ...]]:
    """Return the networks with a latent input and how to build them again.

    Raises
    ------
    DataError
        If an input cannot be evaluated or looks like an identifier.
    DesignError
        If an input is the same in all rows, or the grouping factor has one level.
    OptionError
        If the option ``latent`` is not a positive whole number.
    """
    labels = _labels(terms)
    designs: list[LatentDesign] = []
    specs: list[LatentSpec] = []
    for random, term in _latent_terms(terms):
        options = dict(term.options)
        n_latent = _latent_option(options.pop("latent", 1), term)
        codes, grouping = groups[random.group]
        if len(grouping.levels) == 1:
            raise DesignError(
                f"grouping factor '{grouping.name}' has one level, "
                f"'{grouping.levels[0]}': latent values that differ between levels "
                f"need at least two. Remove ({labels[term]} | {grouping.name})"
            )
        spec = _network_spec(term, labels[term], columns, frame)
        inputs = spec.build(columns, frame, DataError)
        network = _network_design(spec, inputs, (), options, centred=False)
        designs.append(
            LatentDesign(grouping.name, codes, grouping.levels, network, n_latent)
        )
        specs.append(LatentSpec(spec, grouping))
    return tuple(designs), tuple(specs)


def _network_spec(
    term: NetworkTerm, label: str, columns: Mapping[str, Column], frame: Frame
) -> NetworkSpec:
    inputs = (build_input(text, term, columns, frame) for text in term.inputs)
    return NetworkSpec(term, label, tuple(inputs))


def _network_design(
    spec: NetworkSpec,
    inputs: Inputs,
    shared: tuple[int, ...],
    options: Mapping[str, object],
    *,
    centred: bool,
) -> NetworkDesign:
    columns: list[str] = []
    column_inputs: list[int] = []
    codes: list[FactorInput] = []
    code_inputs: list[int] = []
    array_inputs: list[int] = []
    for position, part in enumerate(spec.inputs):
        if isinstance(part, ArrayInput):
            array_inputs.append(position)
        elif isinstance(part, FactorInput) and part.is_code:
            codes.append(part)
            code_inputs.append(position)
        else:
            columns += part.names
            column_inputs += [position] * len(part.names)
    return NetworkDesign(
        label=spec.label,
        inputs=inputs,
        columns=tuple(columns),
        variables=spec.term.inputs,
        column_inputs=tuple(column_inputs),
        code_inputs=tuple(code_inputs),
        array_inputs=tuple(array_inputs),
        levels=tuple(len(part.levels) for part in codes),
        shared=shared,
        options=options,
        centred=centred,
    )


def _spans_constant(X: NDArray[np.float64]) -> bool:
    """Whether a combination of the columns is one in all rows."""
    if (X == 1.0).all(axis=0).any():
        return True
    ones = np.ones(len(X))
    fitted = X @ np.linalg.lstsq(X, ones, rcond=None)[0]
    return bool(np.abs(fitted - ones).max() < _SPANNED)


def _latent_terms(terms: ModelFormula) -> list[tuple[RandomTerm, NetworkTerm]]:
    return [(random, term) for random in terms.random for term in random.networks]


def _labels(terms: ModelFormula) -> dict[NetworkTerm, str]:
    """Return the label of each network: with options only if they tell two apart."""
    networks = dict.fromkeys([*terms.networks, *(t for _, t in _latent_terms(terms))])
    short = {term: f"nn({', '.join(term.inputs)})" for term in networks}
    shared = Counter(short.values())
    return {
        term: str(term) if shared[label] > 1 else label for term, label in short.items()
    }


def _latent_option(value: object, term: NetworkTerm) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise OptionError(
        f"{term}: latent={value!r} is not a number of latent values; write a positive "
        "whole number, or leave it out for one"
    )
