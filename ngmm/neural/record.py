"""Fitted networks: the members of an average, and what they give for any rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.design import NetworkDesign, RandomDesign
from ngmm.estimation.status import Status
from ngmm.likelihood.neural.terms import Stack, Term, jacobian, last_units, outputs
from ngmm.linalg import precise
from ngmm.model import Model
from ngmm.networks import Inputs, Varying, is_natural
from ngmm.training.joint.opponent import Faced
from ngmm.training.joint.own import Modulation
from ngmm.training.joint.task import LEAST_SPREAD

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Rows that go through the networks at once.
BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class Member:
    """One search's result, in the units of the likelihood.

    Attributes
    ----------
    x
        (beta, w, tau).
    covariance
        Posterior covariance of x: inverse of the penalised information, and what the
        uncertainty of the penalties adds; None where it was not computed.
    share
        Its weight in the average; shares sum to one.
    evidence, loglik
        Log-evidence, with the symmetries of the network, and log-likelihood.
    edf, log_penalty
        By ridge group.
    width
        Width of the hidden layers, if ngmm chose it.
    active
        (n_weights,) one for a weight in use.
    """

    x: Vector
    covariance: Matrix | None
    share: float
    evidence: float
    loglik: float
    edf: Vector
    log_penalty: Vector
    width: int | None
    active: Vector


@dataclass(frozen=True, eq=False)
class Units:
    """What random slopes on the units of a network multiply.

    Attributes
    ----------
    kept
        Positions of the units that vary between rows; a constant one has no slope.
    centre, spread
        What is subtracted from these, and what they are divided by: mean and standard
        deviation over the rows of the fit, zero and the inverse of the output's scale
        for those that are taken as they are.
    """

    kept: NDArray[np.intp]
    centre: Vector
    spread: Vector

    @classmethod
    def of(cls, h: Matrix, natural: tuple[bool, ...], scale: float) -> Units:
        """Return the scaling for all units in the rows of the fit."""
        kept = np.flatnonzero(h.std(0) > LEAST_SPREAD)
        as_they_are = np.array(natural)[kept]
        centre = np.where(as_they_are, 0.0, h.mean(0)[kept])
        return cls(kept, centre, np.where(as_they_are, 1.0 / scale, h.std(0)[kept]))

    def columns(self, h: Matrix) -> Matrix:
        """The columns of some rows, from all units of the layer."""
        return (h[:, self.kept] - self.centre) / self.spread


@dataclass(frozen=True, eq=False)
class FittedNetworks:
    """The network terms of a fit.

    Attributes
    ----------
    designs
        The terms as the formula has them, with the training rows.
    X
        (n, p) fixed-effect columns of the training rows.
    stack
        The networks.
    members
        The fits whose outputs are averaged, the best one first.
    groups
        (n_weights,) ridge group of each weight.
    n_beta
        Number of fixed effects, which lead in a member's x.
    scale
        Units of the response in one unit of a network's output.
    coefficients
        For each member, for each term, (r,) least-squares coefficients of its raw
        output on the fixed-effect columns it shares.
    evidences
        (n_runs,) log-evidence of all searches.
    statuses
        How the members' searches ended.
    n_epochs, history
        Epochs of training by minibatches, and what happened in them; zero and None
        otherwise.
    without
        Log-likelihood of the model without networks; None if it was not looked at.
    units
        For each network its last hidden units, if a term has random slopes on them;
        empty where none has.
    adversary
        What the networks were trained against; None for nothing.
    modulations
        For each network the random effects by which it draws its inputs again; empty
        where none does.
    """

    designs: tuple[NetworkDesign, ...]
    X: Matrix
    stack: Stack
    members: tuple[Member, ...]
    groups: NDArray[np.int32]
    n_beta: int
    scale: float
    coefficients: tuple[tuple[Vector, ...], ...]
    evidences: Vector
    statuses: tuple[Status, ...]
    n_epochs: int = 0
    history: Any = None
    without: float | None = None
    units: tuple[Units | None, ...] = ()
    adversary: Faced | None = None
    modulations: tuple[tuple[Modulation, ...], ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The terms as the formula spells them."""
        return tuple(d.label for d in self.designs)

    @property
    def has_covariance(self) -> bool:
        """Whether the uncertainty of the weights is known."""
        return all(m.covariance is not None for m in self.members)

    @property
    def is_finite(self) -> bool:
        """Whether the outputs are finite in all rows of the fit."""
        return all(np.isfinite(m.x).all() for m in self.members)

    @property
    def edf(self) -> Vector:
        """(terms,) effective number of weights of each term."""
        out = np.zeros(len(self.designs))
        for member in self.members:
            start = 0
            for t, size in enumerate(self.stack.sizes):
                own = np.unique(self.groups[start : start + size])
                out[t] += member.share * member.edf[own].sum()
                start += size
        return out

    def with_coefficients(self) -> FittedNetworks:
        """The same, with what makes outputs orthogonal to the columns they share."""
        inputs = [d.inputs for d in self.designs]
        bases = [d.basis(self.X) for d in self.designs]
        found = []
        for member in self.members:
            g = _raw(self.weights(member), inputs, self.stack)
            each = zip(bases, g.T, strict=True)
            found.append(tuple(_regression(basis, column) for basis, column in each))
        return replace(self, coefficients=tuple(found))

    def weights(self, member: Member) -> Vector:
        """The weights of all networks of a member."""
        p = self.n_beta
        return member.x[p : p + self.stack.n_weights]

    def outputs(self, inputs: Sequence[Inputs], X: Matrix) -> Matrix:
        """Contribution of each term to the linear predictor, (n, terms).

        Parameters
        ----------
        inputs
            What each network reads.
        X
            (n, p) fixed-effect columns of the rows.
        """
        by_member = self.member_outputs(inputs, X)
        shares = [m.share for m in self.members]
        return np.einsum("m,mnt->nt", shares, by_member)

    def member_outputs(self, inputs: Sequence[Inputs], X: Matrix) -> NDArray[Any]:
        """The same for each member: (members, n, terms)."""
        out = []
        for member, coefficients in zip(self.members, self.coefficients, strict=True):
            g = _raw(self.weights(member), inputs, self.stack)
            for t, (design, c) in enumerate(
                zip(self.designs, coefficients, strict=True)
            ):
                g[:, t] -= design.basis(X) @ c
            out.append(self.scale * g)
        return np.stack(out)

    def random(
        self, terms: Sequence[RandomDesign | None], inputs: Sequence[Inputs]
    ) -> tuple[RandomDesign | None, ...]:
        """Random-effects terms with the units on which they have slopes.

        Parameters
        ----------
        terms
            Of the rows of `inputs`; None stays None.
        inputs
            What each network reads.
        """
        return tuple(
            term
            if term is None or term.network is None
            else self._with_units(term, term.network, inputs)
            for term in terms
        )

    def _with_units(
        self, term: RandomDesign, network: int, inputs: Sequence[Inputs]
    ) -> RandomDesign:
        h = self._all_units(network, inputs[network])
        units = self.units[network]
        assert units is not None
        name = self.designs[network].options.get("net", "nn")
        net = self.stack.networks[network]
        own = net.unit_names() if isinstance(net, Varying) else ()
        names = own or tuple(f"[{i + 1}]" for i in range(h.shape[1]))
        names = tuple(f"{name}{names[i]}" for i in units.kept)
        return term.with_units(units.columns(h), names)

    def with_units(self, wanted: Sequence[int | None]) -> FittedNetworks:
        """The same, with the scaling of the units of some networks."""
        units: list[Units | None] = [None] * len(self.designs)
        for network in set(wanted) - {None}:
            assert network is not None
            h = self._all_units(network, self.designs[network].inputs)
            natural = is_natural(self.stack.networks[network], h.shape[1])
            units[network] = Units.of(h, natural, self.scale)
        return replace(self, units=tuple(units))

    def _all_units(self, network: int, inputs: Inputs) -> Matrix:
        start = sum(self.stack.sizes[:network])
        w = self.weights(self.members[0])[start : start + self.stack.sizes[network]]
        one = Stack((self.stack.networks[network],), (self.stack.sizes[network],))
        return _in_blocks(_units_of, w, [inputs], one)

    def jacobian(self, member: Member, inputs: Sequence[Inputs], X: Matrix) -> Matrix:
        """Derivative of the linear predictor in a member's weights, (n, n_weights)."""
        J = _raw_jacobian(self.weights(member), inputs, self.stack)
        coefficients = self._jacobian_coefficients[self.members.index(member)]
        each = zip(self.designs, coefficients, strict=True)
        for (design, c), part in zip(each, self._parts, strict=True):
            J[:, part] -= design.basis(X) @ c
        return self.scale * J * member.active

    @cached_property
    def _jacobian_coefficients(self) -> list[list[Matrix]]:
        """What makes Jacobians orthogonal to the columns that outputs share."""
        inputs = [d.inputs for d in self.designs]
        bases = [d.basis(self.X) for d in self.designs]
        out = []
        for member in self.members:
            J = _raw_jacobian(self.weights(member), inputs, self.stack)
            each = zip(bases, self._parts, strict=True)
            out.append([_regression(basis, J[:, part]) for basis, part in each])
        return out

    @property
    def _parts(self) -> list[slice]:
        """The weights of each network."""
        stop = np.cumsum(self.stack.sizes)
        return [slice(b - n, b) for b, n in zip(stop, self.stack.sizes, strict=True)]


def given_networks(base: Model, networks: FittedNetworks) -> Model:
    """The model with the networks' output, and the units with slopes, as known."""
    design = base.design
    inputs = [d.inputs for d in networks.designs]
    f = networks.outputs(inputs, design.X).sum(1)
    random = tuple(t for t in networks.random(design.random, inputs) if t is not None)
    return replace(
        base, design=replace(design, offset=design.offset + f, random=random)
    )


def _regression(basis: Matrix, y: Matrix) -> Matrix:
    """Least-squares coefficients."""
    return np.asarray(np.linalg.lstsq(basis, y, rcond=None)[0], dtype=np.float64)


def _raw(w: Vector, inputs: Sequence[Inputs], stack: Stack) -> Matrix:
    """Raw outputs of the networks, (n, terms)."""
    return _in_blocks(_outputs_of, w, inputs, stack)


def _raw_jacobian(w: Vector, inputs: Sequence[Inputs], stack: Stack) -> Matrix:
    """Derivatives of the raw outputs in all weights, (n, n_weights)."""
    return _in_blocks(_jacobian_of, w, inputs, stack)


def _in_blocks(
    fun: Compiled, w: Vector, inputs: Sequence[Inputs], stack: Stack
) -> Matrix:
    """Rows in blocks of few sizes: memory is bounded, and little is compiled."""
    n = inputs[0].n_rows
    size = min(BLOCK, 1 << max(int(n - 1).bit_length(), 4))
    out = []
    for start in range(0, max(n, 1), size):
        rows = np.minimum(np.arange(start, start + size), n - 1)
        terms = tuple(_term(i, rows) for i in inputs)
        with precise():
            out.append(np.asarray(fun(w, terms, layout=stack)))
    return np.concatenate(out)[:n]


def _term(inputs: Inputs, rows: NDArray[np.intp]) -> Term:
    own = jax.tree.map(lambda a: np.asarray(a)[rows], inputs)
    return Term(own, np.zeros((len(rows), 0)))


def _outputs(w: Array, terms: tuple[Term, ...], *, layout: Stack) -> Array:
    return outputs(w, terms, layout)


def _jacobian(w: Array, terms: tuple[Term, ...], *, layout: Stack) -> Array:
    return jacobian(w, terms, layout)


def _units(w: Array, terms: tuple[Term, ...], *, layout: Stack) -> Array:
    return last_units(w, terms, layout)


_units_of = Compiled(_units, alone=True)
_outputs_of = Compiled(_outputs, alone=True)
_jacobian_of = Compiled(_jacobian, alone=True)
