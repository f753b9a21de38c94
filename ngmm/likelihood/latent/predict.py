"""What a fitted neural random effect says: loadings, curves, predictions, new data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.likelihood.latent import sums
from ngmm.likelihood.latent.estimate import LatentEstimate, LevelNodes
from ngmm.likelihood.latent.placement import fixed_nodes
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.nodes import hermite, truncated
from ngmm.linalg import precise

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Rows times nodes times latent dimensions formed at a time.
CELLS = 2_000_000
# Nodes of the prior for levels that were not in the data.
PRIOR = {1: truncated(61, 6.5), 2: hermite(15), 3: hermite(9)}


def level_nodes(estimate: LatentEstimate) -> LevelNodes:
    """Posterior distributions of the levels of the data."""
    if estimate.nodes is not None:
        return estimate.nodes
    engine = estimate.engine
    with precise():
        v, weight = _nodes(estimate.x, engine.data, layout=engine.layout)
    v, weight = to_numpy((v, weight))
    collected = engine.collect(weight)
    common = engine.placing.common
    return LevelNodes(v[0] if common else engine.collect(v), collected)


def prior_nodes(d: int) -> LevelNodes:
    """The distribution of v in a level without data."""
    with precise():
        nodes = to_numpy(fixed_nodes(PRIOR[d], d))
    weight = np.exp(nodes.log_weight)
    return LevelNodes(nodes.v, weight / weight.sum(1, keepdims=True))


def loadings(
    estimate: LatentEstimate, inputs: Any, combine: Matrix | None = None
) -> tuple[Matrix, Matrix]:
    """Slopes of h in v at v = 0 and their standard errors, each (n, d).

    For the indicators of an item these are its discriminations. With hidden layers a
    slope holds about v = 0 only.

    Parameters
    ----------
    estimate
        The fitted model.
    inputs
        Rows of what the network reads.
    combine
        (m, n) combinations of the slopes of the rows to give instead.
    """
    problem = estimate.engine.problem
    network, d = problem.network, problem.network.n_latent
    p, m = problem.n_beta, problem.shape.size
    covariance = estimate.covariance[p : p + m, p : p + m]
    n = np.asarray(inputs.x).shape[0]
    combine = np.eye(n) if combine is None else combine
    with precise():
        weights = jnp.asarray(estimate.x[p : p + m])

        def slopes(w: Array) -> Array:
            tree = problem.shape.weights(w)

            def h(v: Array) -> Array:
                return network.at_nodes(tree, inputs, v[None, None])[:, 0]

            return jnp.asarray(combine) @ jax.jacfwd(h)(jnp.zeros(d))

        found = np.asarray(slopes(weights))
        J = np.asarray(jax.jacfwd(slopes)(weights))
    variance = np.einsum("nda,ab,ndb->nd", J, covariance, J)
    return found, np.sqrt(np.maximum(variance, 0.0))


@dataclass(frozen=True, eq=False)
class PriorMoments:
    """What h amounts to in the rows of the data, over v ~ N(0, I).

    Attributes
    ----------
    sd
        Root mean square.
    linear
        Share of its variance given the inputs that is linear in v; NaN if h is zero.
    largest
        Largest standard deviation of h in a row.
    """

    sd: float
    linear: float
    largest: float


def prior_moments(estimate: LatentEstimate) -> PriorMoments:
    """Moments of h over the rows and the prior of v."""
    problem = estimate.engine.problem
    first = problem.cells.first
    often = np.bincount(problem.cells.of_row).astype(np.float64)
    nodes = prior_nodes(problem.network.n_latent)
    v, weight = nodes.v[0], nodes.weight[0]
    square, variance, straight = (np.empty(len(first)) for _ in range(3))
    step = max(1, CELLS // v.size)
    for at in range(0, len(first), step):
        part = slice(at, at + step)
        take = first[part]
        inputs = jax.tree.map(lambda a, i=take: np.asarray(a)[i], problem.rows.inputs)
        h = curves(estimate, inputs, v)
        square[part] = h**2 @ weight
        variance[part] = square[part] - (h @ weight) ** 2
        straight[part] = (((h * weight) @ v) ** 2).sum(1)
    total = float(often @ variance)
    return PriorMoments(
        sd=float(np.sqrt(often @ square / often.sum())),
        linear=float(often @ straight) / total if total > 0 else np.nan,
        largest=float(np.sqrt(max(float(variance.max()), 0.0))),
    )


def curves(estimate: LatentEstimate, inputs: Any, v: NDArray[np.float64]) -> Matrix:
    """H (n, K) of rows at latent vectors (K, d)."""
    problem = estimate.engine.problem
    at = jnp.asarray(np.asarray(v, dtype=np.float64))[None]
    with precise():
        weights = jax.tree.map(jnp.asarray, estimate.weights)
        return np.asarray(problem.network.at_nodes(weights, inputs, jnp.asarray(at)))


def predict(
    estimate: LatentEstimate,
    base: Vector,
    inputs: Any,
    codes: NDArray[np.int32],
    *,
    kind: str = "response",
) -> Vector:
    """Posterior means of rows: of mu, or of eta.

    Parameters
    ----------
    estimate
        The fitted model.
    base
        (n,) offset + X beta.
    inputs
        What the network reads.
    codes
        (n,) level of each row; -1 for one without data, whose v has its prior.
    kind
        ``"response"`` or ``"link"``.
    """
    problem = estimate.engine.problem
    known, prior = level_nodes(estimate), prior_nodes(problem.network.n_latent)
    out = np.empty(len(base))
    for nodes, rows in (
        (known, np.flatnonzero(codes >= 0)),
        (prior, np.flatnonzero(codes < 0)),
    ):
        level = np.zeros_like(codes) if nodes is prior else codes
        step = max(1, CELLS // nodes.v[0].size)
        for part in np.split(rows, np.arange(step, len(rows), step)):
            if not len(part):
                continue
            taken = jax.tree.map(lambda a, part=part: np.asarray(a)[part], inputs)
            at = nodes.v if len(nodes.v) == 1 else nodes.v[level[part]]
            with precise():
                weights = jax.tree.map(jnp.asarray, estimate.weights)
                h = problem.network.at_nodes(weights, taken, jnp.asarray(at))
                eta = jnp.asarray(base[part])[:, None] + h
                link = problem.family.transform
                value = eta if kind == "link" else link.mean(eta)
                found = (value * nodes.weight[level[part]]).sum(1)
            out[part] = np.asarray(found)
    return out


def simulate(estimate: LatentEstimate, generator: np.random.Generator) -> Vector:
    """New responses of the rows of the data, with new latent vectors of the levels."""
    problem = estimate.engine.problem
    rows, family = problem.rows, problem.family
    v = generator.standard_normal((rows.n_levels, problem.network.n_latent))
    eta = rows.offset + rows.X @ estimate.beta
    eta = eta + effects(estimate, rows.inputs, v[rows.codes])
    mu = np.asarray(family.transform.mean(eta))
    phi = estimate.sigma**2 if family.has_residual else estimate.phi
    trials = rows.trials if family.takes_trials else None
    return np.asarray(family.sample(generator, mu, phi, rows.weights, trials))


def effects(estimate: LatentEstimate, inputs: Any, v: Matrix) -> Vector:
    """H (n,) of rows with a latent vector each, (n, d)."""
    network = estimate.engine.problem.network
    out = np.empty(len(v))
    for part in np.array_split(np.arange(len(v)), 1 + len(v) // 200_000):
        taken = jax.tree.map(lambda a, part=part: np.asarray(a)[part], inputs)
        with precise():
            weights = jax.tree.map(jnp.asarray, estimate.weights)
            h = network.at_nodes(weights, taken, jnp.asarray(v[part][:, None, :]))
            out[part] = np.asarray(h)[:, 0]
    return out


def _level_nodes(
    x: Array, data: sums.LatentData, *, layout: sums.LatentLayout
) -> tuple[Array, Array]:
    def one(chunk: sums.Chunk) -> tuple[Array, Array]:
        return sums.chunk_nodes(x, chunk, layout)

    return sums.each_chunk(one, data)


_nodes = Compiled(_level_nodes, heavy=lambda _: True)
