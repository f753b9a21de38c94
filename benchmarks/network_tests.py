"""Size and power of the tests of networks, through the public functions.

Groups of ten rows with a random intercept (sd 0.7) and two standard normal inputs,

    eta = x1 - 0.5 x2 + curve sin(1.5 x1) x2,

and the question whether anything beyond linear is needed: ``y ~ x1 + x2 + (1 | g)``
against ``y ~ nn(x1, x2) + (1 | g)``. With ``--curve 0`` the rates are sizes.

``score``      `ngmm.comparison.score.score_test`, which fits no network.
``split``      `ngmm.comparison.split.split_test`, one split a data set.
``bootstrap``  the likelihood ratio against its parametric bootstrap by the warp-speed
               method (Giacomini, Politis & White 2013, Econometric Theory 29, 567-589):
               one simulated response a data set; the statistics of all data sets are
               compared with the quantile of the simulated ones of all.

Run, for instance, ``python benchmarks/network_tests.py --sets 200 --groups 30 100
--family gaussian bernoulli --curve 0 0.3 --test score``; ``--write`` keeps the rates.
"""

from __future__ import annotations

import argparse
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd

from records import keep, kept

ROWS, SD, LEVEL = 10, 0.7, 0.05
LINEAR, NETWORK = "y ~ x1 + x2 + (1 | g)", "y ~ nn(x1, x2) + (1 | g)"
SETS_A_TASK = 25


def simulate(groups: int, family: str, curve: float, between: bool, seed: int):
    """One data set."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), ROWS)
    x = rng.normal(size=(groups, 2))[g] if between else rng.normal(size=(len(g), 2))
    eta = x[:, 0] - 0.5 * x[:, 1] + curve * np.sin(1.5 * x[:, 0]) * x[:, 1]
    eta = eta + SD * rng.normal(size=groups)[g]
    y = eta + rng.normal(size=len(g))
    if family == "bernoulli":
        y = (rng.random(len(g)) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    return pd.DataFrame({"y": y, "x1": x[:, 0], "x2": x[:, 1], "g": g})


def run(task: tuple) -> list[tuple[float, float]]:
    """Results of some data sets: p-values, or statistics and simulated ones."""
    test, groups, family, curve, between, seeds = task
    import ngmm
    from ngmm.comparison.score import score_test
    from ngmm.comparison.split import split_test

    warnings.simplefilter("ignore", ngmm.errors.NgmmWarning)
    out = []
    for seed in seeds:
        data = simulate(groups, family, curve, between, seed)
        m0 = ngmm.fit(LINEAR, data, family=family)
        if test == "score":
            out.append((score_test(m0, "nn(x1, x2)", progress=False).p_value, np.nan))
            continue
        m1 = ngmm.fit(NETWORK, data, family=family, progress=False)
        if test == "split":
            found = split_test(m0, m1, n_splits=1, seed=seed, progress=False)
            out.append((found.p_value, np.nan))
            continue
        # Not the seed of the data: its draws would come again, as noise.
        y = m0.simulate(1, seed=10**9 + seed)[0]
        simulated = m1.refit(y).loglik - m0.refit(y).loglik
        out.append((2 * (m1.loglik - m0.loglik), 2 * simulated))
    return out


def rejections(test: str, results: np.ndarray) -> np.ndarray:
    """Whether each data set is rejected."""
    if test == "bootstrap":
        return results[:, 0] > np.quantile(results[:, 1], 1.0 - LEVEL)
    return results[:, 0] < LEVEL


def main() -> None:
    """Print a row a cell."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--groups", type=int, nargs="+", default=[30])
    parser.add_argument("--family", nargs="+", default=["gaussian"])
    parser.add_argument("--curve", type=float, nargs="+", default=[0.0])
    parser.add_argument(
        "--test", nargs="+", default=["score"], choices=["score", "bootstrap", "split"]
    )
    parser.add_argument("--between", action="store_true", help="inputs of groups")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2, choices=[1, 2])
    parser.add_argument("--write", action="store_true", help="keep the rates")
    args = parser.parse_args()
    rows = []
    print("test       family     groups  curve  sets   rate     se  seconds")
    # Processes that are forked after jax has started threads may hang.
    context = get_context("spawn")
    with ProcessPoolExecutor(args.processes, mp_context=context) as pool:
        for cell in (
            (test, groups, family, curve)
            for test in args.test
            for family in args.family
            for groups in args.groups
            for curve in args.curve
        ):
            start = time.perf_counter()
            seeds = np.arange(args.sets) + 100_000 * args.seed
            parts = [
                (*cell, args.between, seeds[i : i + SETS_A_TASK])
                for i in range(0, len(seeds), SETS_A_TASK)
            ]
            found = np.array([row for part in pool.map(run, parts) for row in part])
            rate = rejections(cell[0], found).mean()
            se = np.sqrt(rate * (1.0 - rate) / len(found))
            seconds = time.perf_counter() - start
            test, groups, family, curve = cell
            rows.append(
                {
                    "test": test,
                    "family": family,
                    "groups": groups,
                    "curve": curve,
                    "inputs": "of groups" if args.between else "of rows",
                    "sets": len(found),
                    "rejected": {"rate": float(rate), "error": float(se)},
                    "seconds": round(seconds, 1),
                }
            )
            print(
                f"{test:10} {family:10} {groups:6} {curve:6g} {len(found):5} "
                f"{rate:6.1%} {se:6.1%} {seconds:8.0f}",
                flush=True,
            )
    if args.write:
        names = ("test", "family", "groups", "curve", "inputs")
        both = {tuple(r[k] for k in names): r for r in [*kept("network_tests"), *rows]}
        print(keep("network_tests", list(both.values())))


if __name__ == "__main__":
    main()
