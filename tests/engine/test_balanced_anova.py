"""Balanced one-way layouts, whose estimates are written down in every textbook."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import ngmm
from ngmm.estimation.status import Status
from ngmm.model import Model

# Few numbers of groups, as each is compiled for; any size and any values.
layouts = st.tuples(
    st.sampled_from([3, 6, 11]),
    st.integers(2, 9),
    st.integers(0, 2**32 - 1),
    st.floats(0, 3),
)


@dataclass(frozen=True)
class Anova:
    """Sums of squares of a balanced layout (groups, size)."""

    y: NDArray[np.float64]

    @property
    def between(self) -> float:
        """Mean square between groups."""
        a, m = self.y.shape
        means = self.y.mean(1)
        return m * float(((means - means.mean()) ** 2).sum()) / (a - 1)

    @property
    def within(self) -> float:
        """Mean square within groups."""
        a, m = self.y.shape
        return float(((self.y - self.y.mean(1, keepdims=True)) ** 2).sum()) / (
            a * (m - 1)
        )

    def estimates(self, *, reml: bool) -> tuple[float, float]:
        """Variance between and within; the former truncated at zero."""
        a, m = self.y.shape
        share = 1.0 if reml else (a - 1) / a
        between = (share * self.between - self.within) / m
        if between > 0:
            return between, self.within
        total = float(((self.y - self.y.mean()) ** 2).sum())
        return 0.0, total / (a * m - reml)

    def loglik(self, between: float, within: float, *, reml: bool) -> float:
        """Log-likelihood at the mean, from the eigenvalues of the covariance."""
        a, m = self.y.shape
        n, top = a * m, within + m * between
        value = n * np.log(2 * np.pi) + a * (m - 1) * np.log(within) + a * np.log(top)
        value += a * (m - 1) * self.within / within + (a - 1) * self.between / top
        if reml:
            value += np.log(n / top) - np.log(2 * np.pi)
        return -0.5 * value


def layout(a: int, m: int, seed: int, sd: float) -> Anova:
    rng = np.random.default_rng(seed)
    return Anova(50 + sd * rng.normal(size=(a, 1)) + rng.normal(size=(a, m)))


def frame(anova: Anova) -> pd.DataFrame:
    a, m = anova.y.shape
    return pd.DataFrame({"y": anova.y.ravel(), "g": np.repeat(np.arange(a), m)})


@pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])
@settings(max_examples=25)
@given(case=layouts)
def test_estimates(reml: bool, case: tuple[int, int, int, float]) -> None:
    anova = layout(*case)
    design, _ = ngmm.build_design(ngmm.parse("y ~ 1 + (1 | g)"), frame(anova))
    best = Model(design, reml=reml).maximise()
    between, within = anova.estimates(reml=reml)
    expected = anova.loglik(between, within, reml=reml)
    assert best.status is Status.CONVERGED
    assert best.loglik == pytest.approx(expected, rel=1e-12)
    assert best.beta == pytest.approx([anova.y.mean()], rel=1e-12)
    # The search stops when the objective is within rounding, 1e-14 of it, of its
    # minimum; the variances are then good to the root of that.
    assert best.sigma**2 == pytest.approx(within, rel=1e-6)
    found = (best.theta[0] * best.sigma) ** 2
    assert found == pytest.approx(between, rel=1e-6, abs=1e-6 * within)
    # A case within rounding of the boundary may be on either side of it.
    if between == 0.0 and anova.between < 0.999 * anova.within:
        assert best.theta[0] == 0.0


@settings(max_examples=15)
@given(case=layouts)
def test_satterthwaite(case: tuple[int, int, int, float]) -> None:
    anova = layout(*case)
    fit = ngmm.fit("y ~ 1 + (1 | g)", frame(anova), reml=True)
    a, m = anova.y.shape
    table = fit.coef_table().to_frame()
    ratio = anova.between / anova.within
    if ratio > 1.001:
        # The mean is tested against the mean square between groups.
        assert table["df"].item() == pytest.approx(a - 1, rel=1e-5)
        se = np.sqrt(anova.between / (a * m))
        assert table["std_error"].item() == pytest.approx(se, rel=1e-6)
    elif ratio < 0.999:
        # Nothing between groups: one sample of a m numbers.
        assert table["df"].item() == pytest.approx(a * m - 1, rel=1e-9)
        assert table["std_error"].item() == pytest.approx(
            anova.y.std(ddof=1) / np.sqrt(a * m), rel=1e-9
        )
