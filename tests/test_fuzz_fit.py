"""Random formulas and frames: a fit with finite numbers, a warning, or our error."""

from __future__ import annotations

import re
import warnings
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ngmm
from ngmm.errors import NgmmError, NgmmWarning
from ngmm.results import MixedModelFit

# Compiled programs depend on the numbers of levels and columns but not of rows, and
# compiling is all that costs time: levels are fixed.
N_ROWS = 24
G = np.tile(np.arange(4), 6)
H = np.repeat(np.arange(3), 8)

# What a numeric column may hold beside ordinary numbers.
ODD = st.sampled_from(
    [np.nan, np.inf, -np.inf, 0.0, 1e300, -1e300, 1e150, 1e-150, 1e-300, 5e-324, 1e16]
)


WILD = ("plain", "whole", "scaled", "shifted", "constant", "odd", "sparse")
# Formulas are tried on frames that most often can be fitted.
TAME = ("plain",) * 12 + WILD


@st.composite
def columns(draw: st.DrawFn, kinds: tuple[str, ...]) -> np.ndarray:
    """A numeric column: ordinary, scaled, constant, or with odd values in it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.normal(size=N_ROWS)
    kind = draw(st.sampled_from(kinds))
    if kind == "whole":
        return np.round(2 * values)
    if kind == "scaled":
        return values * 10.0 ** draw(st.integers(-300, 300))
    if kind == "shifted":
        return values + 10.0 ** draw(st.integers(0, 18))
    if kind == "constant":
        return np.full(N_ROWS, draw(st.one_of(ODD, st.floats(-5, 5))))
    if kind == "sparse":
        values[draw(st.integers(1, N_ROWS)) :] = 0.0
    if kind == "odd":
        where = draw(st.lists(st.integers(0, N_ROWS - 1), min_size=1, max_size=4))
        values[where] = [draw(ODD) for _ in where]
    return values


CHANGES = ("copy", "response", "noiseless", "levels", "offset")


@st.composite
def frames(draw: st.DrawFn, kinds: tuple[str, ...]) -> pd.DataFrame:
    """Columns y, x, z, w (numbers), f (text), s (text, one level), g, h, n (groups)."""
    data = pd.DataFrame({name: draw(columns(kinds)) for name in "yxzw"})
    data["f"] = np.array(["a", "b", "c"])[np.arange(N_ROWS) % 3]
    data["s"] = "only"
    data["g"], data["h"] = G, H
    data["n"] = 10 * H + np.arange(N_ROWS) % 2
    change = draw(st.sampled_from([*["none"] * 6, *CHANGES]))
    if change == "copy":
        data["z"] = data["x"]
    elif change == "response":
        data["y"] = data["x"] * draw(st.sampled_from([1.0, -2.0, 1e10]))
    elif change == "noiseless":
        data["y"] = np.array([0.3, 1.0, -2.0, 4.0])[G]
    elif change == "offset":
        data["w"] = data["y"]
    elif change == "levels":
        data["g"] = draw(st.sampled_from([np.zeros(N_ROWS), np.arange(N_ROWS)]))
    return data


def assert_sound(formula: str, data: pd.DataFrame, **arguments: Any) -> None:
    """The fit is good and all finite, or says that it is not, or is refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NgmmWarning)
            fit = ngmm.fit(formula, data, **arguments)
    except NgmmError:
        return
    page = fit.summary()
    text = f"{page}\n{fit}\n{page.to_html()}\n{page.to_markdown()}"
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)
    if fit.check().ok:
        numbers = promised(fit)
        assert np.isfinite(numbers).all(), numbers


def promised(fit: MixedModelFit) -> np.ndarray:
    """Numbers that a good fit promises."""
    sds = fit.varcorr().to_frame()["sd"].dropna()
    modes = np.concatenate([b.to_numpy().ravel() for b in fit.ranef().values()])
    return np.concatenate(
        [
            fit.fixef,
            fit.bse,
            [fit.loglik, fit.sigma],
            sds,
            modes,
            fit.fitted(),
            fit.predict(se=True)["se"],  # type: ignore[index]
        ]
    )


# Arguments beside the formula, most often none.
extras = st.sampled_from([*[{}] * 8, {"weights": "w"}, {"offset": "z"}, {"df": "none"}])

WHOLE = [
    "y ~ x + (1 | g)",
    "y ~ x + (x | g)",
    "y ~ x + (1 | g) + (1 | h)",
]

RESPONSES = [*["y"] * 8, "log(y)", "I(y^2)", "y > 0", "f", "cbind(y, x)", "y/x"]
TERMS = [
    *["x", "z", "w", "f"] * 2, "f:x", "x*z", "I(x^2)", "C(n)", "poly(x, 2)", "x/z",
    "scale(x)", "exp(x)", "sqrt(abs(x))", "offset(w)", "offset(z)", "bs(x, df=4)",
    "C(g)", "I(x > 0)", "center(z)", "(x + z)^2", "f:n", "log(x)", "s", "q", "nn(x)",
]  # fmt: skip
INSIDE = [
    *["1"] * 4, "x", "x", "0 + x", "x + z", "f", "0 + f", "x:f", "I(x^2)", "log(x)",
]  # fmt: skip
GROUPS = [*["g", "h", "n", "f"] * 3, "h/n", "g:h", "x", "s"]

bars = st.builds(
    "({} {} {})".format,
    st.sampled_from(INSIDE),
    st.sampled_from(["|", "|", "||"]),
    st.sampled_from(GROUPS),
)


@st.composite
def formulas(draw: st.DrawFn) -> str:
    terms = draw(st.lists(st.sampled_from(TERMS), max_size=3))
    random = draw(st.lists(bars, min_size=1, max_size=2))
    return f"{draw(st.sampled_from(RESPONSES))} ~ {' + '.join(['1', *terms, *random])}"


fuzz = partial(
    settings,
    suppress_health_check=[HealthCheck.too_slow],
    deadline=None,
    derandomize=True,
    database=None,
)


@fuzz(max_examples=150)
@given(
    formula=st.sampled_from(WHOLE), data=frames(WILD), reml=st.booleans(), extra=extras
)
def test_random_values(
    formula: str, data: pd.DataFrame, reml: bool, extra: dict[str, Any]
) -> None:
    assert_sound(formula, data, reml=reml, **extra)


@fuzz(max_examples=60)
@given(formula=formulas(), data=frames(TAME), reml=st.booleans())
def test_random_formulas(formula: str, data: pd.DataFrame, reml: bool) -> None:
    assert_sound(formula, data, reml=reml)
