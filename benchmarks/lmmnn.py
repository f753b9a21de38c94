"""The simulation of LMMNN: a network and a random intercept on 100,000 rows.

Generator of Simchoni & Rosset (2021, NeurIPS 34, "Using random effects to account for
high-cardinality categorical features and repeated measures in deep neural networks"):
ten uniform covariates, f = s cos(s) + 2 x1 x2 with s = 1 + sum x, levels of unequal
size, 80 % of the rows to fit, the others to test. A bernoulli response has the same
logit. Figures are compared with what the true f and variances give: the floor of the
mean squared error, the ceiling of the area under the ROC curve, and the maximum-
likelihood variance with f known, whose distance from the realised one is sampling.

``--split groups`` holds out 20 % of the levels instead and compares the log-loss of
probabilities in which the random effect is integrated out. ``--methods ngmm linear
gpboost`` runs others on the same data: ngmm without the network, and GPBoost.

Run ``python benchmarks/lmmnn.py`` for all cells, or for example ``python
benchmarks/lmmnn.py --cells gaussian:1000:1 bernoulli:100:10 --repeats 1``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import ngmm
from ngmm import training
from ngmm.estimation.stochastic import ACTIVATION, HIDDEN
from ngmm.linalg import precise
from ngmm.networks.resolve import network_for
from records import RESULTS, tabulate

Vector = NDArray[np.float64]

LEVELS = (100, 1_000, 10_000)
VARIANCES = (0.1, 1.0, 10.0)
FAMILIES = ("gaussian", "bernoulli")
COVARIATES = [f"x{j}" for j in range(1, 11)]
RECORDS = RESULTS / "lmmnn.json"
ROWS = 100_000

# GPBoost: trees of depth 5, as many as a fifth of the levels to fit asks for.
TREE = {
    "learning_rate": 0.1,
    "max_depth": 5,
    "num_leaves": 31,
    "min_data_in_leaf": 20,
    "num_threads": os.cpu_count(),
    "verbose": -1,
}
ROUNDS = 3_000
PATIENCE = 20


class Cell(NamedTuple):
    """A family, a number of levels and a variance of their effects."""

    family: str
    n_levels: int
    variance: float


@dataclass(frozen=True)
class Data:
    """Rows, and the truth behind them."""

    frame: pd.DataFrame
    f: Vector
    b: Vector
    level: NDArray[np.intp]
    test: NDArray[np.bool_]


@dataclass(frozen=True)
class Figures:
    """What a fit gives; `gap` is to the floor or the ceiling, positive if worse.

    The epochs of GPBoost are trees, those without a network evaluations.
    """

    method: str
    family: str
    n_levels: int
    variance: float
    split: str
    seed: int
    score: float
    best_score: float
    gap: float
    log_loss: float
    best_log_loss: float
    variance_estimate: float
    variance_realised: float
    variance_oracle: float
    residual_variance: float
    seconds: float
    epochs: int
    status: str


def simulate(cell: Cell, seed: int, split: str, n: int = ROWS) -> Data:
    """One data set of the generator."""
    rng = np.random.default_rng([seed, cell.n_levels, round(10 * cell.variance)])
    X = rng.uniform(-1.0, 1.0, (n, 10))
    s = 1.0 + X.sum(1)
    f = s * np.cos(s) + 2.0 * X[:, 0] * X[:, 1]
    share = rng.poisson(3, cell.n_levels) + 1
    level = np.repeat(np.arange(cell.n_levels), rng.multinomial(n, share / share.sum()))
    b = np.sqrt(cell.variance) * rng.normal(size=cell.n_levels)
    eta = f + b[level]
    if cell.family == "gaussian":
        y = eta + rng.normal(size=n)
    else:
        y = (rng.uniform(size=n) < _probability(eta)).astype(float)
    if split == "rows":
        test = rng.uniform(size=n) < 0.2
    else:
        test = (rng.permutation(cell.n_levels) < 0.2 * cell.n_levels)[level]
    frame = pd.DataFrame(X, columns=pd.Index(COVARIATES)).assign(y=y, g=level)
    return Data(frame, f, b, level, test)


class Fitted(NamedTuple):
    """A fit: fixed parts of the rows to fit and to test, variances, how it ended."""

    known: Vector
    eta: Vector
    variance: float
    residual: float
    seconds: float
    epochs: int
    status: str


def fit_network(cell: Cell, data: Data, seed: int, progress: bool) -> Fitted:
    """A network in ngmm, without any option."""
    network = f'nn({", ".join(COVARIATES)}, hidden={HIDDEN}, activation="{ACTIVATION}")'
    start = time.perf_counter()
    terms = ngmm.parse(f"y ~ {network} + (1 | g)")
    design, spec = ngmm.build_design(terms, data.frame[~data.test])
    net = network_for(design.networks[0])
    family = ngmm.families.get(cell.family)
    fit = training.train(design, [net], family, seed=seed, progress=progress)
    seconds = time.perf_counter() - start
    e = fit.estimate
    new = spec.apply(data.frame[data.test])
    with precise():
        raw = np.asarray(net.apply(fit.weights[0], new.networks[0]))
    basis = design.networks[0].basis(new.X)
    return Fitted(
        known=design.X @ e.beta + fit.outputs[0],
        eta=new.X @ e.beta + fit.scale * (raw - basis @ fit.coefficients[0]),
        variance=float(e.theta[0] ** 2 * e.sigma**2),
        residual=float(e.sigma**2),
        seconds=seconds,
        epochs=fit.n_epochs,
        status=fit.status.name,
    )


def fit_linear(cell: Cell, data: Data, seed: int, progress: bool) -> Fitted:
    """The same inputs as linear terms in ngmm."""
    del seed, progress
    start = time.perf_counter()
    terms = ngmm.parse(f"y ~ {' + '.join(COVARIATES)} + (1 | g)")
    design, spec = ngmm.build_design(terms, data.frame[~data.test])
    e = ngmm.Model(design, ngmm.families.get(cell.family)).maximise()
    seconds = time.perf_counter() - start
    return Fitted(
        known=design.X @ e.beta,
        eta=spec.apply(data.frame[data.test]).X @ e.beta,
        variance=float(e.theta[0] ** 2 * e.sigma**2),
        residual=float(e.sigma**2),
        seconds=seconds,
        epochs=e.n_steps,
        status=e.status.name,
    )


def fit_gpboost(cell: Cell, data: Data, seed: int, progress: bool) -> Fitted:
    """Boosted trees and a random intercept; the number of trees by one split."""
    import gpboost  # pyright: ignore[reportMissingImports]

    del progress
    gaussian = cell.family == "gaussian"
    X = data.frame[COVARIATES].to_numpy()
    y = data.frame["y"].to_numpy()

    def model(rows: NDArray[np.bool_]) -> Any:
        return gpboost.GPModel(
            group_data=data.level[rows],
            likelihood="gaussian" if gaussian else "bernoulli_logit",
            num_parallel_threads=os.cpu_count(),
        )

    start = time.perf_counter()
    fold = np.random.default_rng(seed).permutation(cell.n_levels) % 5
    held = ~data.test & (fold == 0)[data.level]
    part = ~data.test & ~held
    effects = model(part)
    effects.set_prediction_data(group_data_pred=data.level[held])
    train = gpboost.Dataset(X[part], y[part])
    search = gpboost.train(
        {**TREE, "metric": "test_neg_log_likelihood"},
        train,
        ROUNDS,
        effects,
        valid_sets=[gpboost.Dataset(X[held], y[held], reference=train)],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
    )
    rounds = search.best_iteration if search.best_iteration > 0 else ROUNDS
    rows = ~data.test
    effects = model(rows)
    booster = gpboost.train(TREE, gpboost.Dataset(X[rows], y[rows]), rounds, effects)
    f = booster.predict(X, ignore_gp_model=True, pred_latent=True)
    seconds = time.perf_counter() - start
    variances = np.ravel(effects.get_cov_pars())
    return Fitted(
        known=f[rows],
        eta=f[~rows],
        variance=float(variances[-1]),
        residual=float(variances[0]) if gaussian else 1.0,
        seconds=seconds,
        epochs=rounds,
        status="CONVERGED" if rounds < ROUNDS else "MOST_TREES",
    )


METHODS: dict[str, Callable[[Cell, Data, int, bool], Fitted]] = {
    "ngmm": fit_network,
    "linear": fit_linear,
    "gpboost": fit_gpboost,
}


def run(
    cell: Cell,
    seed: int,
    split: str,
    methods: Sequence[str],
    progress: bool,
    n: int = ROWS,
) -> Iterator[Figures]:
    """Fit one data set by each method, and compare with the truth."""
    data = simulate(cell, seed, split, n)
    y, level, test = data.frame["y"].to_numpy(), data.level, data.test
    best = _scores(
        cell, y, level, test, data.f[~test], data.f[test], cell.variance, 1.0, split
    )
    used = np.unique(level[~test])
    design, _ = ngmm.build_design(ngmm.parse("y ~ 1 + (1 | g)"), data.frame[~test])
    truth = replace(design, offset=data.f[~test])
    oracle = ngmm.Model(truth, ngmm.families.get(cell.family)).maximise()
    sign = 1.0 if cell.family == "gaussian" else -1.0
    for method in methods:
        fit = METHODS[method](cell, data, seed, progress)
        ours = _scores(
            cell,
            y,
            level,
            test,
            fit.known,
            fit.eta,
            fit.variance,
            fit.residual,
            split,
        )
        yield Figures(
            method=method,
            **cell._asdict(),
            split=split,
            seed=seed,
            score=ours[0],
            best_score=best[0],
            gap=sign * (ours[0] - best[0]),
            log_loss=ours[1],
            best_log_loss=best[1],
            variance_estimate=fit.variance,
            variance_realised=float(np.mean(data.b[used] ** 2)),
            variance_oracle=float(oracle.theta[0] ** 2 * oracle.sigma**2),
            residual_variance=fit.residual,
            seconds=fit.seconds,
            epochs=fit.epochs,
            status=fit.status,
        )


def _scores(
    cell: Cell,
    y: Vector,
    level: NDArray[np.intp],
    test: NDArray[np.bool_],
    known: Vector,
    eta: Vector,
    variance: float,
    residual: float,
    split: str,
) -> tuple[float, float]:
    """Squared error or area under the curve, and minus the log-density of a test row.

    Of a level with rows to fit, the mean of its effect given them is added for the
    score, and its distribution given them integrated out for the density; of any other
    level, its prior.
    """
    q = cell.n_levels
    if cell.family == "gaussian":
        total = np.bincount(level[~test], y[~test] - known, q)
        size = np.bincount(level[~test], minlength=q)
        mean = variance / (residual + variance * size) * total
        spread = residual + variance * residual / (residual + variance * size)
        error = y[test] - eta - mean[level[test]]
        v = spread[level[test]]
        density = 0.5 * (np.log(2.0 * np.pi * v) + error**2 / v)
        return float(np.mean(error**2)), float(np.mean(density))
    u = np.linspace(-7.0, 7.0, 281)
    log_weight = np.tile(-0.5 * u * u, (q, 1))
    sd = np.sqrt(variance)
    for k, node in enumerate(u):
        at = known + sd * node
        row = y[~test] * at - np.logaddexp(0.0, at)
        log_weight[:, k] += np.bincount(level[~test], row, q)
    weight = np.exp(log_weight - log_weight.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    mean = sd * weight @ u
    p = np.zeros(len(eta))
    for k, node in enumerate(u):
        p += weight[level[test], k] * _probability(eta + sd * node)
    loss = -np.mean(np.where(y[test] > 0.5, np.log(p), np.log1p(-p)))
    ranked = p if split == "groups" else eta + mean[level[test]]
    return _area(y[test], ranked), float(loss)


def _probability(eta: Vector) -> Vector:
    return 0.5 * (1.0 + np.tanh(0.5 * eta))


def _area(y: Vector, score: Vector) -> float:
    """Area under the ROC curve, by ranks."""
    rank = np.empty(len(y))
    rank[np.argsort(score)] = np.arange(1, len(y) + 1)
    ones = y.sum()
    return float(
        (rank[y == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(y) - ones))
    )


def line(f: Figures) -> str:
    """One fit in a line."""
    error = f.variance_estimate / f.variance_realised - 1.0
    oracle = f.variance_oracle / f.variance_realised - 1.0
    name = "mse" if f.family == "gaussian" else "auc"
    return (
        f"{f.method:7} {f.family:9} q={f.n_levels:<6} var={f.variance:<4g} {f.split:6} "
        f"seed={f.seed} {name} {f.score:.4f} (best {f.best_score:.4f}, gap "
        f"{f.gap:+.4f})  log-loss {f.log_loss:.4f} ({f.best_log_loss:.4f})  sigma_b^2 "
        f"{f.variance_estimate:.4f} ({100 * error:+.1f} %, f known "
        f"{100 * oracle:+.1f} %)  sigma_e^2 {f.residual_variance:.4f}  "
        f"{f.seconds:.1f} s, {f.epochs} epochs, {f.status}"
    )


def save(found: list[Figures]) -> None:
    """Add the figures to those on file; a cell's earlier ones are replaced."""

    def key(entry: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(
            entry[k]
            for k in ("split", "family", "n_levels", "variance", "seed", "method")
        )

    old = json.loads(RECORDS.read_text()) if RECORDS.exists() else []
    merged = {key(e): e for e in old} | {key(e): e for e in map(asdict, found)}
    RECORDS.parent.mkdir(exist_ok=True)
    text = json.dumps([merged[k] for k in sorted(merged)], indent=1)
    RECORDS.write_text(text + "\n")
    tabulate(RECORDS)


def _cell(text: str) -> Cell:
    family, n_levels, variance = text.split(":")
    return Cell(family, int(n_levels), float(variance))


def main() -> None:
    """Run the cells asked for."""
    parser = argparse.ArgumentParser(description="The simulation of LMMNN")
    parser.add_argument(
        "--cells", nargs="+", type=_cell, help="family:levels:variance, default all"
    )
    parser.add_argument("--split", choices=("rows", "groups"), default="rows")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["ngmm"])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the first repeat")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--progress", action="store_true")
    ask = parser.parse_args()
    methods = [m for m in ask.methods if m != "gpboost" or find_spec("gpboost")]
    if len(methods) < len(ask.methods):
        print("gpboost: not installed")
    cells = ask.cells or [Cell(*c) for c in product(FAMILIES, LEVELS, VARIANCES)]
    for cell in cells:
        for seed in range(ask.seed, ask.seed + ask.repeats):
            for figures in run(cell, seed, ask.split, methods, ask.progress, ask.rows):
                print(line(figures), flush=True)
                save([figures])


if __name__ == "__main__":
    main()
