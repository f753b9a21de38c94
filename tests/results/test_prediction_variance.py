"""Means, standard errors and intervals of predictions against dense matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ngmm
from ngmm.results import MixedModelFit
from tests.results.dense import Dense, mean_variance, solve, spread
from tests.results.examples import fitted, load, panel


def new_rows(name: str) -> pd.DataFrame:
    """Known and unseen levels, alone and together."""
    if name in ("slope", "slope_reml", "independent"):
        return pd.DataFrame(
            {
                "Days": [0, 3, 10, 0, 3, -1],
                "Subject": ["308", "372", "309", "new", "new", "newer"],
            }
        )
    if name == "crossed":
        return pd.DataFrame(
            {"plate": ["a", "b", "zz", "zz"], "sample": ["A", "Z", "B", "Z"]}
        )
    if name == "nested":
        return pd.DataFrame(
            {"batch": ["A", "A", "Z", "B"], "cask": ["a", "z", "a", "c"]}
        )
    columns = ["x", "copy", "z", "f", "o", "g", "h"]
    rows = panel().dropna().iloc[::40][columns].reset_index(drop=True)
    return rows.assign(
        g=[*rows["g"].iloc[:3], "new", "newer", "new"],
        h=[*rows["h"].iloc[:2], 7, rows["h"].iloc[3], 7, 8],
    )


def expected(
    fit: MixedModelFit, dense: Dense, new: pd.DataFrame | None, **ask: Any
) -> pd.DataFrame:
    """Columns fit, se and the standard deviation of a new observation's error."""
    rows = fit.design if new is None else fit.spec.apply(new)
    weights = fit.design.weights if new is None else np.ones(len(rows.X))
    re, levels = ask["re"], ask["new_levels"]
    use = list(fit.n_levels) if re == "all" else [] if isinstance(re, str) else re
    mean = rows.X @ dense.beta + rows.offset
    variance = mean_variance(dense, rows.X, rows.random, use)
    single = fit.sigma**2 / weights
    at = 0
    for term, sigma in zip(rows.random, dense.sigmas, strict=True):
        size = term.n_levels * len(term.names)
        between = np.einsum("ni,ij,nj->n", term.Z, sigma, term.Z)
        if term.group in use:
            mean = mean + spread(term) @ dense.b[at : at + size]
            if levels == "marginal":
                variance = variance + np.where(term.codes < 0, between, 0)
        if re == "marginal":
            single = single + between
        at += size
    return pd.DataFrame(
        {"fit": mean, "se": np.sqrt(variance), "sd": np.sqrt(variance + single)}
    )


def assert_as_expected(
    fit: MixedModelFit, new: pd.DataFrame | None, level: float, **ask: Any
) -> None:
    want = expected(fit, solve(fit), new, **ask)
    scale = float(np.abs(fit.design.y).max())
    z = stats.norm.ppf(0.5 + level / 2)
    for interval, spread_of in (("confidence", "se"), ("prediction", "sd")):
        got = fit.predict(new, se=True, interval=interval, level=level, **ask)
        assert isinstance(got, pd.DataFrame)
        assert got.columns.tolist() == ["fit", "se", "lower", "upper"]
        # The dense solution loses digits to its condition number.
        np.testing.assert_allclose(got["fit"], want["fit"], rtol=0, atol=1e-9 * scale)
        np.testing.assert_allclose(got["se"], want["se"], rtol=1e-6)
        half = z * want[spread_of]
        np.testing.assert_allclose((got["upper"] - got["lower"]) / 2, half, rtol=1e-6)
        middle = (got["upper"] + got["lower"]) / 2
        np.testing.assert_allclose(middle, got["fit"], rtol=1e-12, atol=1e-12)


MODELS = ["slope", "slope_reml", "independent", "crossed", "nested", "rich"]
SUBSETS = [
    ("crossed", ["sample"]),
    ("crossed", ["plate"]),
    ("nested", ["batch"]),
    ("nested", ["batch:cask"]),
    ("rich", ["g"]),
    ("rich", ["h"]),
    ("rich", ["g", "h"]),
    ("slope", []),
]
CASES = [(m, re) for m in MODELS for re in ("all", "none", "marginal")] + SUBSETS


@pytest.mark.parametrize("new_levels", ["population", "marginal"])
@pytest.mark.parametrize(("name", "re"), CASES)
def test_new_rows(name: str, re: str | list[str], new_levels: str) -> None:
    fit = fitted(name)
    assert_as_expected(fit, new_rows(name), 0.9, re=re, new_levels=new_levels)


@pytest.mark.parametrize(("name", "re"), CASES)
def test_rows_of_the_fit(name: str, re: str | list[str]) -> None:
    assert_as_expected(fitted(name), None, 0.95, re=re, new_levels="error")


@pytest.mark.parametrize("name", ["zero", "perfect", "no_fixed", "triple"])
@pytest.mark.parametrize("re", ["all", "none", "marginal"])
def test_singular_fits_and_longer_terms(name: str, re: str) -> None:
    fit = fitted(name)
    if name == "no_fixed" and re != "all":
        # Nothing is estimated: the standard error is zero.
        rows = fit.predict(re=re, se=True)
        assert isinstance(rows, pd.DataFrame)
        assert (rows == 0).to_numpy().all()
        return
    assert_as_expected(fit, None, 0.95, re=re, new_levels="error")


def test_marginal_interval_is_the_population_mean_and_all_variances() -> None:
    fit = fitted("slope")
    new = pd.DataFrame({"Days": [0.0, 5.0, 12.0], "Subject": ["308", "x", "y"]})
    got = fit.predict(new, re="marginal", interval="prediction", se=True)
    assert isinstance(got, pd.DataFrame)
    sds = fit.varcorr().to_frame()
    s0, s1 = sds["sd"].iloc[:2]
    cross = 2 * sds["corr"].iloc[2] * s0 * s1
    days = new["Days"]
    between = s0**2 + cross * days + (s1 * days) ** 2
    x = np.column_stack([np.ones(3), days])
    mean = pd.Series(x @ fit.fixef.to_numpy())
    se2 = np.einsum("ni,ij,nj->n", x, fit.vcov().to_numpy(), x)
    half = stats.norm.ppf(0.975) * np.sqrt(se2 + between + fit.sigma**2)
    # A sum written out.
    np.testing.assert_allclose(got["fit"], mean, rtol=1e-12)
    np.testing.assert_allclose(got["se"], np.sqrt(se2), rtol=1e-10)
    np.testing.assert_allclose(got["lower"], mean - half, rtol=1e-10)
    # No level is looked up, so new data need not have the group.
    without = fit.predict(new[["Days"]], re="marginal", interval="prediction", se=True)
    pd.testing.assert_frame_equal(pd.DataFrame(without), got)
    np.testing.assert_allclose(got["upper"], mean + half, rtol=1e-10)


def test_a_population_mean_needs_no_modes() -> None:
    # Two routes to x' vcov x: the covariance of beta, and the equations of all.
    fit = fitted("rich")
    X = fit.design.X
    se = fit.predict(re="none", se=True)["se"]  # type: ignore[index]
    direct = np.sqrt(np.einsum("ni,ij,nj->n", X, fit.vcov().to_numpy(), X))
    np.testing.assert_allclose(se, direct, rtol=1e-10)


def test_an_unseen_level_widens_only_the_marginal_interval() -> None:
    fit = fitted("slope")
    new = {"Days": [4], "Subject": ["new"]}
    ask: dict[str, Any] = {"se": True, "interval": "prediction"}
    population = fit.predict(new, new_levels="population", **ask)
    marginal = fit.predict(new, new_levels="marginal", **ask)
    assert isinstance(marginal, pd.DataFrame)
    np.testing.assert_array_equal(population["fit"], marginal["fit"])
    assert np.all(marginal["se"] > 2 * population["se"])
    # For an unseen level, `marginal` predictions of all and of none effects agree.
    integrated = fit.predict(new, re="marginal", interval="prediction")
    np.testing.assert_allclose(
        marginal[["lower", "upper"]], integrated[["lower", "upper"]], rtol=1e-12
    )


def coverage(*, new: bool, n_sets: int) -> float:
    """Share of new observations inside 80 % prediction intervals."""
    fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", load("sleepstudy"))
    truth = fit.simulate(n_sets, seed=1).to_numpy()
    data = load("sleepstudy")
    # Subjects of the fit, on days left out of it; or subjects left out.
    out = data["Subject"].isin(["308", "350"]) if new else data["Days"].isin([4, 9])
    train, test = data[~out], data[out]
    half = ngmm.fit("Reaction ~ Days + (Days | Subject)", train)
    inside = []
    for column in truth.T:
        refitted = half.refit(column[~out.to_numpy()])
        band = refitted.predict(
            test, new_levels="marginal", interval="prediction", level=0.8
        )
        y = column[out.to_numpy()]
        inside.append(((band["lower"] <= y) & (y <= band["upper"])).mean())
    return float(np.mean(inside))


@pytest.mark.parametrize("new", [False, True], ids=["known levels", "new levels"])
def test_prediction_intervals_cover(new: bool) -> None:
    # 400 data sets. Values of one set are dependent: at worst 400 independent ones,
    # standard error 0.02. Estimated variances are taken as known: a little too short.
    assert 0.74 < coverage(new=new, n_sets=400) < 0.86
