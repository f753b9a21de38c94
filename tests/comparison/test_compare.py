"""Cross-validation: densities against dense ones, the right choice, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.comparison.compare_folds import group_folds, row_folds
from ngmm.errors import OptionError
from ngmm.inference.deletion.held_density import Parameters, density

SLEEP = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return ngmm.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def slopes(data: pd.DataFrame) -> ngmm.MixedModelFit:
    return ngmm.fit(SLEEP, data)


@pytest.fixture(scope="module")
def levels(data: pd.DataFrame) -> ngmm.MixedModelFit:
    return ngmm.fit("Reaction ~ Days + (1 | Subject)", data)


def dense(fit: ngmm.MixedModelFit) -> np.ndarray:
    """The marginal covariance matrix of the rows, from the textbook."""
    d = fit.design
    V = np.diag(fit.sigma**2 / d.weights)
    for term, c in zip(d.random, fit._analysis.components, strict=True):
        inside = term.codes[:, None] == term.codes
        V += inside * (term.Z @ c.covariance @ term.Z.T)
    return V


def normal(y: np.ndarray, mean: np.ndarray, V: np.ndarray) -> float:
    """Log-density of a multivariate normal distribution."""
    r = y - mean
    log_det = np.linalg.slogdet(2.0 * np.pi * V)[1]
    return float(-0.5 * (log_det + r @ np.linalg.solve(V, r)))


def parameters(fit: ngmm.MixedModelFit) -> Parameters:
    e = fit.estimate
    return Parameters(e.beta, e.theta, e.sigma, e.phi)


@pytest.mark.parametrize(
    ("formula", "name", "n_components"),
    [
        (SLEEP, "sleepstudy", 18),
        ("strength ~ 1 + (1 | batch/cask)", "Pastes", 10),
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", 1),
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff2", 6),
    ],
)
def test_gaussian_density_is_the_dense_one(
    formula: str, name: str, n_components: int
) -> None:
    frame = ngmm.datasets.load(name)
    weights = np.linspace(0.5, 2.0, len(frame))
    fit = ngmm.fit(formula, frame, weights=weights)
    found = density(fit.model, parameters(fit))
    y, V = fit.design.y, dense(fit)
    mean = fit.design.X @ fit.fixef.to_numpy()
    kept = np.arange(len(y)) % 3 > 0
    by = found.by_component(kept)
    assert len(by) == n_components
    for c in range(n_components):
        at = kept & (found.component == c)
        expected = normal(y[at], mean[at], V[np.ix_(at, at)])
        # Two routes of a hundred operations on numbers of this size.
        assert by[c] == pytest.approx(expected, rel=1e-9)
    assert found.total(np.ones(len(y), dtype=bool)) == pytest.approx(fit.loglik)
    assert found.total(np.zeros(len(y), dtype=bool)) == 0.0


@pytest.mark.parametrize(
    ("formula", "name", "family"),
    [
        pytest.param(
            "y ~ trt + (1 | subject)",
            "epil",
            "negative_binomial",
            marks=pytest.mark.slow,
        ),
        ("y ~ 1 + (1 | a) + (1 | b)", None, "poisson"),
    ],
)
def test_generalized_density_is_that_of_the_rows_alone(
    formula: str, name: str | None, family: str
) -> None:
    if name is None:
        r = np.random.default_rng(2)
        a, b = (m.ravel() for m in np.meshgrid(np.arange(9), np.arange(6)))
        frame = pd.DataFrame({"y": r.poisson(3.0, len(a)), "a": a, "b": b})
        frame["y"] += frame["a"] % 3
    else:
        frame = ngmm.datasets.load(name)
    fit = ngmm.fit(formula, frame, family=family)
    at = parameters(fit)
    found = density(fit.model, at)
    # The same integral by the same rule; "auto" may take other nodes, to 1e-6 of it.
    whole = np.ones(fit.nobs, dtype=bool)
    assert found.total(whole) == pytest.approx(fit.loglik, abs=1e-5)
    kept = (np.arange(fit.nobs) % 4 > 0) & (fit.design.random[0].codes != 2)
    rows, d = np.flatnonzero(kept), fit.design
    random = []
    for t in d.random:
        used, codes = np.unique(t.codes[rows], return_inverse=True)
        random.append(
            replace(t, Z=t.Z[rows], codes=codes.astype(np.int32), levels=t.levels[used])
        )
    alone = replace(
        d,
        y=d.y[rows],
        X=d.X[rows],
        offset=d.offset[rows],
        weights=d.weights[rows],
        random=tuple(random),
    )
    expected = replace(fit.model, design=alone).loglik(at.theta, None, at.beta, at.phi)
    assert found.total(kept) == pytest.approx(expected, abs=1e-5)
    assert found.by_component(kept).sum() == pytest.approx(expected, abs=1e-5)


def test_elpd_of_new_groups_is_a_multivariate_normal_density(data, slopes, levels):
    found = ngmm.compare(slopes, levels, folds=3, seed=4).to_frame()
    codes = np.asarray(slopes.design.random[0].codes, dtype=np.intp)
    fold = group_folds(codes, 3, np.random.default_rng(4))
    total = 0.0
    for k in range(3):
        trained = slopes.update(data=data[fold != k])
        held = fold == k
        V = dense(replace(slopes, estimate=trained.estimate))
        mean = slopes.design.X @ trained.fixef.to_numpy()
        y, block = slopes.design.y[held], V[np.ix_(held, held)]
        total += normal(y, mean[held], block)
    # The same refits, their densities by two routes.
    assert found.loc[SLEEP, "elpd"] == pytest.approx(total, rel=1e-9)


def test_elpd_of_new_rows_is_a_conditional_density(data, slopes, levels) -> None:
    found = ngmm.compare(slopes, levels, folds=2, new="rows", seed=4).to_frame()
    codes = np.asarray(slopes.design.random[0].codes)
    fold = row_folds(codes, 2, np.random.default_rng(4))
    total = 0.0
    for k in range(2):
        trained = slopes.update(data=data[fold != k])
        h, t = fold == k, fold != k
        V = dense(replace(slopes, estimate=trained.estimate))
        r = slopes.design.y - slopes.design.X @ trained.fixef.to_numpy()
        inner = np.linalg.solve(V[np.ix_(t, t)], V[np.ix_(t, h)])
        mean, left = inner.T @ r[t], V[np.ix_(h, h)] - V[np.ix_(h, t)] @ inner
        total += normal(r[h], mean, left)
    # The same refits, their densities by two routes.
    assert found.loc[SLEEP, "elpd"] == pytest.approx(total, rel=1e-9)


def test_the_table_names_what_is_new_and_orders_the_models(slopes, levels) -> None:
    reml = slopes.update(reml=True)
    table = ngmm.compare(levels, reml, folds=3)
    frame = table.to_frame()
    assert frame.index[0] == SLEEP
    assert frame["elpd_diff"].iloc[0] == 0.0
    assert frame["se_diff"].iloc[0] == 0.0
    assert frame.loc[SLEEP, "aic"] == pytest.approx(slopes.aic)
    assert frame["caic"].iloc[0] < frame["caic"].iloc[1]
    assert "family" not in frame
    assert "new levels of Subject, 3 folds" in table.caption
    assert "AIC: of maximum likelihood" in table.caption
    rows = ngmm.compare(levels, slopes, folds=3, new="rows")
    assert "new rows of known Subject" in rows.caption


def test_the_standard_error_is_paired_over_groups(slopes, levels) -> None:
    found = ngmm.compare(slopes, levels, folds=18).to_frame()
    each = []
    for level in range(18):
        own = slopes.design.random[0].codes == level
        values = []
        for fit in (slopes, levels):
            data = fit.call.data
            trained = fit.update(data=data[~own])
            V = dense(replace(fit, estimate=trained.estimate))[np.ix_(own, own)]
            mean = (fit.design.X @ trained.fixef.to_numpy())[own]
            values.append(normal(fit.design.y[own], mean, V))
        each.append(values[1] - values[0])
    worse = found.iloc[1]
    assert worse["elpd_diff"] == pytest.approx(np.sum(each), rel=1e-8)
    assert worse["se_diff"] == pytest.approx(np.sqrt(18) * np.std(each, ddof=1))


@pytest.mark.slow
def test_the_true_model_predicts_best() -> None:
    r = np.random.default_rng(6)
    g = np.repeat(np.arange(40), 8)
    x, z = r.normal(size=(2, 320))
    y = 1.0 + 0.6 * x + r.normal(size=40)[g] + 1.0 * r.normal(size=40)[g] * x
    frame = pd.DataFrame({"y": y + r.normal(size=320), "x": x, "z": z, "g": g})
    true = ngmm.fit("y ~ x + (x | g)", frame)
    fixed = ngmm.fit("y ~ z + (x | g)", frame)
    random = ngmm.fit("y ~ x + (1 | g)", frame)
    for new in ("groups", "rows"):
        found = ngmm.compare(random, fixed, true, folds=5, new=new).to_frame()
        assert found.index[0] == true.formula
    # Slopes as spread as the residuals are worth more than twice the standard error.
    found = ngmm.compare(random, true, folds=5).to_frame().iloc[1]
    assert found["elpd_diff"] < -2 * found["se_diff"]


def test_crossed_factors_count_by_fold() -> None:
    frame = ngmm.datasets.load("Penicillin")
    both = ngmm.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", frame)
    one = ngmm.fit("diameter ~ 1 + (1 | sample)", frame)
    with pytest.raises(OptionError, match='by= one of "plate", "sample"'):
        ngmm.compare(both, one)
    table = ngmm.compare(both, one, by="plate", folds=4)
    assert "paired over 4 folds" in table.caption
    codes = np.asarray(both.design.random[0].codes, dtype=np.intp)
    fold = group_folds(codes, 4, np.random.default_rng(0))
    total = 0.0
    for k in range(4):
        trained = both.update(data=frame[fold != k])
        h, t = fold == k, fold != k
        V = dense(replace(both, estimate=trained.estimate))
        r = both.design.y - trained.fixef.to_numpy()[0]
        inner = np.linalg.solve(V[np.ix_(t, t)], V[np.ix_(t, h)])
        left = V[np.ix_(h, h)] - V[np.ix_(h, t)] @ inner
        total += normal(r[h], inner.T @ r[t], left)
    # The samples of held-out plates are known: their effects are not drawn anew.
    assert table.to_frame().loc[both.formula, "elpd"] == pytest.approx(total, rel=1e-8)


@pytest.mark.slow
def test_counts_of_two_families() -> None:
    r = np.random.default_rng(0)
    g = np.repeat(np.arange(30), 6)
    mu = np.exp(1.0 + 0.5 * r.normal(size=30)[g])
    frame = {"y": r.poisson(mu * r.gamma(1.0, 1.0, 180)), "g": g, "t": np.ones(180)}
    offset = np.log(np.repeat([1.0, 2.0], 90))
    fits = [
        ngmm.fit("y ~ 1 + (1 | g)", frame, family=family, offset=offset)
        for family in ("poisson", "negative_binomial")
    ]
    table = ngmm.compare(*fits, folds=3)
    found = table.to_frame()
    assert found["family"].tolist() == ["negative_binomial(log)", "poisson(log)"]
    assert found["elpd_diff"].iloc[1] < -2 * found["se_diff"].iloc[1]
    assert "edf of the working model" in table.caption
    # A column of offsets and an array of them are one model.
    named = [f.update(data={**frame, "o": offset}, offset="o") for f in fits]
    assert ngmm.compare(*named, folds=3).to_frame()["elpd"].to_numpy() == (
        pytest.approx(found["elpd"].to_numpy(), rel=1e-10)
    )


def test_networks_are_fitted_again(data, levels) -> None:
    line = ngmm.fit("Reaction ~ nn(Days, hidden=()) + (1 | Subject)", data)
    table = ngmm.compare(line, levels, folds=2)
    found = table.to_frame()
    # One model in two parametrisations; elpd moves by the gain left, 1e-6 at most.
    assert abs(found["elpd_diff"].iloc[1]) < 1e-3
    assert "with networks" in table.caption


def test_levels_that_training_rows_lack_are_left_out() -> None:
    r = np.random.default_rng(3)
    g = np.repeat(np.arange(12), 5)
    f = np.where(g == 3, "rare", np.where(np.arange(60) % 2, "a", "b"))
    y = r.normal(size=12)[g] + r.normal(size=60)
    frame = pd.DataFrame({"y": y, "f": f, "x": r.normal(size=60), "g": g})
    fits = [ngmm.fit(f"y ~ {rhs} + (1 | g)", frame) for rhs in ("f", "x")]
    table = ngmm.compare(*fits, folds=4)
    assert "5 rows are left out" in table.caption
    assert "paired over 11 levels" in table.caption
    assert np.isfinite(table.to_frame()["elpd"]).all()


def test_what_cannot_be_compared(data, slopes, levels) -> None:
    with pytest.raises(OptionError, match="two models or more, got 1"):
        ngmm.compare(slopes)
    with pytest.raises(OptionError, match=r"got int\. Options are given by name"):
        ngmm.compare(slopes, 5)  # type: ignore[arg-type]
    other = ngmm.fit("log(Reaction) ~ Days + (1 | Subject)", data)
    with pytest.raises(OptionError, match=r"responses, Reaction and log\(Reaction\)"):
        ngmm.compare(slopes, other)
    with pytest.raises(OptionError, match=r"rows \(180 and 170\).*rows 170, 171"):
        ngmm.compare(slopes, levels.update(data=data.iloc[:170]))
    changed = data.assign(Reaction=data["Reaction"].where(data.index != 7, 1.0))
    with pytest.raises(OptionError, match=r"different responses in 1 rows \(row 7\)"):
        ngmm.compare(slopes, levels.update(data=changed))
    missing = data.assign(Days=data["Days"].astype(float).where(data.index != 7))
    with pytest.raises(OptionError, match=r'dropna\(subset=\["Days"\]\)'):
        ngmm.compare(slopes, levels.update(data=missing))
    count = data.assign(Reaction=data["Reaction"].round())
    poisson = ngmm.fit("Reaction ~ 1 + (1 | Subject)", count, family="poisson")
    with pytest.raises(OptionError, match="poisson is for counts"):
        ngmm.compare(levels.update(data=count), poisson)
    centred = ngmm.fit("center(Reaction) ~ Days + (1 | Subject)", data)
    with pytest.raises(OptionError, match="depends on the data"):
        ngmm.compare(centred, centred)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds must be 2 or more"),
        ({"folds": 2.5}, "folds must be a positive whole number"),
        ({"new": "group"}, 'did you mean "groups"'),
        ({"by": "Subjct"}, 'did you mean "Subject"'),
        ({"seed": -1}, "seed must be"),
        ({"progress": "yes"}, "progress must be"),
    ],
)
def test_options_are_checked(slopes, levels, options, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ngmm.compare(slopes, levels, **options)


def test_folds_are_even() -> None:
    r = np.random.default_rng(0)
    codes = np.repeat(np.arange(7), [1, 2, 3, 4, 5, 6, 7])
    rows = row_folds(codes, 4, r)
    counts = np.bincount(rows)
    assert counts.max() - counts.min() <= 1
    for level in range(7):
        own = np.bincount(rows[codes == level], minlength=4)
        assert own.max() - own.min() <= 1
    whole = group_folds(codes, 3, r)
    assert all(len(set(whole[codes == level])) == 1 for level in range(7))


def test_names_stand_for_formulas(slopes, levels) -> None:
    by_formula = ngmm.compare(levels, slopes, folds=3)
    named = ngmm.compare(levels, slopes, folds=3, names=["levels", "slopes"])
    assert list(named.frame.index) == ["slopes", "levels"]
    pd.testing.assert_frame_equal(
        named.frame.reset_index(drop=True), by_formula.frame.reset_index(drop=True)
    )
    assert f"\nslopes: {SLEEP}" in named.caption
    with pytest.raises(OptionError, match="a list of 2, one for each fit"):
        ngmm.compare(levels, slopes, names=["levels"])
