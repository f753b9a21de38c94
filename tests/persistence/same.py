"""Whether two fits say the same, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ngmm.errors import NgmmError
from ngmm.results import MixedModelFit
from tests.persistence.fits import data, images

Ask = Callable[[MixedModelFit], Any]

# What a fit without its rows has to say as well.
TABLES: dict[str, Ask] = {
    "summary": lambda fit: str(fit.summary()),
    "page": lambda fit: fit._repr_html_(),
    "vcov": lambda fit: fit.vcov(),
    "coefficients": lambda fit: fit.coef_table().to_frame(),
    "variances": lambda fit: fit.varcorr().to_frame(),
    "wald": lambda fit: fit.conf_int().to_frame(),
    "ranef": lambda fit: fit.ranef(cond_sd=True),
    "coef": lambda fit: fit.coef(),
    "networks": lambda fit: fit.nn_table().to_frame(),
    "loadings": lambda fit: fit.loadings().to_frame(),
    "numbers": lambda fit: np.array([fit.loglik, fit.aic, fit.bic, fit.df_model]),
    "words": lambda fit: f"{fit.estimate_text} {fit.integral_text} {fit.check()}",
    "sizes": lambda fit: f"{fit.nobs} {fit.n_levels} {fit.group_sizes} {fit.missing}",
}
NEW: dict[str, Ask] = {
    "plain": lambda fit: fit.predict(rows(fit)),
    "se": lambda fit: fit.predict(rows(fit), se=True),
    "terms": lambda fit: fit.predict(rows(fit), kind="terms"),
    "fixed": lambda fit: fit.predict(rows(fit), re="none", kind="link"),
    "marginal": lambda fit: fit.predict(rows(fit), re="marginal"),
    "interval": lambda fit: fit.predict(rows(fit), interval="prediction"),
    "unseen": lambda fit: fit.predict(rows(fit, "new"), new_levels="marginal"),
    "drawn": lambda fit: fit.predict(rows(fit, "new"), new_levels="sample"),
}
ROWS: dict[str, Ask] = {
    "fitted": lambda fit: fit.fitted(),
    "bands": lambda fit: fit.predict(se=True),
    "resid": lambda fit: fit.resid("quantile"),
    "simulate": lambda fit: fit.simulate(2),
    "anova": lambda fit: fit.anova().to_frame(),
}


def rows(fit: MixedModelFit, group: str | None = None) -> dict[str, Any]:
    """A few rows, of a group that is not in the data if one is named."""
    whole = images() if "img" in fit.formula else data().to_dict("series")
    some = {name: np.asarray(values)[:9] for name, values in whole.items()}
    some["c"] = data()["c"].iloc[:9].to_numpy()
    if group is not None:
        some["g"] = np.array([group] * 9, dtype=object)
    return some


def assert_same(a: MixedModelFit, b: MixedModelFit, asks: dict[str, Ask]) -> None:
    """Raise unless both give the same answers, or refuse in the same words."""
    answered = 0
    for name, ask in asks.items():
        expected, found = _answer(ask, a), _answer(ask, b)
        assert _equal(expected, found), (name, expected, found)
        answered += not isinstance(expected, NgmmError)
    # Comparing refusals only would show nothing.
    assert answered >= len(asks) // 2


def _answer(ask: Ask, fit: MixedModelFit) -> Any:
    try:
        return ask(fit)
    except NgmmError as error:
        return error


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, NgmmError):
        return type(a) is type(b) and str(a) == str(b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, (pd.Series, pd.DataFrame)):
        # Equal values are equal bits but for -0.0 and the payload of a NaN.
        return type(a) is type(b) and a.equals(b) and _equal(a.index, b.index)
    if isinstance(a, pd.Index):
        return a.identical(b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=True)
    return bool(a == b)
