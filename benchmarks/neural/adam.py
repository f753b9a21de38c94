"""A network trained by Adam on the marginal likelihood and stopped early.

What one would write by hand for a random intercept and a normal response: a fifth of
the groups is held out, and the weights with the highest likelihood there are kept.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from task import Answer, Impossible, Task

HIDDEN = 32
RATE = 3e-3
STEPS = 5000
PATIENCE = 300
SEED = 0


def adam(task: Task, threads: int) -> Answer:
    """A tanh network with two hidden layers; step size and width are not tuned."""
    del threads
    if task.binary or task.slopes:
        raise Impossible("written for a normal response and a random intercept")
    import optax

    X, new, y, codes = _arrays(task)
    levels = int(codes.max()) + 1
    held = np.random.default_rng(SEED).permutation(levels) < levels // 5
    rows = held[codes]
    train = (X[~rows], y[~rows], codes[~rows])
    valid = (X[rows], y[rows], codes[rows])
    best, steps = _train(_start(X.shape[1]), train, valid, levels, optax.adam(RATE))
    f = np.asarray(_network(best, X), float)
    sigma2, variance = (float(np.exp(2 * best[name])) for name in ("sigma", "sd"))
    # Conditional means of the intercepts, of the groups held out too.
    n = np.bincount(codes, minlength=levels)
    total = np.bincount(codes, y - f, minlength=levels)
    b = variance * total / (sigma2 + n * variance)
    known = pd.Series(b, task.train[task.group].unique())
    f_new = np.asarray(_network(best, new), float)
    centre = task.train[task.response].to_numpy(float).mean()
    effects = known.reindex(task.test[task.group], fill_value=0.0).to_numpy(float)
    return Answer(
        version=f"optax {optax.__version__}",
        mean=centre + f_new + effects,
        f=centre + f_new,
        sigma2=sigma2,
        variances=(variance,),
        settings={"hidden": [HIDDEN, HIDDEN], "rate": RATE, "steps": steps},
    )


def _arrays(task: Task) -> tuple[Any, Any, Any, Any]:
    """Standardised inputs of the rows to fit and to predict, response, codes."""
    inputs = list(task.inputs)
    old, new = (part[inputs].to_numpy(float) for part in (task.train, task.test))
    centre, scale = old.mean(0), old.std(0)
    y = task.train[task.response].to_numpy(float)
    codes = task.train[task.group].factorize()[0]
    return (old - centre) / scale, (new - centre) / scale, y - y.mean(), codes


def _start(n_inputs: int) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    sizes = (n_inputs, HIDDEN, HIDDEN, 1)
    pairs = itertools.pairwise(sizes)
    layers = [(rng.normal(size=s) / np.sqrt(s[0]), np.zeros(s[1])) for s in pairs]
    return {"layers": layers, "sigma": np.zeros(()), "sd": np.zeros(())}


def _network(weights: dict[str, Any], X: Any) -> Any:
    import jax.numpy as jnp

    *hidden, (W, c) = weights["layers"]
    for V, a in hidden:
        X = jnp.tanh(X @ V + a)
    return (X @ W + c)[:, 0]


def _loss(weights: dict[str, Any], rows: tuple[Any, Any, Any], levels: int) -> Any:
    """Minus the marginal log-likelihood a row, for a random intercept."""
    import jax
    import jax.numpy as jnp

    X, y, codes = rows
    r = y - _network(weights, X)
    sigma2, variance = jnp.exp(2 * weights["sigma"]), jnp.exp(2 * weights["sd"])
    n = jax.ops.segment_sum(jnp.ones_like(r), codes, levels)
    total = jax.ops.segment_sum(r, codes, levels)
    joint = sigma2 + n * variance
    quadratic = (r @ r - (variance * total**2 / joint).sum()) / sigma2
    logdet = len(y) * jnp.log(sigma2) + jnp.log(joint / sigma2).sum()
    return 0.5 * (quadratic + logdet) / len(y)


def _train(
    weights: Any, train: Any, valid: Any, levels: int, optimizer: Any
) -> tuple[Any, int]:
    """The weights with the lowest loss on the held-out groups, and when that was."""
    import jax
    import optax

    @jax.jit
    def step(weights: Any, state: Any) -> tuple[Any, Any, Any]:
        gradient = jax.grad(_loss)(weights, train, levels)
        updates, state = optimizer.update(gradient, state)
        weights = optax.apply_updates(weights, updates)
        return weights, state, _loss(weights, valid, levels)

    state = optimizer.init(weights)
    best, lowest, when = weights, np.inf, 0
    for k in range(1, STEPS + 1):
        weights, state, loss = step(weights, state)
        if loss < lowest:
            best, lowest, when = weights, float(loss), k
        if k - when >= PATIENCE:
            break
    return best, when
