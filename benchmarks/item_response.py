"""Item response models: a simulated 2PL test, recovered.

    python benchmarks/item_response.py [--students 20000] [--items 40]

Difficulties and discriminations are those of 20,000 students on 40 items. No estimate
of an ability can do better than its posterior mean under the true parameters; its
correlation with the truth is the ceiling. A smaller test is fitted as well as Rasch's
model, with the figures of ngmm's own random intercept beside it.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

import ngmm
from ngmm import families
from ngmm.estimation.status import Status
from ngmm.likelihood.latent.data import LatentRows
from ngmm.likelihood.latent.estimate import LatentEstimate
from ngmm.likelihood.latent.fit import fit_rows
from ngmm.likelihood.latent.predict import loadings
from ngmm.networks import Inputs
from ngmm.networks.latent import LatentMLP


def simulate(
    students: int, items: int, seed: int
) -> tuple[LatentRows, dict[str, np.ndarray]]:
    """Answers of every student to every item, and what they were drawn from."""
    generator = np.random.default_rng(seed)
    truth = {
        "discrimination": np.exp(0.3 * generator.standard_normal(items)),
        "easiness": generator.standard_normal(items),
        "ability": generator.standard_normal(students),
    }
    student = np.repeat(np.arange(students), items).astype(np.int32)
    item = np.tile(np.arange(items), students).astype(np.int32)
    eta = truth["easiness"][item]
    eta = eta + truth["discrimination"][item] * truth["ability"][student]
    y = (generator.random(len(eta)) < 1.0 / (1.0 + np.exp(-eta))).astype(np.float64)
    X = np.zeros((len(y), items))
    X[np.arange(len(y)), item] = 1.0
    one = np.ones(len(y))
    inputs = Inputs(np.zeros((len(y), 0)), (item,))
    return LatentRows(y, 0.0 * one, one, one, X, inputs, student, students), truth


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two vectors."""
    return float(np.corrcoef(a, b)[0, 1])


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean squared difference."""
    return float(np.sqrt(np.mean((a - b) ** 2)))


def report(found: LatentEstimate, truth: dict[str, np.ndarray], seconds: float) -> None:
    """Print the figures of a 2PL fit."""
    problem = found.engine.problem
    items = len(truth["easiness"])
    at_truth = np.concatenate(
        [problem.triangle @ truth["easiness"], truth["discrimination"]]
    )
    best = found.engine.posterior(at_truth).mean[:, 0]
    ceiling = correlation(best, truth["ability"])
    reached = correlation(found.means[:, 0], truth["ability"])
    each = Inputs(np.zeros((items, 0)), (np.arange(items, dtype=np.int32),))
    slope, slope_se = loadings(found, each)
    se = np.sqrt(np.diag(np.linalg.inv(found.information)))[:items]
    print(f"  {seconds:.1f} s, {found.status.sentence}, {found.n_steps} steps")
    print(f"  log-likelihood {found.loglik:.3f}, {found.integral.text}, ", end="")
    print(f"error {found.integral.error:.0e}")
    print(f"  abilities: correlation {reached:.5f}, ceiling {ceiling:.5f}")
    print(f"  easiness: RMSE {rmse(found.beta, truth['easiness']):.4f}, ", end="")
    print(f"mean standard error {se.mean():.4f}")
    error = rmse(slope[:, 0], truth["discrimination"])
    print(f"  discrimination: RMSE {error:.4f}, mean standard error ", end="")
    print(f"{slope_se.mean():.4f}")


def timed(rows: LatentRows, network: LatentMLP) -> tuple[LatentEstimate, float]:
    """A fit and its seconds, compilation included."""
    start = time.perf_counter()
    found = fit_rows(rows, families.get("bernoulli"), network)
    return found, time.perf_counter() - start


def network(items: int, *, shared: bool = False) -> LatentMLP:
    """The 2PL network, or Rasch's."""
    return LatentMLP(levels=(items,), constant=False, all_levels=True, shared=shared)


def rasch(students: int, items: int, seed: int) -> None:
    """Rasch's model beside the random intercept."""
    rows, _ = simulate(students, items, seed)
    found, seconds = timed(rows, network(items, shared=True))
    data = pd.DataFrame(
        {
            "y": rows.y,
            "item": rows.inputs.codes[0].astype(str),
            "student": rows.codes.astype(str),
        }
    )
    start = time.perf_counter()
    fit = ngmm.fit("y ~ 0 + item + (1 | student)", data, family="bernoulli")
    print(f"Rasch's model, {students:,} students x {items} items")
    print(f"  network:          {found.loglik:.6f} in {seconds:.1f} s")
    took = time.perf_counter() - start
    print(f"  random intercept: {fit.loglik:.6f} in {took:.1f} s")


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rasch(1_000, 20, asked.seed)
    rows, truth = simulate(asked.students, asked.items, asked.seed)
    print(f"2PL model, {asked.students:,} students x {asked.items} items")
    found, seconds = timed(rows, network(asked.items))
    report(found, truth, seconds)
    if found.status is not Status.CONVERGED:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
