"""Item response models: a simulated 2PL test, recovered.

    python benchmarks/item_response.py [--students 20000] [--items 40]

Difficulties and discriminations are those of 20,000 students on 40 items. No estimate
of an ability can do better than its posterior mean under the true parameters; its
correlation with the truth is the ceiling. A smaller test is fitted as well as Rasch's
model, with the figures of ngmm's own random intercept beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from typing import Any

import numpy as np
import pandas as pd

import ngmm
from records import RESULTS, tabulate

RECORDS = RESULTS / "item_response.json"
TWO = "correct ~ 0 + item + (nn(item, hidden=()) | student)"
RASCH = "correct ~ 0 + item + (nn(item, shared=True) | student)"
INTERCEPT = "correct ~ 0 + item + (1 | student)"


def simulate(
    students: int, items: int, seed: int
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Answers of every student to every item, and what they were drawn from."""
    generator = np.random.default_rng(seed)
    truth = {
        "discrimination": np.exp(0.3 * generator.standard_normal(items)),
        "easiness": generator.standard_normal(items),
        "ability": generator.standard_normal(students),
    }
    student = np.repeat(np.arange(students), items)
    item = np.tile(np.arange(items), students)
    eta = truth["easiness"][item]
    eta = eta + truth["discrimination"][item] * truth["ability"][student]
    correct = (generator.random(len(eta)) < 1.0 / (1.0 + np.exp(-eta))).astype(int)
    names = {"item": [f"i{j:03}" for j in range(items)]}
    names["student"] = [f"s{j:06}" for j in range(students)]
    data = {
        "correct": correct,
        "item": pd.Categorical.from_codes(item, categories=names["item"]),
        "student": pd.Categorical.from_codes(student, categories=names["student"]),
    }
    return pd.DataFrame(data), truth


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two vectors."""
    return float(np.corrcoef(a, b)[0, 1])


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean squared difference."""
    return float(np.sqrt(np.mean((a - b) ** 2)))


def best_abilities(
    data: pd.DataFrame, truth: dict[str, np.ndarray], n_nodes: int = 121
) -> np.ndarray:
    """Posterior means of the abilities under the true parameters."""
    v = np.linspace(-6.5, 6.5, n_nodes)
    eta = truth["easiness"][:, None] + truth["discrimination"][:, None] * v
    right, wrong = -np.logaddexp(0.0, -eta), -np.logaddexp(0.0, eta)
    y = data["correct"].to_numpy().reshape(-1, len(eta)).astype(np.float64)
    log_p = y @ right + (1.0 - y) @ wrong - 0.5 * v**2
    weight = np.exp(log_p - log_p.max(1, keepdims=True))
    return weight @ v / weight.sum(1)


def timed(formula: str, data: pd.DataFrame) -> tuple[ngmm.MixedModelFit, float]:
    """A fit and its seconds, compilation included."""
    start = time.perf_counter()
    fit = ngmm.fit(formula, data, family="bernoulli")
    return fit, time.perf_counter() - start


def two_parameter(students: int, items: int, seed: int) -> dict[str, Any]:
    """Figures of the 2PL model."""
    data, truth = simulate(students, items, seed)
    fit, seconds = timed(TWO, data)
    ability = fit.ranef()["student"]["v"].to_numpy()
    loadings = fit.loadings().to_frame()
    slope = loadings["loading"].to_numpy()
    return {
        "students": students,
        "items": items,
        "seconds": seconds,
        "ok": fit.check().ok,
        "estimate": fit.estimate_text,
        "integral": fit.integral_text,
        "loglik": fit.loglik,
        "ability_correlation": correlation(ability, truth["ability"]),
        "ability_ceiling": correlation(best_abilities(data, truth), truth["ability"]),
        "easiness_rmse": rmse(fit.fixef.to_numpy(), truth["easiness"]),
        "easiness_se": float(fit.bse.mean()),
        "discrimination_rmse": rmse(slope, truth["discrimination"]),
        "discrimination_se": float(loadings["std_error"].to_numpy().mean()),
    }


def rasch(students: int, items: int, seed: int) -> dict[str, Any]:
    """Rasch's model beside the random intercept."""
    data, _ = simulate(students, items, seed)
    network, seconds = timed(RASCH, data)
    intercept, took = timed(INTERCEPT, data)
    return {
        "students": students,
        "items": items,
        "network_loglik": network.loglik,
        "network_seconds": seconds,
        "intercept_loglik": intercept.loglik,
        "intercept_seconds": took,
        "largest_difference_of_fixef": float(
            np.abs(network.fixef - intercept.fixef).max()
        ),
    }


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = {
        "ngmm": ngmm.__version__,
        "python": platform.python_version(),
        "rasch": rasch(1_000, 20, asked.seed),
        "two_parameter": two_parameter(asked.students, asked.items, asked.seed),
    }
    text = json.dumps(found, indent=2) + "\n"
    print(text)
    RECORDS.write_text(text)
    tabulate(RECORDS)
    if not found["two_parameter"]["ok"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
