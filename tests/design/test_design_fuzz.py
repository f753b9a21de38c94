"""Random formulas and frames give a sound design or an error of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ngmm.design import build_design
from ngmm.errors import NgmmError
from ngmm.formula import parse

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "small": st.integers(0, 3),
    "integer": st.integers(-(2**40), 2**40),
    "number": st.floats(-1e6, 1e6),
    "wild": st.floats(),
    "gaps": st.one_of(st.none(), st.floats(-1e3, 1e3)),
    "text": st.sampled_from(["a", "b", "c ", ""]),
    "flag": st.booleans(),
    "mixed": st.one_of(st.integers(0, 2), st.sampled_from(["a", None])),
    "constant": st.just(1),
}
NUMERIC = [
    "{}", "log({})", "I({}^2)", "poly({}, 2)", "center({})", "scale({})", "C({})",
    "bs({}, df=4)", "sqrt(abs({}))", "I({} > 0)", "{}:x", "exp({})", "lag({})",
    "I({} / x)", "cr({}, df=3)", "np.log1p({})", "C({}, contr.poly)", "{} * a",
]  # fmt: skip


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    n = draw(st.integers(0, 12))
    kinds = {
        name: draw(st.sampled_from(sorted(VALUES))) for name in ("y", "x", "a", "b")
    }
    kinds |= {"g": draw(st.sampled_from(["small", "text", "flag", "gaps", "mixed"]))}
    columns = {
        name: draw(st.lists(VALUES[kind], min_size=n, max_size=n))
        for name, kind in kinds.items()
    }
    data = pd.DataFrame(columns)
    if draw(st.booleans()):
        kind = pd.CategoricalDtype(ordered=draw(st.booleans()))
        if len({type(value) for value in columns["a"]}) == 1:
            data["a"] = data["a"].astype(kind)
    return data


terms = st.builds(
    str.format, st.sampled_from(NUMERIC), st.sampled_from(["x", "a", "b", "y"])
)


# The first example imports formulaic, which takes longer than any deadline.
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150, deadline=None)
@given(
    data=frames(),
    response=st.sampled_from(["y", "log(y)", "y/x", "cbind(y, x)", "a", "y > 0"]),
    fixed=st.lists(terms, max_size=3),
    inside=terms,
    bar=st.sampled_from(["|", "||"]),
    group=st.sampled_from(["g", "a", "g:a", "b/g", "x"]),
    intercept=st.sampled_from(["0", "1"]),
    trials=st.sampled_from([None, None, None, "x", "a", 1, 5, 2.5]),
    binary=st.booleans(),
)
def test_a_sound_design_or_an_error_of_ours(
    data: pd.DataFrame,
    response: str,
    fixed: list[str],
    inside: str,
    bar: str,
    group: str,
    intercept: str,
    trials: Any,
    binary: bool,
) -> None:
    right = " + ".join([intercept, *fixed, f"({inside} {bar} {group})"])
    try:
        design, spec = build_design(
            parse(f"{response} ~ {right}"), data, trials=trials, binary_response=binary
        )
    except NgmmError:
        return
    n = design.n_rows
    assert n + design.n_dropped == len(data)
    assert design.X.shape == (n, len(design.names))
    for array in (design.X, design.y, design.offset, *(t.Z for t in design.random)):
        assert np.isfinite(array).all()
    if design.trials is not None:
        assert (design.trials >= 1).all()
        assert (design.trials == np.floor(design.trials)).all()
    if design.response_levels is not None:
        assert binary
        assert set(design.y) == {0.0, 1.0}
    assert np.linalg.matrix_rank(design.X / _lengths(design.X), tol=1e-9) == len(
        design.names
    )
    for term in design.random:
        assert term.Z.shape == (n, len(term.names))
        assert set(term.codes) == set(range(term.n_levels))
    again = spec.apply(data.iloc[design.rows])
    np.testing.assert_array_equal(again.X, design.X)


def _lengths(X: np.ndarray) -> np.ndarray:
    largest = np.abs(X).max(axis=0, initial=0.0)
    return largest * np.sqrt(((X / largest) ** 2).sum(axis=0))
