"""What `to_arviz` gives, by name, and what arviz makes of it."""

from __future__ import annotations

import sys
import warnings
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.arviz_bridge.container import container, dataset, import_arviz
from ngmm.arviz_bridge.factors import Factor
from ngmm.arviz_bridge.names import Variable, parts_of
from ngmm.arviz_bridge.nested import Units, units_of
from ngmm.errors import MissingPackageError, NgmmWarning, NotSupportedError, OptionError
from ngmm.results import MixedModelFit
from tests import test_latent_fit
from tests.neural.frames import frame
from tests.results import examples

az = import_arviz()
BEFORE_ONE = int(az.__version__.partition(".")[0]) < 1
GROUPS = {"posterior", "log_likelihood", "posterior_predictive", "observed_data"}


@cache
def slopes() -> Any:
    return examples.fitted("slope").to_arviz(200, seed=1)


def groups(found: Any) -> set[str]:
    return set(found.groups()) if BEFORE_ONE else set(found.children)


def finite(found: Any) -> bool:
    return all(np.isfinite(v).all() for g in groups(found) for v in found[g].values())


def test_names_and_dimensions_are_those_of_bambi() -> None:
    found = slopes()
    assert groups(found) == GROUPS
    assert {n: v.dims[2:] for n, v in found.posterior.data_vars.items()} == {
        "Intercept": (),
        "Days": (),
        "1|Subject_sigma": (),
        "Days|Subject_sigma": (),
        "cor(Intercept, Days | Subject)": (),
        "sigma": (),
        "1|Subject": ("Subject__factor_dim",),
        "Days|Subject": ("Subject__factor_dim",),
    }
    assert found.posterior.sizes["chain"] == 1
    assert found.posterior.sizes["draw"] == 200
    levels = found.posterior["Subject__factor_dim"].to_numpy()
    assert levels[:2].tolist() == ["308", "309"]
    assert {n: v.dims[2:] for n, v in found.log_likelihood.data_vars.items()} == {
        "Reaction": ("__obs__",),
        "Reaction|Subject": ("Subject__factor_dim",),
    }
    assert list(found.posterior_predictive.data_vars) == ["Reaction", "mu"]
    y = found.observed_data["Reaction"]
    assert y.dims == ("__obs__",)
    np.testing.assert_array_equal(y, examples.load("sleepstudy")["Reaction"])


def test_factors_and_interactions_get_dimensions_of_their_own() -> None:
    data = examples.panel().dropna()
    formula = "y ~ f * x + I(z / 2) + (0 + f | h) + (1 | g:f)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NgmmWarning)
        fit = ngmm.fit(formula, data)
        found = fit.to_arviz(5)
    p = found.posterior
    assert p["f"].dims[2:] == ("f_dim",)
    assert p["f_dim"].to_numpy().tolist() == ["b", "c"]
    assert p["f:x"].dims[2:] == ("f:x_dim",)
    assert p["f|h"].dims[2:] == ("f__expr_dim", "h__factor_dim")
    assert p["f|h_sigma"].dims[2:] == ("f__expr_dim",)
    assert p["f__expr_dim"].to_numpy().tolist() == ["a", "b", "c"]
    assert p["1|g:f"].dims[2:] == ("g:f__factor_dim",)
    # A slash is not allowed in trees and files.
    assert "I(z _over_ 2)" in p
    assert "cor(f[a], f[b] | h)" in p
    b = fit.ranef()["h"]
    np.testing.assert_array_equal(p["h__factor_dim"], b.index.astype(str))


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["poly(x, 2)[1]:f[T.b]", "poly(x, 2)[2]:f[T.b]"], ["1, b", "2, b"]),
        (["a[x]", "a[T.x]"], ["a[x]", "a[T.x]"]),
    ],
)
def test_labels_tell_columns_apart(names: list[str], labels: list[str]) -> None:
    (part,) = parts_of(names)
    assert part.labels == labels


def test_a_column_may_be_called_sigma() -> None:
    data = examples.load("sleepstudy").rename(columns={"Days": "sigma"})
    fit = ngmm.fit("Reaction ~ sigma + (1 | Subject)", data)
    found = fit.to_arviz(5).posterior
    assert float(found["sigma"].mean()) == pytest.approx(fit.fixef["sigma"], rel=0.5)
    # Far from the slope of 10, whatever the draws are.
    assert float(found["Reaction_sigma"].mean()) > 25


def test_attributes_say_what_the_draws_are() -> None:
    for name in GROUPS:
        attributes = slopes()[name].attrs
        assert attributes["kind"] == "asymptotic"
        assert attributes["approximation"].startswith("normal approximation")
        assert "not a posterior sample" in attributes["approximation"]
        assert attributes["formula"] == examples.SLEEP
        assert attributes["random_effects"].endswith("exactly")
    notes = {n: v.attrs["note"] for n, v in slopes().log_likelihood.items()}
    assert notes["Reaction"] == "of each row, given the random effects"
    assert "integrated out" in notes["Reaction|Subject"]


def test_the_same_seed_gives_the_same_draws() -> None:
    fit = examples.fitted("slope")
    first, again = (fit.to_arviz(7, seed=9) for _ in range(2))
    for name in GROUPS:
        assert first[name].equals(again[name])
    other = fit.to_arviz(7, seed=10)
    assert not first["posterior"].equals(other["posterior"])
    # That of the fit.
    assert fit.to_arviz(7).posterior.equals(fit.to_arviz(7, seed=0).posterior)


def test_rows_left_out_are_not_among_the_rows() -> None:
    found = examples.fitted("rich").to_arviz(3)
    rows = found.observed_data["__obs__"].to_numpy()
    missing = np.flatnonzero(examples.panel()[["x", "z"]].isna().any(axis=1))
    assert not set(rows) & set(missing)
    assert len(rows) + len(missing) == len(examples.panel())


@pytest.mark.parametrize("name", ["zero", "perfect"])
def test_singular_fits_have_numbers(name: str) -> None:
    found = examples.fitted(name).to_arviz(50)
    assert finite(found)
    sd = found.posterior["1|g_sigma"]
    if name == "zero":
        assert not sd.any()
        assert not found.posterior["1|g"].any()
        assert "zero in every draw" in sd.attrs["note"]
    else:
        r = found.posterior["cor(Intercept, x | g)"]
        assert set(np.round(r.to_numpy().ravel(), 12)) <= {-1.0, 1.0}
        assert "less than full rank" in found.posterior.attrs["notes"]


# What arviz makes of it -------------------------------------------------------------


@cache
def intercepts() -> Any:
    fit = examples.fitted("slope").update("Reaction ~ Days + (1 | Subject)")
    return fit.to_arviz(200, seed=1)


# Few levels, two of them unlike the others: arviz says so.
@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
# arviz sorts its table in a way that the next pandas will not have.
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_loo_and_compare_by_level() -> None:
    one = az.loo(slopes(), var_name="Reaction|Subject")
    assert one.n_data_points == 18
    models = {"slopes": slopes(), "intercepts": intercepts()}
    table = az.compare(models, var_name="Reaction|Subject")
    # The reference: a likelihood ratio of 42 for two parameters.
    assert list(table.index) == ["slopes", "intercepts"]
    rows = az.loo(slopes(), var_name="Reaction")
    assert rows.n_data_points == 180


def test_loo_asks_which_likelihood_is_meant() -> None:
    with pytest.raises((TypeError, ValueError), match="several log likelihood"):
        az.loo(slopes())


def test_summary_is_of_all_parameters() -> None:
    table = az.summary(
        slopes(), kind="stats", var_names=["~Subject"], filter_vars="like"
    )
    assert {"Intercept", "Days", "sigma"} <= set(table.index)
    mean = table["mean"].astype(float)
    # Four standard errors of a mean of 200 draws.
    assert mean["Days"] == pytest.approx(10.467, abs=4 * 1.5 / np.sqrt(200))
    assert set(az.summary(slopes(), kind="stats", var_names=["1|Subject"]).index) == {
        f"1|Subject[{level}]"
        for level in slopes().posterior["Subject__factor_dim"].to_numpy()
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_pictures() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    az.plot_forest(slopes(), var_names=["1|Subject", "sigma"])
    labels = [t.get_text() for axes in plt.gcf().axes for t in axes.get_yticklabels()]
    assert any(axes.has_data() for axes in plt.gcf().axes)
    if BEFORE_ONE:
        assert any("1|Subject[308]" in text for text in labels)
        axes = az.plot_ppc(slopes(), num_pp_samples=20, random_seed=1)
        # Observed, twenty predicted, their mean.
        assert len(axes.lines) >= 22
        assert axes.get_xlabel() == "Reaction"
    else:
        az.plot_ppc_dist(slopes(), num_samples=20)
        assert any(axes.has_data() for axes in plt.gcf().axes)
    plt.close("all")


# The other arviz --------------------------------------------------------------------


def some_groups() -> dict[str, Any]:
    variable = Variable(
        ("k",), np.arange(6.0).reshape(3, 2), {"k": np.array(["a", "b"])}
    )
    sets = {"posterior": dataset({"x": variable}, {"kind": "test"}, sampled=True)}
    y = Variable(("__obs__",), np.arange(4.0), {"__obs__": np.arange(4)})
    return sets | {"observed_data": dataset({"y": y}, {}, sampled=False)}


def test_from_one_on_the_container_is_a_tree() -> None:
    xarray = pytest.importorskip("xarray", minversion="2024.10")
    sets = some_groups()
    # Its InferenceData is another name of DataTree.
    later = SimpleNamespace(__version__="1.3.0", InferenceData=xarray.DataTree)
    tree = container(later, sets, {"kind": "test"})
    assert isinstance(tree, xarray.DataTree)
    assert tree.attrs == {"kind": "test"}
    for name, expected in sets.items():
        assert tree[name].to_dataset().identical(expected)


def test_before_one_the_container_is_inference_data() -> None:
    def inference_data(attrs: dict[str, str], **kept: Any) -> SimpleNamespace:
        return SimpleNamespace(attrs=attrs, **kept)

    earlier = SimpleNamespace(__version__="0.22.0", InferenceData=inference_data)
    sets = some_groups()
    found = container(earlier, sets, {"kind": "test"})
    assert found.posterior.identical(sets["posterior"])
    assert found.attrs == {"kind": "test"}


# Networks ---------------------------------------------------------------------------


@cache
def neural(estimator: str) -> MixedModelFit:
    made = {
        "evidence": ngmm.Evidence(restarts=1, widths=(4,), average=False),
        "stochastic": ngmm.Stochastic(epochs=5),
        "linear": "auto",
    }
    hidden = ", hidden=()" if estimator == "linear" else ""
    formula = f"y ~ x2 + nn(x1{hidden}) + (1 | g)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NgmmWarning)
        return ngmm.fit(formula, frame(), estimator=made[estimator])


@pytest.mark.parametrize(
    "estimator", ["linear", pytest.param("evidence", marks=pytest.mark.slow)]
)
def test_bands_of_networks_are_those_of_predictions(estimator: str) -> None:
    import xarray as xr

    fit = neural(estimator)
    found = fit.to_arviz(2000, seed=1)
    assert finite(found)
    x2 = xr.DataArray(frame()["x2"].to_numpy(), dims=["__obs__"])
    p, label = found.posterior, fit.design.networks[0].label
    parts = found.posterior_predictive[label].isel(chain=0)
    fixed = p["Intercept"].isel(chain=0) + p["x2"].isel(chain=0) * x2 + parts
    expected: Any = fit.predict(re="none", se=True)
    se = expected["se"].to_numpy()
    # Five standard errors of a standard deviation and of a mean.
    np.testing.assert_allclose(fixed.std("draw"), se, rtol=5 / np.sqrt(4000))
    away = (fixed.mean("draw") - expected["fit"].to_numpy()) / se
    assert float(np.abs(away).max()) < 5 / np.sqrt(2000)
    limits = fit.conf_int().to_frame()
    for name, row in {"x2": "x2", "1|g_sigma": "sd(Intercept | g)"}.items():
        low, high = limits.loc[row, ["conf_low", "conf_high"]].astype(float)
        ends = np.quantile(p[name], [0.025, 0.975])
        # Four standard errors of a quantile of 2000 draws, in widths of the interval.
        np.testing.assert_allclose(ends, [low, high], atol=0.06 * (high - low))


@pytest.mark.slow
def test_without_a_covariance_the_networks_stay_what_they_are() -> None:
    fit = neural("stochastic")
    found = fit.to_arviz(20)
    f = found.posterior_predictive["nn(x1)"]
    assert (f == f.isel(draw=0)).all()
    assert "no covariance of the weights" in f.attrs["note"]
    assert "no covariance of the weights" in found.posterior.attrs["notes"]


def test_refits_of_networks() -> None:
    fit = neural("linear")
    found = fit.to_arviz(3, "bootstrap", seed=2)
    f = found.posterior_predictive[fit.design.networks[0].label].to_numpy()[0]
    y = fit.simulate(3, seed=2)[1]
    # The same refit.
    expected = fit.refit(y)._analysis.outputs[:, 0]
    np.testing.assert_allclose(f[1], expected, rtol=1e-9, atol=1e-12)
    assert "bootstrap" in found.posterior.attrs["approximation"]
    assert "not a posterior sample" in found.posterior.attrs["approximation"]


@pytest.mark.slow
def test_neural_random_effects() -> None:
    fit = test_latent_fit.two_parameter()
    found = fit.to_arviz(300, seed=1)
    assert finite(found)
    v = found.posterior["v|student"]
    assert v.dims[2:] == ("student__factor_dim",)
    ranef = fit.ranef(cond_sd=True)["student"]
    away = (v.mean(("chain", "draw")) - ranef["v"].to_numpy()) / ranef[
        "v_sd"
    ].to_numpy()
    # Six standard errors of a mean, and what averaging over the parameters moves.
    assert float(np.abs(away).max()) < 6 / np.sqrt(300) + 0.05
    by_level = found.log_likelihood["correct|student"]
    best = by_level.sum("student__factor_dim").max()
    # No parameters have a larger likelihood than the maximum.
    assert float(best) <= fit.loglik + 1e-6
    assert by_level.sizes["student__factor_dim"] == 300
    with pytest.raises(NotSupportedError, match='kind="asymptotic"'):
        fit.to_arviz(3, "bootstrap")


def test_nested_factors_beside_a_crossed_one() -> None:
    a, b = np.repeat(np.arange(3), 8), np.repeat(np.arange(6), 4)
    h, Z = np.arange(24) % 4, np.ones((24, 1))
    codes = {"a": a, "a:b": b, "h": h}
    factors = [
        Factor(name, Z, c.astype(np.int32), int(c.max()) + 1, (i,), (slice(0, 1),))
        for i, (name, c) in enumerate(codes.items())
    ]
    assert units_of(factors) == Units(alone=(1, 2), outermost=None)
    assert units_of(factors[:2]) == Units(alone=(1,), outermost=0)


@pytest.mark.slow
def test_failed_refits_are_left_out_and_counted() -> None:
    data = pd.DataFrame({"y": [0, 1, 1, 1, 1, 1], "g": [0, 0, 1, 1, 2, 2]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NgmmWarning)
        fit = ngmm.fit("y ~ 1 + (1 | g)", data, family="bernoulli")
    found = fit.to_arviz(100, "bootstrap", seed=1).posterior
    failed = fit.bootstrap(100, seed=1).n_failed
    assert failed > 0
    assert found.sizes["draw"] == 100 - failed
    assert f"{failed} refits failed and are left out" in found.attrs["notes"]


@pytest.mark.slow
def test_linear_predictors_outside_the_domain_of_the_link_are_counted() -> None:
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 3)
    # The line ends near zero, where there are no rows to hold it.
    x = np.tile([0.0, 1.0, 2.0], 12)
    x[-1] = 8.0
    y = rng.gamma(4.0, (1.0 - 0.12 * x + 0.1 * rng.uniform(size=12)[g]) / 4.0)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NgmmWarning)
        fit = ngmm.fit("y ~ x + (1 | g)", data, family="gamma", link="identity")
    found = fit.to_arviz(200, seed=1)
    outside = np.isinf(found.log_likelihood["y"].to_numpy()).mean()
    assert 0 < outside < 0.5
    assert f"{outside:.2%} of the linear predictors" in found.posterior.attrs["notes"]
    assert np.isfinite(found.posterior["1|g"]).all()
    assert not np.isnan(found.log_likelihood["y|g"]).any()


# Bad input --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draws": 0}, "draws must be a positive whole number, got 0"),
        ({"draws": 2.5}, "draws must be a positive whole number"),
        ({"draws": True}, "draws must be a positive whole number"),
        ({"kind": "boostrap"}, 'did you mean "bootstrap"'),
        ({"kind": None}, 'kind must be "asymptotic" or "bootstrap", got None'),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"seed": "one"}, "seed must be a whole number from 0"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        examples.fitted("zero").to_arviz(**arguments)


def test_without_arviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(MissingPackageError, match="pip install arviz"):
        examples.fitted("zero").to_arviz(3)


def test_one_draw_is_enough() -> None:
    found = examples.fitted("zero").to_arviz(1)
    assert found.posterior.sizes["draw"] == 1
    assert isinstance(found.posterior["x"].to_series(), pd.Series)
