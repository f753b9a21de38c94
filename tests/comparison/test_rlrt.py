"""The exact law of the likelihood ratio of one variance.

Reference probabilities: RLRsim 3.1-8 under R 4.2.2, a million draws each:

    library(RLRsim); data(sleepstudy, package = "lme4"); set.seed(1)
    X <- model.matrix(~ Days, s); Z <- model.matrix(~ 0 + Subject, s)
    r <- LRTSim(X, Z, q = 0, sqrt.Sigma = diag(ncol(Z)), nsim = 1e6)   # q = 1, RLRTSim
    sapply(c(.01, .5, 1, 2, 4, 6), function(t) mean(r > t))

with s = sleepstudy, or its rows in UNBALANCED.
"""

from __future__ import annotations

import numpy as np
import pytest

import ngmm
from ngmm.design import build_design
from ngmm.inference.ratio.exact import simulate_ratio, spectrum

AT = (0.01, 0.5, 1.0, 2.0, 4.0, 6.0)
# R's row numbers, from 1.
UNBALANCED = [*range(1, 6), *range(11, 14), *range(21, 33), *range(41, 45), 51]
UNBALANCED += [*range(61, 68), *range(71, 76), *range(81, 84)]

CASES = [
    ("all", False, 0, (0.367516, 0.175290, 0.111092, 0.051595, 0.013801, 0.004073)),
    ("all", True, 0, (0.422531, 0.211969, 0.137460, 0.066525, 0.018407, 0.005663)),
    ("some", False, 0, (0.269225, 0.130046, 0.083283, 0.039699, 0.011026, 0.003430)),
    ("some", True, 0, (0.397069, 0.200312, 0.130689, 0.063561, 0.018227, 0.005690)),
    ("some", False, 1, (0.943977, 0.575097, 0.410095, 0.226569, 0.076207, 0.027221)),
]


@pytest.mark.reference
@pytest.mark.parametrize(("rows", "reml", "n_tested", "expected"), CASES)
def test_against_rlrsim(
    rows: str, reml: bool, n_tested: int, expected: tuple[float, ...]
) -> None:
    data = ngmm.datasets.load("sleepstudy")
    if rows == "some":
        data = data.iloc[[r - 1 for r in UNBALANCED]]
        data = data.assign(Subject=data["Subject"].astype(str))
    design, _ = build_design(ngmm.parse("Reaction ~ Days + (1 | Subject)"), data)
    law = spectrum(
        design.X, design.random[0], design.weights, reml=reml, n_tested=n_tested
    )
    n = 100_000
    draws = simulate_ratio(law, n, seed=4)
    for at, p in zip(AT, expected, strict=True):
        # Four Monte Carlo errors of ours and of theirs, and what their grid of lambda
        # leaves out next to zero, where it is coarser.
        error = np.sqrt(p * (1 - p) * (1 / n + 1e-6))
        slack = 0.01 * p if at < 0.1 else 0.0
        assert abs((draws > at).mean() - p) < 4 * error + slack


def test_weights_are_precisions() -> None:
    # Rows of weight w are as rows multiplied by sqrt(w): the law is that of those.
    rng = np.random.default_rng(0)
    data = ngmm.datasets.load("sleepstudy")
    design, _ = build_design(ngmm.parse("Reaction ~ Days + (1 | Subject)"), data)
    term, w = design.random[0], rng.uniform(0.5, 2.0, design.n_rows)
    law = spectrum(design.X, term, w, reml=True)
    root = np.sqrt(w)[:, None]
    Z = np.eye(term.n_levels)[term.codes] * root
    q = np.linalg.qr(design.X * root)[0]
    left = Z - q @ (q.T @ Z)
    expected = np.linalg.eigvalsh(left.T @ left)
    # Eigenvalues of one matrix formed in two ways; those below the bound are zero.
    np.testing.assert_allclose(
        np.repeat(law.mu, law.count.astype(int)), expected[1:], rtol=1e-9
    )
    assert expected[0] < 1e-9
    assert law.n_rest == design.n_rows - 2 - 17


def test_the_seed_decides() -> None:
    data = ngmm.datasets.load("sleepstudy")
    design, _ = build_design(ngmm.parse("Reaction ~ Days + (1 | Subject)"), data)
    law = spectrum(design.X, design.random[0], design.weights, reml=True)
    once, again = (simulate_ratio(law, 50, seed=3) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert (simulate_ratio(law, 50, seed=4) != once).any()
    assert (once >= 0).all()
