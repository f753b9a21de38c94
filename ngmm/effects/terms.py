"""A network term of a fit, found by the text of the formula."""

from __future__ import annotations

from dataclasses import dataclass

from ngmm.design import DesignSpec, NetworkDesign
from ngmm.design.network_inputs import ArrayInput
from ngmm.design.network_terms import NetworkSpec
from ngmm.errors import OptionError, did_you_mean
from ngmm.formula import columns_of
from ngmm.likelihood.neural.terms import Stack
from ngmm.neural.record import FittedNetworks
from ngmm.results import MixedModelFit


@dataclass(frozen=True, eq=False)
class Term:
    """One network term of a fit.

    Attributes
    ----------
    networks
        All networks of the fit.
    position
        The term's place among them.
    spec
        How the inputs of new rows are built, and those of this term.
    """

    networks: FittedNetworks
    position: int
    spec: DesignSpec

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.design.label

    @property
    def design(self) -> NetworkDesign:
        """Its inputs over the rows of the fit."""
        return self.networks.designs[self.position]

    @property
    def network_spec(self) -> NetworkSpec:
        """How its inputs are built."""
        return self.spec.networks[self.position]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that it reads as numbers or levels."""
        arrays = set(self.network_spec.array_names)
        return tuple(c for c in self.network_spec.variables if c not in arrays)

    @property
    def stack(self) -> Stack:
        """The networks of the fit, and where their weights stand."""
        return self.networks.stack

    @property
    def weights(self) -> slice:
        """Where its weights stand among those of all networks."""
        sizes = self.stack.sizes
        start = sum(sizes[: self.position])
        return slice(start, start + sizes[self.position])

    def column(self, name: str) -> str:
        """The column that a name means: a column, or an input that reads one.

        Raises
        ------
        OptionError
            If the term reads no such column, or it is an array.
        """
        for part in self.network_spec.inputs:
            read = columns_of(part.text)
            if _bare(name) == _bare(part.text) and len(read) == 1:
                if isinstance(part, ArrayInput):
                    raise OptionError(
                        f"{name} is an array a row; numbers and factors can be varied"
                    )
                return read[0]
        if name in self.columns:
            return name
        raise OptionError(
            f'"{name}" is not an input of {self.label}'
            f"{did_you_mean(name, self.columns) or '.'} "
            f"Inputs: {', '.join(self.columns) or 'none that can be varied'}"
        )


def network_terms(fit: MixedModelFit) -> tuple[Term, ...]:
    """The network terms of a fit.

    Raises
    ------
    OptionError
        If it has none.
    """
    if fit.networks is None:
        raise OptionError(
            f"the model `{fit.formula}` has no network terms; effects of linear terms "
            "are their coefficients, see fit.coef_table()"
        )
    n = len(fit.networks.designs)
    return tuple(Term(fit.networks, i, fit.spec) for i in range(n))


def network_term(fit: MixedModelFit, text: str) -> Term:
    """The network term with this text, whatever its spaces and options.

    Raises
    ------
    OptionError
        If there is no such term.
    """
    terms = network_terms(fit)
    for term in terms:
        if _bare(text) in (_bare(term.label), _bare(str(term.network_spec.term))):
            return term
    labels = [term.label for term in terms]
    raise OptionError(
        f'"{text}" is not a network term of the model'
        f"{did_you_mean(text, labels) or '.'} Network terms: {', '.join(labels)}"
    )


def _bare(text: str) -> str:
    """The text without what a formula may add to it freely."""
    return "".join(text.split()).replace("`", "")
