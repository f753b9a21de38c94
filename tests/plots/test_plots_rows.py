"""Pictures of what rows say of the model: residuals and calibration."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ngmm import plots
from ngmm.errors import DataError, OptionError
from ngmm.plots.calibration import binned
from tests.clusters.fits import counts, latent, sleep
from tests.plots.fits import bacteria, band, line


def test_residuals_against_normal_quantiles_with_a_band() -> None:
    axes = plots.residuals(sleep())
    r = np.sort(sleep().resid() / sleep().sigma)
    n = len(r)
    x, y = line(axes[0], "rows")
    # Division in another order.
    np.testing.assert_allclose(y, r, rtol=1e-12)
    np.testing.assert_allclose(stats.norm.cdf(x), (np.arange(n) + 0.5) / n, rtol=1e-9)
    _, low, high = band(axes[0])
    i = np.arange(1, n + 1)
    for edge, p in ((low, 0.025), (high, 0.975)):
        expected = stats.norm.ppf(stats.beta.ppf(p, i, n + 1 - i))
        # Inverses of distribution functions, found by iteration.
        np.testing.assert_allclose(edge, expected, atol=1e-8)


def test_residuals_against_the_fit_with_their_mean() -> None:
    axis = plots.residuals(sleep())[1]
    eta, r = line(axis, "rows")
    np.testing.assert_array_equal(eta, sleep().fitted())
    np.testing.assert_array_equal(r, sleep().resid("quantile"))
    x, y = line(axis, "mean")
    # 180 rows: 18 parts of ten.
    first = np.argsort(eta)[:10]
    assert len(x) == 18
    assert x[0] == pytest.approx(eta[first].mean(), rel=1e-12)
    assert y[0] == pytest.approx(r[first].mean(), rel=1e-12)
    assert axis.get_xlabel() == "Reaction, fitted"


def test_residuals_by_level() -> None:
    axis = plots.residuals(sleep(), "Subject")[2]
    by_level = sleep().resid("quantile").groupby(sleep().call.data["Subject"])
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert labels == list(by_level.median().index)
    # Boxes have their median as a line of two equal heights, in colour C1.
    flat = [one.get_ydata() for one in axis.lines if one.get_color() == "C1"]
    # Means of the same two numbers.
    np.testing.assert_allclose([y[0] for y in flat], by_level.median(), rtol=1e-12)


def test_residuals_of_many_levels_and_of_a_neural_random_effect() -> None:
    axes = plots.residuals(latent())
    assert axes[2].get_xlabel() == "g (30 of 40 levels)"
    assert len(axes[2].get_xticklabels()) == 30
    assert axes[1].get_xlabel() == "logit of the mean of y, fitted"
    assert np.isfinite(line(axes[0], "rows")[1]).all()


def test_calibration_has_shares_and_wilson_limits() -> None:
    axis = plots.calibration(bacteria(), bins=4)
    p = bacteria().fitted().to_numpy()
    y = (bacteria().call.data["y"] == "y").to_numpy()
    (bars,) = axis.containers
    part = np.searchsorted(np.quantile(p, [0.25, 0.5, 0.75]), p)
    ends = np.array([s[:, 1] for s in bars.lines[2][0].get_segments()])
    for j in range(4):
        k, n = int(y[part == j].sum()), int((part == j).sum())
        assert bars.lines[0].get_xdata()[j] == pytest.approx(p[part == j].mean())
        assert bars.lines[0].get_ydata()[j] == pytest.approx(k / n)
        expected = stats.binomtest(k, n).proportion_ci(method="wilson")
        np.testing.assert_allclose(ends[j], expected, rtol=1e-9)  # one formula
    assert axis.get_xlabel() == "predicted P(y = y)"


@pytest.mark.slow
def test_calibration_of_counts_weighs_by_trials() -> None:
    axis = plots.calibration(counts(), bins=1, re="none")
    data = counts().call.data
    assert axis.lines[1].get_ydata() == pytest.approx(data["k"].sum() / (8 * len(data)))
    assert axis.get_xlabel() == "predicted share of cbind(k, m)"


def test_calibration_of_new_rows() -> None:
    new = {"trt": ["drug", "placebo", "drug"], "week": [2, 2, 4], "ID": ["a", "a", "b"]}
    axis = plots.calibration(bacteria(), 1, newdata=new, y=[True, False, True])
    expected = bacteria().predict(new, new_levels="marginal").mean()
    assert axis.lines[1].get_xdata() == pytest.approx(expected)
    assert axis.lines[1].get_ydata() == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="newdata has 3 rows"):
        plots.calibration(bacteria(), newdata=new, y=[1, 0])
    with pytest.raises(DataError, match="zeros and ones; 1 stands for 'y'"):
        plots.calibration(bacteria(), newdata=new, y=["y", "n", "y"])
    with pytest.raises(OptionError, match="go together"):
        plots.calibration(bacteria(), newdata=new)


def test_equal_predictions_stay_together() -> None:
    p = np.array([0.2] * 6 + [0.7] * 2)
    found = binned(p, np.tile([0.0, 1.0], 4), np.ones(8), 4, 0.95)
    np.testing.assert_allclose(found.predicted, [0.2, 0.7], rtol=1e-15)  # of equal ones
    assert found.observed.tolist() == [0.5, 0.5]
    one = binned(np.full(3, 0.4), np.ones(3), np.ones(3), 10, 0.95)
    assert one.observed.tolist() == [1.0]
