"""Responses of two labels, counts of successes among trials, and proportions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ngmm.design import (
    Design,
    build_design,
    check_events,
    check_identifiable,
    check_magnitudes,
    check_offset,
)
from ngmm.errors import DataError, DesignError
from ngmm.formula import parse


def build(formula: str, data: Any, **options: Any) -> Design:
    return build_design(parse(formula), data, **options)[0]


def frame(**changes: Any) -> pd.DataFrame:
    data = pd.DataFrame(
        {
            "k": [0, 1, 2, 3, 1, 0],
            "n": [4, 5, 4, 3, 2, 4],
            "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "use": ["no", "yes", "yes", "no", "yes", "no"],
            "g": ["u", "u", "v", "v", "w", "w"],
        },
        index=[10, 20, 30, 40, 50, 60],
    )
    return data.assign(**changes)


ZERO_ONE = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0]


# Two labels ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_the_second_label_of_the_alphabet_counts_as_one(dtype: Any) -> None:
    data = frame()
    data["use"] = data["use"].astype(dtype)
    design = build("use ~ x + (1 | g)", data, binary_response=True)
    np.testing.assert_array_equal(design.y, ZERO_ONE)
    assert design.response_levels == ("no", "yes")


def test_the_order_of_categories_decides() -> None:
    kind = pd.CategoricalDtype(["yes", "no", "perhaps"], ordered=True)
    data = frame(use=frame()["use"].astype(kind))
    design = build("use ~ x + (1 | g)", data, binary_response=True)
    np.testing.assert_array_equal(design.y, 1 - np.array(ZERO_ONE))
    assert design.response_levels == ("yes", "no")


def test_labels_that_are_numbers() -> None:
    data = frame(use=pd.Categorical([2, 1, 1, 2, 1, 2], categories=[2, 1]))
    design = build("use ~ x + (1 | g)", data, binary_response=True)
    np.testing.assert_array_equal(design.y, ZERO_ONE)
    assert design.response_levels == ("2", "1")


@pytest.mark.parametrize("response", ["b", "use == 'yes'", "y"])
def test_numbers_and_booleans_have_no_labels(response: str) -> None:
    data = frame(b=frame()["use"] == "yes", y=ZERO_ONE)
    design = build(f"{response} ~ x + (1 | g)", data, binary_response=True)
    np.testing.assert_array_equal(design.y, ZERO_ONE)
    assert design.response_levels is None


def test_rows_without_a_label_are_dropped() -> None:
    data = frame(use=["no", None, "yes", "no", "yes", "no"])
    design = build("use ~ x + (1 | g)", data, binary_response=True)
    np.testing.assert_array_equal(design.y, [0, 1, 0, 1, 0])
    assert design.missing == {"use": 1}


LABELS = [
    (
        {"use": ["a", "b", "c", "a", "b", "c"]},
        {"binary_response": True},
        (
            r'^response "use" has 3 values, a, b, c; two are needed\. Recode it, '
            r'e\.g\. data\["use"\] == "c"$'
        ),
    ),
    (
        {"use": "yes"},
        {"binary_response": True},
        r"^response use is constant: 6 rows with the value yes, so there is nothing to",
    ),
    (
        {},
        {"binary_response": True, "trials": "n"},
        r'^response "use" has the values no, yes: each row is one trial, so leave tri',
    ),
    (
        {},
        {},
        (
            r'^response "use" is not numeric: it has values no, yes\. Recode it, '
            r'e\.g\. data\["use"\] == "yes", or use family="bernoulli"$'
        ),
    ),
]


@pytest.mark.parametrize(("changes", "options", "message"), LABELS)
def test_labels_that_cannot_be_used(
    changes: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        build("use ~ x + (1 | g)", frame(**changes), **options)


# Trials -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trials", [5, np.int64(5), 5.0, np.full(6, 5), pd.Series([5] * 6), [5] * 6, "five"]
)
def test_spellings_of_the_trials(trials: Any) -> None:
    data = frame(five=5)
    if isinstance(trials, pd.Series):
        trials.index = data.index
    design = build("k ~ x + (1 | g)", data, trials=trials)
    np.testing.assert_array_equal(design.y, data["k"])
    np.testing.assert_array_equal(design.trials, np.full(6, 5.0))


def test_one_number_of_trials_and_missing_rows() -> None:
    data = frame(k=[0, None, 2, 3, 1, 0])
    design = build("k ~ x + (1 | g)", data, trials=5)
    np.testing.assert_array_equal(design.trials, np.full(5, 5.0))
    np.testing.assert_array_equal(design.y, [0, 2, 3, 1, 0])


def test_proportions_become_counts() -> None:
    data = frame(p=frame()["k"] / frame()["n"])
    for response in ("p", "k / n"):
        design = build(f"{response} ~ x + (1 | g)", data, trials="n")
        np.testing.assert_array_equal(design.y, data["k"])
        np.testing.assert_array_equal(design.trials, data["n"])


SUCCESSES = st.integers(1, 10**6).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.just(n))
)


@given(st.lists(SUCCESSES, min_size=2, max_size=20))
def test_proportions_are_exact(rows: list[tuple[int, int]]) -> None:
    k, n = np.array(rows).T
    # Without a fraction among them, the values would be taken for counts.
    assume(((k > 0) & (k < n)).any())
    group = np.arange(len(k)) % 2
    design = build("p ~ 1 + (1 | g)", {"p": k / n, "n": n, "g": group}, trials="n")
    np.testing.assert_array_equal(design.y, k)


TRIALS = [
    ({}, "n - 1", r'^"n - 1" is not a column of data'),
    ({}, True, r"^trials must be a column name or one value a row; got True$"),
    (
        {},
        2.5,
        r"^trials is not a whole number in 6 rows \(10, 20, 30, 40, 50, \.\.\.\);",
    ),
    (
        {"n": [4, 5, 4.5, 3, 2, 4]},
        "n",
        r'^trials="n" is not a whole number in 1 row \(',
    ),
    (
        {"n": [4, 5, 0, 3, 0, 4]},
        "n",
        (
            r'^trials="n" has zero trials in 2 rows \(30, 50\): nothing was observed '
            r"there; leave these rows out of the data$"
        ),
    ),
    ({"n": [4, 5, -4, 3, 2, 4]}, "n", r'^trials="n" is negative in 1 row \(30\)$'),
    ({}, [4, 4], r"^trials has 2 values but data has 6 rows"),
    ({}, "g", r'^trials="g" is not numeric'),
    (
        {"k": [0.3, 0.2, 0.5, 1, 0.5, 0]},
        "n",
        (
            r"^response k times its trials is not whole in 1 row \(10\), e\.g\. 0\.3 "
            r"of 4: a proportion is the number of successes divided by the number of tr"
        ),
    ),
    (
        {"k": [0.5, 0.2, 3, 1, 0.5, 0]},
        "n",
        (
            r"^response k has values that are not whole in 3 rows \(10, 20, 50\) and "
            r"values outside 0 to 1 in 1 row \(30\): with trials it must be counts of"
        ),
    ),
    (
        {"k": 0},
        "n",
        r"^no trial of the response k is a success, so there is nothing to",
    ),
    ({"k": frame()["n"]}, "n", r"^every trial of the response k is a success"),
]


@pytest.mark.parametrize(("changes", "trials", "message"), TRIALS)
def test_trials_that_cannot_be_used(
    changes: dict[str, Any], trials: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        build("k ~ x + (1 | g)", frame(**changes), trials=trials)


def test_cbind_needs_counts() -> None:
    with pytest.raises(
        DataError, match=r"^n - k in cbind\(k, n - k\) is not whole in 1 row \(30\)"
    ):
        build("cbind(k, n - k) ~ x + (1 | g)", frame(n=[4, 5, 4.5, 3, 2, 4]))
    with pytest.raises(
        DataError, match=r"^cbind\(k, n - k\) has zero trials in 1 row \(10\): nothing"
    ):
        build("cbind(k, n - k) ~ x + (1 | g)", frame(n=[0, 5, 4, 3, 2, 4]))
    with pytest.raises(DataError, match=r"^no trial of the response cbind\(k, n\)"):
        build("cbind(k, n) ~ x + (1 | g)", frame(k=0))


def test_the_same_count_of_different_trials_is_no_constant() -> None:
    design = build("k ~ x + (1 | g)", frame(k=1), trials="n")
    np.testing.assert_array_equal(design.y, np.ones(6))


# Constant responses -------------------------------------------------------------------


def test_one_event_in_different_times_of_exposure() -> None:
    formula = "k ~ 1 + offset(log(x)) + (1 | g)"
    design = build(formula, frame(k=1))
    np.testing.assert_array_equal(design.y, np.ones(6))
    check_events(design, "poisson")
    with pytest.raises(DataError, match=r"^response k is constant: 6 rows with the va"):
        build("k ~ 1 + offset(log(x)) + (1 | g)", frame(k=1, x=2.0))
    with pytest.raises(
        DataError, match=r"^response k is 0 in all rows: with family poisson the likeli"
    ):
        check_events(build(formula, frame(k=0)), "poisson")
    with pytest.raises(
        DataError, match=r"^response k is 1 in all rows: with family be"
    ):
        check_events(design, "bernoulli")


# Identifiability ----------------------------------------------------------------------


def test_an_effect_of_each_row() -> None:
    design = build("k ~ 1 + (1 | g) + (1 | row)", frame(row=range(6)), trials="n")
    check_identifiable(design, family="binomial", residual=False)
    with pytest.raises(
        DesignError,
        match=r"^grouping factor 'row' has 6 levels for 6 rows: one trial a level says "
        r"nothing of a variance between levels with family bernoulli\. Use a coarser",
    ):
        check_identifiable(design, family="bernoulli", residual=False, binary=True)


def test_more_random_effects_than_rows() -> None:
    design = build("k ~ 1 + (1 + x | row)", frame(row=range(6)))
    with pytest.raises(
        DesignError,
        match=r"^term \(1 \+ x \| row\): 6 observations, 12 random effects in 6 "
        r"levels\. The number of observations \(=6\) is below the number of random "
        r"effects \(=12\), so the variances of the random effects are probably unident",
    ):
        check_identifiable(design, family="poisson", residual=False)
    pairs = build("k ~ 1 + (1 + x | g)", frame())
    check_identifiable(pairs, family="poisson", residual=False)


def test_repeated_effects_are_refused_for_every_family() -> None:
    design = build("k ~ 1 + (1 | g) + (1 + x | g)", frame())
    with pytest.raises(DesignError, match=r"^'Intercept' varies between the levels of"):
        check_identifiable(design, family="poisson", residual=False)


# Magnitudes ---------------------------------------------------------------------------


def test_an_offset_that_should_have_been_a_logarithm() -> None:
    design = build("k ~ 1 + offset(x) + (1 | g)", frame(x=frame()["x"] * 1000))
    with pytest.raises(
        DataError,
        match=r"^the offset spreads over 5\.0e\+03 on the scale of the linear "
        r"predictor, more than the log link can take; give the logarithm of an "
        r"exposure, e\.g\. offset\(log\(time\)\)$",
    ):
        check_offset(design, "log")
    with pytest.raises(
        DataError, match=r"the logit link can take; rescale it, or corr"
    ):
        check_offset(design, "logit")
    # Where the predictor is the mean, or a power of it, the offset may be large.
    check_offset(design, "identity")
    # A constant goes into the intercept.
    check_offset(replace(design, offset=np.full(6, 1e6)), "log")


def test_a_huge_offset_is_named() -> None:
    design = replace(build("k ~ 1 + (1 | g)", frame()), offset=np.full(6, 1e90))
    with pytest.raises(DataError, match=r"offset has values of size 1\.0e\+90"):
        check_magnitudes(replace(design, y=design.offset))
