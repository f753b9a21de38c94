"""The adapter does what the package marginaleffects asks of its models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.errors import OptionError
from ngmm.marginaleffects_adapter import MarginalEffectsModel

me: Any = pytest.importorskip("marginaleffects")
polars = pytest.importorskip("polars")

# The package takes forward differences of means, and of slopes that are differences
# themselves over 1e-4 of a range: with steps of 1e-6 in the parameters, the best there
# is, four digits of an error remain.
RTOL = 1e-4
STEP = 1e-6

old_polars = pytest.mark.skipif(
    not polars.__version__.startswith("1."),
    reason="marginaleffects 0.6 compares levels of factors with polars 1 only",
)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    r = np.random.default_rng(8)
    n, groups = 200, 20
    d = pd.DataFrame(
        {
            "x": r.normal(size=n),
            "z": r.normal(size=n),
            "f": r.choice(["a", "b"], n),
            "g": np.repeat(np.arange(groups), n // groups),
        }
    )
    b = 0.8 * r.normal(size=groups)
    d["k"] = r.poisson(np.exp(0.3 * d.x + 0.5 * (d.f == "b") + b[d.g]))
    d["y"] = np.sin(2 * d.x) + 0.3 * d.z + b[d.g] + 0.3 * r.normal(size=n)
    return d


@pytest.fixture(scope="module")
def counts(data: pd.DataFrame) -> ngmm.MixedModelFit:
    formula = "k ~ x + f + (1 | g)"
    return ngmm.fit(formula, data, family="poisson", quad="laplace")


def same(theirs: Any, ours: ngmm.results.Table) -> None:
    frame = ours.to_frame()
    for name in ("estimate", "std_error"):
        np.testing.assert_allclose(
            theirs.data[name].to_numpy() if hasattr(theirs, "data") else theirs[name],
            frame[name],
            rtol=RTOL,
        )


def test_it_has_all_that_models_have(counts: ngmm.MixedModelFit) -> None:
    from marginaleffects.classes import ModelAbstract

    model = MarginalEffectsModel(counts)
    assert isinstance(model, ModelAbstract)
    # Checks that the package's own models make of themselves.
    own = {"validation", "validate_coef", "validate_formula", "validate_modeldata"}
    own |= {"validate_response_name"}
    public = {name for name in dir(ModelAbstract) if not name.startswith("_")}
    assert public - own <= set(dir(model))
    assert len(model.get_coef()) == len(model.get_coefnames()) == 3
    assert model.find_variables() == ["k", "x", "f"]
    assert model.get_variable_type() == {
        "x": "numeric",
        "f": "character",
        "k": "numeric",
    }
    assert model.get_vcov(False) is None


@pytest.mark.parametrize("re", ["none", "marginal"])
def test_slopes_agree(counts: ngmm.MixedModelFit, re: str) -> None:
    theirs = me.avg_slopes(
        MarginalEffectsModel(counts, re), variables="x", eps_vcov=STEP
    )
    same(theirs, ngmm.effects.slopes(counts, "x", re=re))


def test_slopes_of_the_linear_predictor_are_coefficients(
    counts: ngmm.MixedModelFit,
) -> None:
    theirs = me.avg_slopes(
        MarginalEffectsModel(counts, scale="link"), variables="x", eps_vcov=STEP
    )
    assert theirs["estimate"][0] == pytest.approx(counts.fixef["x"], rel=RTOL)
    assert theirs["std_error"][0] == pytest.approx(counts.bse["x"], rel=RTOL)


def test_predictions_agree(counts: ngmm.MixedModelFit) -> None:
    model = MarginalEffectsModel(counts)
    new = polars.DataFrame({"x": [0.0, 1.0], "f": ["a", "b"]})
    rows = model.get_exog(new)
    found = model.get_predict(model.get_coef(), rows)
    expected = counts.predict(new, re="none")
    assert found["rowid"].to_list() == [0, 1]
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-12)


@old_polars
@pytest.mark.filterwarnings("ignore:.cat.get_categories:DeprecationWarning")
@pytest.mark.parametrize("re", ["none", "marginal"])
def test_comparisons_of_levels_agree(counts: ngmm.MixedModelFit, re: str) -> None:
    model = MarginalEffectsModel(counts, re)
    theirs = me.avg_comparisons(model, variables="f")
    same(theirs, ngmm.effects.comparisons(counts, "f", re=re))
    by = me.avg_slopes(model, variables="x", by="f", eps_vcov=STEP)
    same(by, ngmm.effects.slopes(counts, "x", by="f", re=re))


def test_networks_keep_their_errors(data: pd.DataFrame) -> None:
    estimator = ngmm.Evidence(restarts=2, widths=(3, 4))
    fit = ngmm.fit("y ~ z + nn(x) + (1 | g)", data, estimator=estimator)
    assert len(fit.networks.members) > 1  # type: ignore[union-attr]
    model = MarginalEffectsModel(fit)
    names = list(model.get_coefnames())
    assert names[:2] == list(fit.fixef.index)
    assert "member2" in names
    contrast = me.avg_comparisons(model, variables={"x": [-1.0, 1.0]})
    same(contrast, ngmm.effects.comparisons(fit, "x", contrast=[-1.0, 1.0]))
    line = me.avg_slopes(model, variables="z", eps_vcov=STEP)
    same(line, ngmm.effects.slopes(fit, "z"))


def test_unknown_covariances_are_refused(counts: ngmm.MixedModelFit) -> None:
    model = MarginalEffectsModel(counts, "marginal")
    with pytest.raises(OptionError, match="vcov must be True"):
        model.get_vcov("cluster")
    with pytest.raises(OptionError, match='re must be one of "none"'):
        MarginalEffectsModel(counts, re="all")
