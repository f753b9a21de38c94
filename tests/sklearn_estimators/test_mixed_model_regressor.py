"""`MixedModelRegressor` is `ngmm.fit` in scikit-learn's clothes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ngmm
from ngmm.errors import DataError, FormulaError, NewDataError, OptionError
from ngmm.sklearn import MixedModelRegressor
from ngmm.sklearn.formulas import whole_formula

SLEEP = "~ Days + (Days | Subject)"


@cache
def sleep() -> tuple[pd.DataFrame, pd.Series]:
    data: Any = ngmm.datasets.load("sleepstudy")
    return data[["Days", "Subject"]], data["Reaction"]


@cache
def direct() -> Any:
    return ngmm.fit("Reaction " + SLEEP, ngmm.datasets.load("sleepstudy"))


@cache
def regressor() -> MixedModelRegressor:
    return MixedModelRegressor(SLEEP).fit(*sleep())


def copy_of(model: MixedModelRegressor) -> Any:
    """scikit-learn's types do not say what comes back."""
    return clone(model)


def test_estimates_and_predictions_are_those_of_fit() -> None:
    X, _ = sleep()
    # The same computation.
    assert regressor().fit_.loglik == direct().loglik
    np.testing.assert_array_equal(regressor().predict(X), direct().predict(X))
    assert regressor().feature_names_in_.tolist() == ["Days", "Subject"]
    assert regressor().n_features_in_ == 2


@pytest.mark.parametrize(
    "formula", ["Days + (Days | Subject)", "Reaction ~ Days + (Days | Subject)"]
)
def test_the_response_may_stand_in_the_formula(formula: str) -> None:
    model = MixedModelRegressor(formula).fit(*sleep())
    assert model.fit_.loglik == direct().loglik
    assert model.fit_.response_name == ("Reaction" if "~" in formula else "y")


def test_new_groups() -> None:
    X = pd.DataFrame({"Days": [3], "Subject": ["nobody"]})
    fit = direct()
    assert regressor().predict(X) == fit.predict(X, re="none").to_numpy()
    strict = copy_of(regressor()).set_params(new_levels="error").fit(*sleep())
    with pytest.raises(NewDataError, match="nobody"):
        strict.predict(X)


def test_cross_validation_over_groups_is_that_by_hand() -> None:
    X, y = sleep()
    folds = GroupKFold(3)
    scores = cross_val_score(
        MixedModelRegressor(SLEEP), X, y, groups=X["Subject"], cv=folds
    )
    train, test = next(iter(folds.split(X, y, X["Subject"])))
    fit = ngmm.fit("y " + SLEEP, X.iloc[train].assign(y=y.iloc[train]))
    error = y.iloc[test] - fit.predict(X.iloc[test], re="none")
    expected = 1 - (error**2).sum() / ((y.iloc[test] - y.iloc[test].mean()) ** 2).sum()
    assert scores[0] == pytest.approx(expected, rel=1e-10)  # rounding


def test_groups_as_an_argument() -> None:
    X, y = sleep()
    model = MixedModelRegressor("~ Days + (Days | groups)")
    model.fit(X[["Days"]], y, groups=X["Subject"])
    # The same fit; the levels keep their order.
    assert model.fit_.loglik == pytest.approx(direct().loglik, rel=1e-12)
    known = model.predict(X[["Days"]], groups=X["Subject"])
    np.testing.assert_allclose(known, direct().predict(X), rtol=1e-9)
    unknown = model.predict(X[["Days"]])
    np.testing.assert_allclose(unknown, direct().predict(re="none"), rtol=1e-9)


def test_one_of_two_factors_is_not_known() -> None:
    data = ngmm.datasets.load("Penicillin")
    X, y = data[["plate"]], data["diameter"]
    model = MixedModelRegressor("~ 1 + (1 | plate) + (1 | groups)")
    model.fit(X, y, groups=data["sample"])
    expected = model.fit_.predict(X.assign(groups=data["sample"]), re=["plate"])
    assert model.predict(X).tolist() == expected.tolist()


def test_arrays() -> None:
    X, y = sleep()
    array = np.column_stack([X["Days"], X["Subject"].astype(int)])
    model = MixedModelRegressor("~ x0 + (x0 | x1)").fit(array, y.to_numpy())
    assert model.fit_.loglik == pytest.approx(direct().loglik, rel=1e-12)
    with pytest.warns(UserWarning, match="fitted without feature names"):
        # Columns go by their place.
        there = model.predict(pd.DataFrame(array, columns=["Days", "Subject"]))
    assert there.tolist() == model.predict(array).tolist()


def test_other_frames() -> None:
    polars = pytest.importorskip("polars")
    X, y = sleep()
    frame = polars.from_pandas(X.astype({"Subject": str}))
    model = MixedModelRegressor(SLEEP).fit(frame, y.to_numpy())
    assert model.fit_.loglik == pytest.approx(direct().loglik, rel=1e-12)
    assert model.predict(frame).shape == (180,)


def test_weights_offset_and_options_arrive() -> None:
    X, y = sleep()
    w, known = np.linspace(0.5, 2.0, 180), np.linspace(0.0, 30.0, 180)
    model = MixedModelRegressor("~ . + (1 | Subject)", reml=True, offset="known")
    model.fit(X.assign(known=known), y, sample_weight=w)
    data = X.assign(known=known, y=y)
    fit = ngmm.fit(
        "y ~ Days + (1 | Subject)", data, weights=w, offset="known", reml=True
    )
    assert model.fit_.loglik == pytest.approx(fit.loglik, rel=1e-12)
    assert "known" not in model.fit_.fixef.index


def test_rows_of_weight_zero_are_left_out() -> None:
    X, y = sleep()
    w = np.ones(180)
    w[:30] = 0.0
    model = MixedModelRegressor(SLEEP).fit(X, y, sample_weight=w)
    assert model.fit_.nobs == 150


@pytest.mark.slow
def test_a_family_with_a_link() -> None:
    data = ngmm.datasets.load("epil")
    X = data[["lbase", "subject"]]
    model = MixedModelRegressor("~ . + (1 | subject)", "poisson", quad="laplace")
    model.fit(X, data["y"])
    fit = ngmm.fit("y ~ lbase + (1 | subject)", data, family="poisson", quad="laplace")
    assert model.fit_.loglik == pytest.approx(fit.loglik, rel=1e-12)
    assert (model.predict(X) > 0).all()


def test_in_a_pipeline() -> None:
    X, y = sleep()
    scale = ColumnTransformer(
        [("scale", StandardScaler(), ["Days"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    scale.set_output(transform="pandas")
    model = make_pipeline(scale, MixedModelRegressor(SLEEP)).fit(X, y)
    # Lines are lines whatever the unit; two searches end where they are flat.
    np.testing.assert_allclose(model.predict(X), direct().predict(X), rtol=1e-6)


def test_a_search_over_formulas() -> None:
    X, y = sleep()
    grid = {"formula": ["~ 1 + (1 | Subject)", "~ Days + (1 | Subject)"]}
    search = GridSearchCV(MixedModelRegressor(), grid, cv=GroupKFold(2))
    search.fit(X, y, groups=X["Subject"])
    assert search.best_params_["formula"] == "~ Days + (1 | Subject)"


def test_a_transformed_response() -> None:
    X, y = sleep()
    model = TransformedTargetRegressor(
        MixedModelRegressor(SLEEP), func=np.log, inverse_func=np.exp
    ).fit(X, y)
    fit = ngmm.fit("log(y) " + SLEEP, X.assign(y=y))
    # Newton from another start: flat at the maximum.
    np.testing.assert_allclose(model.predict(X), np.exp(fit.predict()), rtol=1e-6)


@pytest.mark.slow
def test_a_network_and_its_estimator_are_parameters() -> None:
    X, y = sleep()
    model = MixedModelRegressor(
        "~ nn(Days, hidden=()) + (1 | Subject)", estimator=ngmm.Evidence(restarts=1)
    )
    found = copy_of(model).fit(X, y)
    assert found.fit_.networks is not None
    # Without hidden layers the network is a line, with a small penalty.
    expected = ngmm.fit("y ~ Days + (1 | Subject)", X.assign(y=y)).predict(re="none")
    np.testing.assert_allclose(found.predict(X[["Days", "Subject"]]).mean(), y.mean())
    assert np.corrcoef(found.predict(X.assign(Subject="new")), expected)[0, 1] > 0.999


def test_groups_by_metadata_routing() -> None:
    X, y = sleep()
    groups = X["Subject"].to_numpy()
    with config_context(enable_metadata_routing=True):
        model = MixedModelRegressor().set_fit_request(groups=True)
        scores = cross_val_score(
            model, X[["Days"]], y, params={"groups": groups}, cv=GroupKFold(2)
        )
    plain = MixedModelRegressor("~ Days + (1 | Subject)")
    expected = cross_val_score(plain, X, y, groups=groups, cv=GroupKFold(2))
    # The same fits.
    np.testing.assert_allclose(scores, expected, rtol=1e-9)


def test_pickle_and_parameters() -> None:
    X, _ = sleep()
    again = pickle.loads(pickle.dumps(regressor()))
    assert again.predict(X).tolist() == regressor().predict(X).tolist()
    assert copy_of(regressor()).get_params() == regressor().get_params()
    with pytest.raises(NotFittedError):
        copy_of(regressor()).predict(X)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("~ . + (x | g)", "y ~ 1 + x + `a b` + (1 + x | g)"),
        ("y ~ . - x + (1 | g)", "y ~ 1 + `a b` + (1 | g)"),
        ("~ x:. + (1 | g)", None),
        ("z ~ x + (1 | g)", "z ~ 1 + x + (1 | g)"),
        ("x + (1 | g:x)", "y ~ 1 + x + (1 | g:x)"),
    ],
)
def test_the_dot(formula: str, expected: str | None) -> None:
    columns = ["x", "a b", "g"]
    if expected is None:
        with pytest.raises(FormulaError):
            whole_formula(formula, columns)
        return
    assert str(whole_formula(formula, columns)) == expected


def test_the_response_has_a_name_of_its_own() -> None:
    assert str(whole_formula("~ y + (1 | g)", ["y", "g"])).startswith("y_ ~ 1 + y")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formula": "~ Dyas + (1 | Subject)"}, 'did you mean "Days"'),
        ({"formula": "log(y) ~ Days + (1 | Subject)"}, "TransformedTargetRegressor"),
        ({"formula": "cbind(a, b) ~ Days + (1 | Subject)"}, "must be one column"),
        ({"formula": "~ Days + (1 | Subject"}, "bracket|parenthes|clos"),
        ({"formula": 3}, "formula must be a text"),
        ({}, r'"groups" of the formula .* is not a column of X'),
        ({"formula": "~ Days"}, "no random effect"),
        ({"formula": SLEEP, "new_levels": "populaton"}, 'did you mean "population"'),
        ({"formula": SLEEP, "re": "fixed"}, "re is one of"),
        ({"formula": SLEEP, "family": "binomial"}, "MixedModelClassifier"),
        ({"formula": SLEEP, "family": "gausian"}, 'did you mean "gaussian"'),
        ({"formula": SLEEP, "offset": "days"}, 'did you mean "Days"'),
    ],
    ids=str,
)
def test_wrong_parameters(arguments: dict[str, Any], message: str) -> None:
    X, y = sleep()
    with pytest.raises(ValueError, match=message) as caught:
        MixedModelRegressor(**arguments).fit(X, y)
    assert isinstance(caught.value, ngmm.errors.NgmmError)


def test_wrong_data() -> None:
    X, y = sleep()
    model = MixedModelRegressor(SLEEP)
    with pytest.raises(DataError, match="missing"):
        model.fit(X.assign(Days=X["Days"].where(X["Days"] != 3)), y)
    with pytest.raises(DataError, match="one of them out"):
        model.fit(X.assign(groups=1), y, groups=y)
    with pytest.raises(OptionError, match="leave groups= out"):
        model.fit(X, y, groups=X["Subject"])
    with pytest.raises(OptionError, match="stands for nothing"):
        MixedModelRegressor("~ . + (1 | Subject)").fit(X[["Subject"]], y)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        model.fit(X, y[:-1])
    with pytest.raises(ValueError, match="feature names should match"):
        regressor().predict(X.rename(columns={"Days": "days"}))


def test_without_scikit_learn_ngmm_works_and_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = sys.modules['sklearn.base'] = None\n"
        "import ngmm\n"
        "try:\n    ngmm.sklearn\n"
        "except ngmm.errors.MissingPackageError as error:\n    print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert 'pip install "ngmm[sklearn]"' in run.stdout
