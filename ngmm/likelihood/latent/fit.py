"""Fits a model with a latent vector per level: from a design to an estimate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ngmm.design import Design
from ngmm.errors import NotSupportedError
from ngmm.estimation.status import Status
from ngmm.families import Family
from ngmm.likelihood.latent.data import LatentRows
from ngmm.likelihood.latent.engine import (
    LatentEngine,
    LatentProblem,
    finer_engine,
    first_engine,
    prepare_latent,
)
from ngmm.likelihood.latent.estimate import LatentEstimate
from ngmm.likelihood.latent.penalised import (
    Penalised,
    Ridge,
    Tick,
    at_penalties,
    by_evidence,
    maximum,
)
from ngmm.likelihood.latent.start import (
    joined,
    loading_places,
    starting_loadings,
    without_effects,
)
from ngmm.likelihood.latent.sums import weight_shape
from ngmm.likelihood.rules import Auto, Rule
from ngmm.linalg import precise
from ngmm.networks import Network
from ngmm.networks.latent import Centred, LatentMLP, LatentNetwork
from ngmm.progress import ProgressLine

Vector = NDArray[np.float64]

RESTARTS = 2
MAX_STEPS = 300
# Evaluations of every restart before the best goes on alone, and of the last steps at
# penalties that no longer change.
PROBE, POLISH_STEPS = 30, 40
# Multiply-adds of a search, about ten minutes of two cores, and the evaluations that
# are made whatever they cost.
BUDGET, LEAST_STEPS = 1e12, 40


def fit_latent(
    design: Design,
    networks: tuple[Network | LatentMLP | Centred, ...],
    family: Family,
    rule: Rule | None = None,
    *,
    seed: int = 0,
    restarts: int = RESTARTS,
    max_steps: int = MAX_STEPS,
    progress: bool | str = False,
) -> LatentEstimate:
    """Fit the model of a design with one term ``(nn(x1, x2) | g)``.

    Parameters
    ----------
    design
        From `build_design`; its only random effect is ``design.latent[0]``.
    networks
        The network of that term, as `ngmm.networks.latent.latent_network` gives it; one
        of the plain protocol is centred, h(x, v) = g(x, v) - g(x, 0).
    family
        Response distribution.
    rule
        How latent vectors are integrated out; None for "auto".
    seed, restarts, max_steps, progress
        As in `fit_rows`.

    Raises
    ------
    NotSupportedError
        For several latent terms, or further random effects or networks beside it.
    """
    check_latent(design)
    term = design.latent[0]
    given = networks[0]
    ready = isinstance(given, LatentMLP | Centred)
    network = given if ready else Centred(given, term.n_latent)
    return fit_rows(
        rows_of(design),
        family,
        network,
        rule=rule,
        seed=seed,
        restarts=restarts,
        max_steps=max_steps,
        progress=progress,
    )


def rows_of(design: Design) -> LatentRows:
    """The rows of a design with one latent term."""
    term = design.latent[0]
    return LatentRows(
        y=design.y,
        offset=design.offset,
        weights=design.weights,
        trials=np.ones(design.n_rows) if design.trials is None else design.trials,
        X=design.X,
        inputs=jax.tree.map(np.asarray, term.network.inputs),
        codes=np.asarray(term.codes, dtype=np.int32),
        n_levels=len(term.levels),
    )


def check_latent(design: Design) -> None:
    """Refuse what the integration over one latent vector per level cannot do."""
    term = design.latent[0].label
    if len(design.latent) > 1:
        labels = " and ".join(term.label for term in design.latent)
        raise NotSupportedError(
            f"{labels}: a model has one neural random effect in this version; give one "
            "network more latent dimensions, (nn(x1, x2, latent=2) | g)"
        )
    if design.random:
        raise NotSupportedError(
            f"{design.random[0].label} beside {term}: a neural random effect stands "
            "alone in this version. One with linear loadings includes a random "
            "intercept; for independent ones use latent=2"
        )
    if design.networks:
        raise NotSupportedError(
            f"{design.networks[0].label} beside {term}: networks in "
            "the fixed part and in a random effect cannot be combined in this version"
        )


def fit_rows(
    rows: LatentRows,
    family: Family,
    network: LatentNetwork,
    *,
    rule: Rule | None = None,
    seed: int = 0,
    restarts: int = RESTARTS,
    max_steps: int = MAX_STEPS,
    progress: bool | str = False,
) -> LatentEstimate:
    """Maximise the likelihood of rows, penalised if the network is not bilinear.

    Parameters
    ----------
    rows
        The data.
    family, network
        Response distribution, and h.
    rule
        How latent vectors are integrated out; None for "auto".
    seed
        Of the networks' starting weights.
    restarts
        Starting weights to try where the likelihood may have several maxima.
    max_steps
        Evaluations with derivatives before giving up; fewer where one of them takes
        long, see `limit`.
    progress
        As in `ngmm.fit`.
    """
    rule = Auto() if rule is None else rule
    with precise():
        weights = network.init(jax.random.key(seed), rows.inputs)
        problem = prepare_latent(rows, family, network, weight_shape(weights))
    # The matrices are small: threads of BLAS would only wait for each other.
    with (
        threadpool_limits(1, user_api="blas"),
        ProgressLine(progress, "latent network") as line,
    ):
        if network.is_bilinear:
            start = _bilinear_start(problem, rule)
            found = _maximum(problem, rule, start, max_steps, line)
            return _estimate(*found, ())
        work = _Work(problem, rule, _ridge(problem), max_steps, line)
        found, spread = work.best(seed, restarts)
    return _estimate(*found, spread)


def _bilinear_start(problem: LatentProblem, rule: Rule) -> Vector:
    gamma, xi = without_effects(problem)
    x = joined(problem, gamma, np.zeros(problem.shape.size), xi)
    return starting_loadings(first_engine(problem, rule), x)


def _maximum(
    problem: LatentProblem, rule: Rule, x: Vector, max_steps: int, line: ProgressLine
) -> tuple[LatentEngine, Penalised]:
    """Maximum likelihood; nodes are added until the integral is accurate there."""
    engine, steps = first_engine(problem, rule), 0
    while True:
        text = f"{engine.n_nodes} nodes"
        found = maximum(engine, x, max_steps - steps, _told(line, max_steps, text))
        steps += found.n_steps
        x = found.x
        finer = finer_engine(engine, rule, x)
        if finer is None or steps >= max_steps:
            return engine, replace(found, n_steps=steps)
        engine = finer


def _told(line: ProgressLine, total: int, text: str) -> Tick:
    return lambda steps: line.update(steps, total, text)


def limit(engine: LatentEngine, max_steps: int) -> int:
    """Evaluations of one search that are affordable, at least `LEAST_STEPS`.

    They are counted from the size of the problem and not from the clock, so that a fit
    is the same on every machine.
    """
    return min(max_steps, max(LEAST_STEPS, int(BUDGET / engine.work)))


@dataclass(frozen=True, eq=False)
class _Work:
    """Searches for a network with hidden layers."""

    problem: LatentProblem
    rule: Rule
    ridge: Ridge
    max_steps: int
    line: ProgressLine
    done: list[int] = field(default_factory=lambda: [0])

    @property
    def most(self) -> int:
        """Evaluations after which the search gives up, roughly."""
        engine = first_engine(self.problem, self.rule)
        return limit(engine, self.max_steps) + 2 * PROBE + POLISH_STEPS

    def best(
        self, seed: int, restarts: int
    ) -> tuple[tuple[LatentEngine, Penalised], tuple[float, ...]]:
        """The run of most evidence, and the evidence of all.

        The bilinear model is one of the candidates: hidden layers that are not worth
        their weights are zero.
        """
        problem, engine = self.problem, first_engine(self.problem, self.rule)
        total = limit(engine, self.max_steps)
        base = _base(problem, self.rule, self.max_steps, self.line)
        n_starts = restarts if total > restarts * PROBE else 1
        starts = [_hidden_start(problem, base, seed + i) for i in range(n_starts)]
        if isinstance(problem.network, LatentMLP):
            starts.append(np.where(self.ridge.held, 0.0, starts[0]))
        runs = []
        for i, x in enumerate(starts):
            tick = self._tick(f"start {i + 1} of {len(starts)}")
            run = by_evidence(engine, x, self.ridge, min(PROBE, total), tick=tick)
            runs.append(run)
        runs.sort(key=_evidence, reverse=True)
        # The evidence of a search that is still on its way is no verdict on it.
        for i, run in enumerate(runs):
            if run.status is Status.MAX_STEPS:
                runs[i] = self._settled(engine, run, total)
                break
        runs.sort(key=_evidence, reverse=True)
        spread = tuple(_evidence(run) for run in runs)
        return self._finished(engine, runs[0], total), spread

    def _settled(self, engine: LatentEngine, run: Penalised, total: int) -> Penalised:
        """A run to its end: penalties, then weights at the best penalties."""
        left = total - run.n_steps
        if run.status is Status.MAX_STEPS and left > 0:
            tick = self._tick("search")
            more = by_evidence(engine, run.x, self.ridge, left, run.penalty, tick)
            run = replace(more, n_steps=run.n_steps + more.n_steps)
        tick = self._tick("last steps")
        return at_penalties(engine, run, self.ridge, POLISH_STEPS, tick)

    def _finished(
        self, engine: LatentEngine, run: Penalised, total: int
    ) -> tuple[LatentEngine, Penalised]:
        """The best run with as many nodes as it needs."""
        run = self._settled(engine, run, total)
        while True:
            finer = finer_engine(engine, self.rule, run.x)
            if finer is None or run.status is not Status.CONVERGED:
                return engine, run
            engine, before = finer, run.n_steps
            more = self._settled(
                engine,
                replace(run, status=Status.MAX_STEPS, n_steps=0),
                limit(finer, self.max_steps - before),
            )
            run = replace(more, n_steps=before + more.n_steps)

    def _tick(self, text: str) -> Tick:
        """What counts the evaluations of all runs together."""

        def tick(_: int) -> None:
            self.done[0] += 1
            most = max(self.most, self.done[0])
            self.line.update(self.done[0], most, text)

        return tick


def _evidence(run: Penalised) -> float:
    """Log-evidence, of a failed run that of no other."""
    found = np.nan if run.evidence is None else run.evidence
    return float(found) if np.isfinite(found) else -np.inf


def rotations(problem: LatentProblem) -> int:
    """Dimension of the rotations of v that the weights can undo."""
    d = problem.network.n_latent
    return d * (d - 1) // 2 if isinstance(problem.network, LatentMLP) else 0


def _ridge(problem: LatentProblem) -> Ridge:
    """What is penalised, and how little at least."""
    with precise():
        weights = problem.shape.weights(jnp.zeros(problem.shape.size))
        groups = problem.network.penalty_groups(weights)
        least = problem.network.least_penalties(weights)
    return Ridge(
        _in_psi(problem, groups, -1).astype(np.int64),
        _in_psi(problem, least, 0.0),
        rotations(problem),
    )


def _in_psi(problem: LatentProblem, tree: Any, fill: float) -> Vector:
    """Values of weights at their places in psi."""
    leaves = [np.asarray(g).reshape(-1) for g in jax.tree.leaves(tree)]
    tail = [fill] * problem.has_scale
    return np.concatenate([np.full(problem.n_beta, fill), *leaves, tail])


def _base(
    problem: LatentProblem, rule: Rule, max_steps: int, line: ProgressLine
) -> Vector:
    """(gamma, loadings, xi) of the bilinear model, or of that without effects."""
    network = problem.network
    if not isinstance(network, LatentMLP):
        gamma, xi = without_effects(problem)
        return np.concatenate([gamma, [xi] * problem.has_scale])
    simple = replace(network, hidden=(), embeddings=())
    with precise():
        weights = simple.init(jax.random.key(0), problem.rows.inputs)
    smaller = replace(problem, network=simple, shape=weight_shape(weights))
    start = _bilinear_start(smaller, rule)
    return _maximum(smaller, rule, start, max_steps, line)[1].x


def _hidden_start(problem: LatentProblem, base: Vector, seed: int) -> Vector:
    """The simple model's parameters with random hidden layers."""
    p, scale = problem.n_beta, int(problem.has_scale)
    with precise():
        weights = problem.network.init(jax.random.key(seed), problem.rows.inputs)
    xi = float(base[-1]) if scale else 0.0
    x = joined(problem, base[:p], weights, xi)
    if isinstance(problem.network, LatentMLP):
        order = np.sort(loading_places(problem).reshape(-1))
        x[order] = base[p : len(base) - scale]
    return x


def _estimate(
    engine: LatentEngine, found: Penalised, spread: tuple[float, ...]
) -> LatentEstimate:
    """The record, with the signs and the axes of v as they are reported."""
    problem = engine.problem
    turned = _turned(problem, found.x)
    posterior = engine.posterior(turned)
    at = engine.evaluate(turned)
    error = float(posterior.difference.sum() + posterior.beyond.sum())
    p, m = problem.n_beta, problem.shape.size
    with precise():
        tree = problem.shape.weights(jnp.asarray(turned[p : p + m]))
        weights = jax.tree.map(np.asarray, tree)
    family, jacobian = problem.family, problem.jacobian
    phi = float(np.exp(turned[-1])) if problem.has_scale else None
    beta = np.asarray(
        np.linalg.solve(problem.triangle, turned[:p]) if p else turned[:p],
        dtype=np.float64,
    )
    free = m
    if found.evidence is not None:
        free -= int(_ridge(problem).held.sum())
    return LatentEstimate(
        beta=beta,
        theta=np.zeros(0),
        weights=weights,
        sigma=float(np.sqrt(phi)) if family.has_residual and phi else 1.0,
        phi=None if family.has_residual else phi,
        loglik=at.value,
        means=posterior.mean,
        covs=posterior.cov,
        status=found.status,
        gain=found.gain,
        n_steps=found.n_steps,
        integral=engine.integral(error),
        information=jacobian.T @ -at.hessian @ jacobian,
        penalty=found.penalty[p : p + m],
        edf=free + found.edf - rotations(problem),
        rotations=rotations(problem),
        evidence=found.evidence,
        spread=spread,
        engine=engine,
        x=turned,
    )


def _turned(problem: LatentProblem, x: Vector) -> Vector:
    """Psi with the axes of v along which h varies most, rising with v on average."""
    network = problem.network
    if not isinstance(network, LatentMLP):
        return x
    p, m, d = problem.n_beta, problem.shape.size, network.n_latent
    often = np.bincount(problem.cells.of_row).astype(np.float64)
    with precise():
        first = problem.cells.first
        inputs = jax.tree.map(lambda a: np.asarray(a)[first], problem.rows.inputs)
        weights = problem.shape.weights(jnp.asarray(x[p : p + m]))
        # Chords of h from -1 to 1 along each axis: the loadings, if h is bilinear.
        ends = np.concatenate([np.eye(d), -np.eye(d)])[None]
        h = np.asarray(network.at_nodes(weights, inputs, jnp.asarray(ends)))
        slope = 0.5 * (h[:, :d] - h[:, d:])
        rotation = np.eye(d)
        if network.is_bilinear and d > 1:
            _, _, axes = np.linalg.svd(np.sqrt(often)[:, None] * slope)
            rotation = axes.T
        signs = np.where(often @ slope @ rotation < 0, -1.0, 1.0)
        turned = network.rotated(weights, rotation * signs)
    xi = float(x[-1]) if problem.has_scale else 0.0
    return joined(problem, x[:p], turned, xi)
