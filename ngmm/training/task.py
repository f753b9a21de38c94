"""A design with networks, as the training loop takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.errors import NotSupportedError
from ngmm.estimation.stochastic import Stochastic
from ngmm.families import Family
from ngmm.likelihood.arrangement import arrange
from ngmm.likelihood.batches import Batches, Picks, index_levels
from ngmm.likelihood.eta import EtaLayout, Parameters
from ngmm.linalg import precise
from ngmm.training.programs import Data, Known, Static, loss, output, sum_losses
from ngmm.training.variances import VarianceSteps

Vector = NDArray[np.float64]

# The variances are settled after each of the first epochs, then now and then.
FIRST_EPOCHS, EVERY = 3, 4


@dataclass(frozen=True, eq=False)
class Task:
    """What is trained.

    Attributes
    ----------
    design, networks, family, options
        As the user gave them.
    codes, n_levels, sizes
        Level of each row, number of levels, and rows of each level.
    scale
        Unit of the networks' outputs.
    steps
        Settles coefficients and variances.
    arrays
        The rows as the compiled functions take them.
    batches, held_out
        The groups to train on, and those held out, once they are split.
    """

    design: Design
    networks: tuple[Any, ...]
    family: Family
    options: Stochastic
    codes: NDArray[np.int32]
    n_levels: int
    sizes: NDArray[np.int64]
    scale: float
    steps: VarianceSteps
    arrays: Data
    batches: Batches | None = None
    held_out: Batches | None = None

    @classmethod
    def prepare(
        cls,
        design: Design,
        networks: tuple[Any, ...],
        family: Family,
        options: Stochastic,
    ) -> Task:
        """Put the rows where batches are taken from.

        Raises
        ------
        NotSupportedError
            If the random effects have more than one grouping factor, or are the inputs
            of a network.
        """
        if design.latent:
            raise NotSupportedError(
                "estimator=ngmm.Stochastic() takes networks in the fixed part only; "
                f"leave it out for {design.latent[0].label}"
            )
        arranged = arrange(design.random)
        if len(arranged.groups) != 1:
            names = ", ".join(dict.fromkeys(t.group for t in design.random))
            raise NotSupportedError(
                "estimator=ngmm.Stochastic() takes one grouping factor, whose groups "
                f"make the batches; the model has {len(arranged.groups)} ({names}). "
                "Use the default estimator, which works on all rows at once"
            )
        group = arranged.groups[0]
        scale = response_scale(design) if family.has_residual else 1.0
        kind = np.dtype(options.precision)
        with precise():
            arrays = Data(
                inputs=tuple(
                    jax.tree.map(lambda a: cast(a, kind), n.inputs)
                    for n in design.networks
                ),
                y=jnp.asarray(design.y),
                weights=jnp.asarray(design.weights),
                trials=jnp.ones(design.n_rows)
                if design.trials is None
                else jnp.asarray(design.trials),
                Z=jnp.asarray(group.columns),
                scale=np.float64(scale),
                share=np.float64(1.0),
            )
        return cls(
            design=design,
            networks=networks,
            family=family,
            options=options,
            codes=group.codes,
            n_levels=group.n_levels,
            sizes=np.bincount(group.codes, minlength=group.n_levels),
            scale=scale,
            steps=VarianceSteps(design, family),
            arrays=arrays,
        )

    def split(
        self, generator: np.random.Generator, n_held_out: int, n_batches: int
    ) -> Task:
        """Hold groups out and deal the others to batches."""
        index = index_levels(self.codes, self.n_levels)
        shuffled = generator.permutation(self.n_levels)
        batches = Batches(index, np.sort(shuffled[n_held_out:]), n_batches)
        held_out = None
        if n_held_out:
            levels = np.sort(shuffled[:n_held_out])
            several = -(-n_held_out // batches.width)
            held_out = Batches(index, levels, several)
        share = np.float64(n_batches / batches.n_rows)
        return replace(
            self,
            batches=batches,
            held_out=held_out,
            arrays=self.arrays._replace(share=share),
        )

    def initial_weights(self, seed: int) -> tuple[Any, ...]:
        """Starting weights of all networks."""
        kind = np.dtype(self.options.precision)
        keys = jax.random.split(jax.random.key(seed), max(len(self.networks), 1))
        with precise():
            return tuple(
                jax.tree.map(lambda a: cast(a, kind), network.init(key, d.inputs))
                for network, key, d in zip(
                    self.networks, keys, self.design.networks, strict=True
                )
            )

    @property
    def loss(self) -> Callable[..., Array]:
        """Minus the marginal log-likelihood of a batch."""
        return loss

    @property
    def layout(self) -> Static:
        """What the loss is compiled for."""
        assert self.batches is not None
        return self._static(self.batches.width)

    @property
    def data(self) -> Data:
        """The rows."""
        return self.arrays

    def draw(self, generator: np.random.Generator) -> Picks:
        """Batches of one epoch."""
        assert self.batches is not None
        return self.batches.draw(generator)

    def settle(self, weights: Any, epoch: int, last: Known | None) -> Known:
        """Coefficients and variances given the weights; the last ones in between."""
        if last is not None and epoch > FIRST_EPOCHS and epoch % EVERY:
            return last
        outputs, coefficients = self.outputs(weights)
        found = self.steps(self.total(outputs))
        base = self.design.offset + self.design.X @ found.beta
        for basis, c in zip(self._bases, coefficients, strict=True):
            base = base - self.scale * (basis.columns @ c)
        with precise():
            return Known(
                jnp.asarray(base),
                Parameters(jnp.asarray(found.theta), jnp.asarray(found.xi)),
            )

    def held_out_loss(self, weights: Any, known: Known) -> float | None:
        """Loss per row of the groups held out."""
        if self.held_out is None:
            return None
        layout = self._static(self.held_out.width)
        data = self.arrays._replace(share=np.float64(1.0 / self.held_out.n_rows))
        with precise():
            found = sum_losses(weights, known, self._held_picks, data, layout=layout)
        return float(found)

    def describe(self, known: Known) -> dict[str, float]:
        """Variance parameters by name."""
        out = {f"theta[{i}]": float(t) for i, t in enumerate(known.parameters.theta)}
        if self.family.has_residual:
            out["sigma"] = float(np.exp(known.parameters.xi))
        elif self.family.dispersion is not None:
            out["phi"] = float(np.exp(known.parameters.xi))
        return out

    def outputs(self, weights: Any) -> tuple[tuple[Vector, ...], tuple[Vector, ...]]:
        """Each network's f on all rows, and its coefficients c."""
        f, c = [], []
        for network, w, inputs, basis in zip(
            self.networks, weights, self.arrays.inputs, self._bases, strict=True
        ):
            with precise():
                g = np.asarray(output(w, inputs, layout=network))
            found = basis.to_coefficients @ g
            f.append(self.scale * (g - basis.columns @ found))
            c.append(found)
        return tuple(f), tuple(c)

    def total(self, outputs: tuple[Vector, ...]) -> Vector:
        """Sum of the networks' f."""
        return np.sum(outputs, axis=0) if outputs else np.zeros(self.design.n_rows)

    @cached_property
    def _held_picks(self) -> Picks:
        assert self.held_out is not None
        return self.held_out.fixed()

    @cached_property
    def _bases(self) -> tuple[_Basis, ...]:
        found = []
        for d in self.design.networks:
            columns = d.basis(self.design.X)
            inverse = np.asarray(np.linalg.pinv(columns), dtype=np.float64)
            found.append(_Basis(columns, inverse))
        return tuple(found)

    def _static(self, width: int) -> Static:
        return Static(self.networks, EtaLayout(self.family, self.steps.pattern, width))


class _Basis(NamedTuple):
    """Columns that a network shares, (n, r), and their pseudo-inverse."""

    columns: Vector
    to_coefficients: Vector


def cast(a: Any, kind: np.dtype[Any]) -> Array:
    """Floats in the precision of the networks; codes as they are."""
    a = jnp.asarray(a)
    return a.astype(kind) if jnp.issubdtype(a.dtype, jnp.floating) else a


def response_scale(design: Design) -> float:
    """Standard deviation of the response about its fixed effects."""
    r = design.y - design.offset
    if design.X.shape[1]:
        r = r - design.X @ np.linalg.lstsq(design.X, r, rcond=None)[0]
    return float(np.sqrt(np.mean(r * r))) or 1.0
