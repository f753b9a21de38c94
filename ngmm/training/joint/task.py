"""A design as the training loop takes it, random effects as weights among others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.design import Design
from ngmm.errors import OptionError
from ngmm.estimation.joint import Joint, JointPlan
from ngmm.families import Family
from ngmm.linalg import precise
from ngmm.networks import Layered, Network, Varying, is_natural, units_of
from ngmm.training.history import ADVERSARY
from ngmm.training.joint.adversary import view
from ngmm.training.joint.arrays import (
    Batch,
    Data,
    Effects,
    Known,
    Slopes,
    Static,
    Weights,
)
from ngmm.training.joint.objective import (
    Predictor,
    hidden_layers,
    loss,
    network_outputs,
    predictor,
    response_losses,
    take,
    units_at,
)
from ngmm.training.joint.opponent import Opponent, no_opponent
from ngmm.training.joint.own import own_losses, reconstructs
from ngmm.training.task import cast, response_scale

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Rows that are looked at between epochs, a random sample of more.
SURVEY = 20_000
# Random effects start at this standard deviation, in units of the response's scale,
# and their distributions at a third of it.
START_SD, START_SPREAD = 0.3, 0.1
# Share of what was gained that a network may lose again to its adversary.
LOST = 0.5
# Units that hardly vary are not blown up.
LEAST_SPREAD = 1e-3


class Survey(NamedTuple):
    """What is seen of the rows between epochs.

    Attributes
    ----------
    with_effects, without
        Minus the log-likelihood per row.
    own_with, own_without
        What networks lose per row beside the response.
    accuracy
        Share of rows whose group the adversary tells, groups balanced; NaN without.
    """

    with_effects: Array
    without: Array
    own_with: Array
    own_without: Array
    accuracy: Array


class Best:
    """The weights that fitted the response best, for when an adversary undoes them.

    Attributes
    ----------
    start, loss
        Loss of the response before the first epoch, and the lowest one since.
    weights
        At the lowest one.
    """

    def __init__(self) -> None:
        self.start: float = np.inf
        self.loss: float = np.inf
        self.weights: Weights | None = None

    def see(self, weights: Weights, loss: float, epoch: int) -> None:
        """Look at the end of an epoch."""
        if epoch == 0:
            self.start = loss
        elif loss < self.loss:
            self.loss, self.weights = loss, weights

    def is_lost(self, loss: float) -> bool:
        """Whether most of what was gained since the start is gone."""
        return loss - self.loss > LOST * (self.start - self.loss)


@dataclass(frozen=True, eq=False)
class JointTask:
    """What is trained.

    Attributes
    ----------
    design, layout
        The model.
    arrays
        The rows as the compiled functions take them.
    plan
        Epochs and rows of a batch.
    learnt, held
        Rows that batches are made of, and rows that are held out.
    warm_up
        Share of the epochs over which the adversary's strength grows.
    kind
        Precision of the networks.
    best
        The weights that fitted the response best.
    """

    design: Design
    layout: Static
    arrays: Data
    plan: JointPlan
    learnt: NDArray[np.int32]
    held: NDArray[np.int32]
    warm_up: float
    kind: np.dtype[Any]
    best: Best = field(default_factory=Best)

    @property
    def loss(self) -> Callable[..., Array]:
        """The objective of a batch."""
        return loss

    @property
    def data(self) -> Data:
        """The rows."""
        return self.arrays

    @property
    def n_batches(self) -> int:
        """Batches of an epoch."""
        return max(1, len(self.learnt) // self.plan.batch_rows)

    def draw(self, generator: np.random.Generator) -> Batch:
        """Batches of one epoch: every row at most once."""
        size = self.plan.batch_rows
        rows = generator.permutation(self.learnt)[: self.n_batches * size]
        keys = np.zeros((self.n_batches, 2), dtype=np.uint32)
        if reconstructs(self.layout):
            keys = generator.integers(2**32, size=keys.shape, dtype=np.uint32)
        return Batch(rows.reshape(self.n_batches, size), keys)

    def settle(self, weights: Weights, epoch: int, last: Known | None) -> Known:
        """Variances of the random effects, and the scaling of hidden units."""
        del last
        rows = take(self.arrays, self.looked_at)
        slopes = self._unscaled if epoch == 0 else self.scaling(weights)
        precision, log_det, told = [], [], {}
        for position, effects in enumerate(weights.effects):
            Sigma = (
                self.covariance(effects, self.design.random[position].correlated)
                if epoch
                else START_SD**2 * np.eye(effects.mean.shape[1])
            )
            precision.append(np.linalg.inv(Sigma))
            log_det.append(np.float64(np.linalg.slogdet(Sigma)[1]))
            told[f"sd[{position}]"] = float(np.sqrt(np.diag(Sigma).mean()))
        # Slowly at first: a network that has learnt nothing is easily kept from it.
        warmth = min(1.0, (epoch + 1) / max(1.0, self.warm_up * self.plan.epochs)) ** 2
        known = Known(
            tuple(precision), tuple(log_det), slopes, np.float64(warmth), told
        )
        seen = self._survey(weights, known, rows)
        told["loss with b"] = float(seen.with_effects)
        told["loss without b"] = float(seen.without)
        told["loss"] = self._response(seen)
        if reconstructs(self.layout):
            told["reconstruction with b"] = float(seen.own_with)
            told["reconstruction without b"] = float(seen.own_without)
        self.best.see(weights, told["loss"], epoch)
        if self.layout.adversary is not None:
            told[ADVERSARY] = float(seen.accuracy)
        return known

    def scaling(self, weights: Weights) -> tuple[Slopes | None, ...]:
        """Centre and spread of the last hidden units, where they have random slopes."""
        rows = take(self.arrays, self.looked_at)
        with precise():
            found = spreads(weights, rows, layout=self.layout)
        return tuple(
            None if s is None else Slopes(np.asarray(s.centre), np.asarray(s.spread))
            for s in found
        )

    def adversary_reads(self, weights: Weights) -> Matrix:
        """What an adversary reads of the rows that are looked at, (rows, units)."""
        rows = take(self.arrays, self.looked_at)
        with precise():
            return np.asarray(read(weights, rows, layout=self.layout), np.float64)

    def held_out_loss(self, weights: Any, known: Known) -> float | None:
        """Loss of the rows held out; None without, and while an adversary grows."""
        if not len(self.held):
            return None
        if self.layout.adversary is not None and known.warmth < 1.0:
            return None
        with precise():
            rows = take(self.arrays, self.held)
        return self._total(self._survey(weights, known, rows))

    def _survey(self, weights: Weights, known: Known, rows: Data) -> Survey:
        with precise():
            return survey(weights, known._replace(told={}), rows, layout=self.layout)

    def _response(self, seen: Survey) -> float:
        """Loss of the response, with random effects and without."""
        return float(seen.with_effects) + self.layout.population * float(seen.without)

    def _total(self, seen: Survey) -> float:
        """The same and what networks lose beside it."""
        own = float(seen.own_with) + self.layout.population * float(seen.own_without)
        return self._response(seen) + own

    def describe(self, known: Known) -> dict[str, float]:
        """What was seen between epochs."""
        return {name: float(value) for name, value in known.told.items()}

    def initial_weights(self, seed: int) -> Weights:
        """Starting values of all that is trained."""
        networks = self.layout.networks
        keys = jax.random.split(jax.random.key(seed), len(networks) + 1)
        with precise():
            w = tuple(
                jax.tree.map(lambda a: cast(a, self.kind), network.init(key, d.inputs))
                for network, key, d in zip(
                    networks, keys, self.design.networks, strict=False
                )
            )
            effects = tuple(
                _starting_effects(term.n_levels, Z.shape[1] + self._width(network))
                for term, Z, network in zip(
                    self.design.random, self.arrays.Z, self.layout.slopes, strict=True
                )
            )
            xi = np.log(float(self.arrays.scale) ** 2)
            classifier = self.layout.adversary
            adversary: tuple[Any, ...] = ()
            if classifier is not None:
                width = sum(self._widths(classifier.last_only)) + len(networks)
                adversary = classifier.init(keys[-1], width)
            return Weights(
                networks=w,
                beta=np.zeros(self.arrays.X.shape[1]),
                effects=effects,
                xi=np.float64(xi),
                xi_population=np.float64(xi),
                adversary=adversary,
            )

    def _width(self, network: int | None) -> int:
        """Number of units of a network that have random slopes."""
        return 0 if network is None else self._n_units[network]

    def _widths(self, last_only: bool) -> list[int]:
        """Numbers of units that an adversary reads."""
        return [
            width
            for widths in self._layer_shapes
            for width in (widths[-1:] if last_only else widths)
        ]

    @cached_property
    def _layer_shapes(self) -> list[tuple[int, ...]]:
        """Widths of the hidden layers of each network."""
        return [
            layer_widths(network, d.inputs)
            for network, d in zip(
                self.layout.networks, self.design.networks, strict=True
            )
        ]

    @cached_property
    def _n_units(self) -> list[int]:
        """Numbers of units of each network that may have random slopes."""
        return [
            n_units(network, d.inputs) if i in self.layout.slopes else 0
            for i, (network, d) in enumerate(
                zip(self.layout.networks, self.design.networks, strict=True)
            )
        ]

    @cached_property
    def looked_at(self) -> NDArray[np.int32]:
        """Rows that are looked at between epochs."""
        n = self.design.n_rows
        if n <= SURVEY:
            return np.arange(n, dtype=np.int32)
        rows = np.random.default_rng(0).choice(n, SURVEY, replace=False)
        return np.sort(rows).astype(np.int32)

    @cached_property
    def _unscaled(self) -> tuple[Slopes | None, ...]:
        used = set(self.layout.slopes)
        return tuple(
            Slopes(np.zeros(k), np.ones(k)) if i in used else None
            for i, k in enumerate(self._n_units)
        )

    @staticmethod
    def covariance(effects: Effects, correlated: bool) -> Matrix:
        """Second moments of the random effects under their distributions."""
        m = np.asarray(effects.mean, dtype=np.float64)
        variance = np.exp(2.0 * np.asarray(effects.log_sd, dtype=np.float64))
        found = m.T @ m / len(m) + np.diag(variance.mean(0))
        return found if correlated else np.diag(np.diag(found))


def layer_widths(network: Network, inputs: Any) -> tuple[int, ...]:
    """Widths of the hidden layers of a network; none if it has none to show."""
    if not isinstance(network, Layered):
        return ()
    found = _shapes(network, network.activations, inputs)
    return tuple(int(np.prod(h.shape[1:])) for h in found)


def n_units(network: Network, inputs: Any) -> int:
    """Number of units of a network that may have random slopes."""
    if not isinstance(network, Varying) and not layer_widths(network, inputs):
        return 0
    return int(_shapes(network, partial(units_of, network), inputs).shape[1])


def _shapes(network: Network, fun: Callable[..., Any], inputs: Any) -> Any:
    """Shapes of what a function of weights and inputs gives for one row."""
    with precise():
        one = jax.tree.map(lambda a: jnp.asarray(a[:1]), inputs)
        return jax.eval_shape(fun, network.init(jax.random.key(0), one), one)


def prepare(
    design: Design,
    networks: tuple[Network, ...],
    family: Family,
    *,
    options: Joint,
    opponent: Opponent | None = None,
) -> JointTask:
    """Put the rows where batches are taken from.

    Raises
    ------
    OptionError
        If random slopes are asked for on the units of a network that shows none.
    """
    slopes = tuple(t.network for t in design.random)
    for position, (network, d) in enumerate(
        zip(networks, design.networks, strict=True)
    ):
        lacks_units = position in slopes and not n_units(network, d.inputs)
        lacks_layers = opponent is not None and not layer_widths(network, d.inputs)
        if lacks_units or lacks_layers:
            raise OptionError(
                f"{d.label} has no hidden units that are known to ngmm, which random "
                "slopes (1 + nn | g) and an adversary need: give it hidden layers, "
                "hidden=(32, 8), or a network with a method activations(weights, "
                "inputs)"
            )
    kind = np.dtype(options.precision)
    plan = options.plan(design.n_rows)
    scale = response_scale(design) if family.has_residual else 1.0
    n = design.n_rows
    group = opponent or no_opponent(n)
    with precise():
        arrays = Data(
            inputs=tuple(
                jax.tree.map(lambda a: cast(a, kind), d.inputs) for d in design.networks
            ),
            y=jnp.asarray(design.y),
            offset=jnp.asarray(design.offset),
            weights=jnp.asarray(design.weights),
            trials=jnp.ones(n) if design.trials is None else jnp.asarray(design.trials),
            X=jnp.asarray(_orthonormal(design.X)),
            Z=tuple(jnp.asarray(t.Z[:, : t.n_own]) for t in design.random),
            codes=tuple(jnp.asarray(t.codes) for t in design.random),
            group=jnp.asarray(group.codes),
            balance=jnp.asarray(group.balance),
            stratum=jnp.asarray(group.stratum),
            scale=np.float64(scale),
        )
    rows = np.random.default_rng(0).permutation(n).astype(np.int32)
    layout = Static(
        family, networks, slopes, float(options.population), group.classifier
    )
    return JointTask(
        design=design,
        layout=layout,
        arrays=arrays,
        plan=plan,
        learnt=np.sort(rows[plan.n_held :]),
        held=np.sort(rows[: plan.n_held]),
        warm_up=group.warm_up,
        kind=kind,
    )


def _orthonormal(X: Matrix) -> Matrix:
    """Columns of unit mean square without correlation that span those of X."""
    return np.linalg.qr(X)[0] * np.sqrt(len(X)) if X.shape[1] else X


def _starting_effects(levels: int, k: int) -> Effects:
    return Effects(np.zeros((levels, k)), np.full((levels, k), np.log(START_SPREAD)))


def _survey(weights: Weights, known: Known, rows: Data, *, layout: Static) -> Survey:
    at = predictor(weights, known, rows, layout)
    conditional, alone = response_losses(at, weights, rows, layout)
    own = own_losses(weights, rows, layout)
    return Survey(
        conditional.mean(),
        alone.mean(),
        own.with_effects,
        own.without,
        _accuracy(weights, at, rows, layout),
    )


def _accuracy(weights: Weights, at: Predictor, rows: Data, layout: Static) -> Array:
    classifier = layout.adversary
    if classifier is None:
        return jnp.asarray(jnp.nan)
    seen = view(at.layers, at.outputs, classifier)
    found = classifier.log_odds(weights.adversary, seen, rows.stratum).argmax(1)
    right = (found == rows.group) * rows.balance
    return right.sum() / rows.balance.sum()


def _spreads(
    weights: Weights, rows: Data, *, layout: Static
) -> tuple[Slopes | None, ...]:
    out: list[Slopes | None] = []
    for position in range(len(layout.networks)):
        if position not in layout.slopes:
            out.append(None)
            continue
        h = units_at(position, weights, rows, layout)
        natural = np.array(is_natural(layout.networks[position], h.shape[1]))
        spread = jnp.maximum(h.std(0), LEAST_SPREAD)
        out.append(
            Slopes(jnp.where(natural, 0.0, h.mean(0)), jnp.where(natural, 1.0, spread))
        )
    return tuple(out)


def _read(weights: Weights, rows: Data, *, layout: Static) -> Array:
    assert layout.adversary is not None
    layers = hidden_layers(weights, rows, layout)
    return view(layers, network_outputs(weights, rows, layout), layout.adversary)


read: Compiled = Compiled(_read, heavy=lambda _: True)
"""(weights, rows, layout=Static) -> the hidden units that an adversary reads."""

survey: Compiled = Compiled(_survey, heavy=lambda _: True)
"""(weights, known, rows, layout=Static) -> Survey."""

spreads: Compiled = Compiled(_spreads, heavy=lambda _: True)
"""(weights, rows, layout=Static) -> scaling of the units with random slopes."""
