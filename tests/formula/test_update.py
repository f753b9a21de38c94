"""update(): as R's update.formula, for random terms, offsets and networks as well."""

from __future__ import annotations

import re
from typing import cast

import pytest

from ngmm.errors import FormulaError
from ngmm.formula import parse, update


@pytest.mark.parametrize(
    ("formula", "change", "expected"),
    [
        ("y ~ x + z", ". ~ .", "y ~ 1 + x + z"),
        ("y ~ x + z", "~ .", "y ~ 1 + x + z"),
        ("y ~ x + z", ". ~ . - x", "y ~ 1 + z"),
        ("y ~ x + z", ". ~ . - x - z", "y ~ 1"),
        ("y ~ x + z", ". ~ . - (x + z)", "y ~ 1"),
        ("y ~ x", ". ~ . + z + x", "y ~ 1 + x + z"),
        ("y ~ x", ". ~ z", "y ~ 1 + z"),
        ("y ~ x", ". ~ z + .", "y ~ 1 + z + x"),
        ("y ~ x", ". ~ . - 1", "y ~ 0 + x"),
        ("y ~ 0 + x", ". ~ .", "y ~ 0 + x"),
        ("y ~ 0 + x", ". ~ . + 1", "y ~ 1 + x"),
        # Interactions, whatever the order of their factors.
        ("y ~ a:b + c", ". ~ . - b:a", "y ~ 1 + c"),
        ("y ~ x + x:z", ". ~ . - x", "y ~ 1 + x:z"),
        ("y ~ x * z", ". ~ . - x:z", "y ~ 1 + x * z - x:z"),
        ("y ~ x * z", ". ~ . - x * z", "y ~ 1"),
        ("y ~ x + x * z", ". ~ . - x", "y ~ 1 + x * z - x"),
        ("y ~ x + z + w", ". ~ . - x * z", "y ~ 1 + x + z + w - x * z"),
        ("y ~ (x + z)^2", ". ~ . - x:z", "y ~ 1 + (x + z)^2 - x:z"),
        ("y ~ x * z - x", ". ~ . + x", "y ~ 1 + x * z + x"),
        ("y ~ log(x) + x", ". ~ . - log( x )", "y ~ 1 + x"),
        # Random terms.
        ("y ~ x + (1 | g)", ". ~ . + (1 | h)", "y ~ 1 + x + (1 | g) + (1 | h)"),
        ("y ~ x + (1 | g)", ". ~ . + (1 | g)", "y ~ 1 + x + (1 | g)"),
        ("y ~ (x | g) + (1 | h)", ". ~ . - (1 + x | g)", "y ~ 1 + (1 | h)"),
        ("y ~ (x || g)", ". ~ . - (x || g) + (1 | g)", "y ~ 1 + (1 | g)"),
        ("y ~ (1 | a/b)", ". ~ . - (1 | a:b)", "y ~ 1 + (1 | a)"),
        ("y ~ (1 | a/b) + (1 | h)", ". ~ . - (1 | a/b)", "y ~ 1 + (1 | h)"),
        # Offsets and networks.
        ("y ~ x + offset(w)", ". ~ . - offset(w)", "y ~ 1 + x"),
        ("y ~ x", ". ~ . + offset(w)", "y ~ 1 + x + offset(w)"),
        ("y ~ x + nn(a, k=1)", ". ~ . - nn(a, k=1)", "y ~ 1 + x"),
        ("y ~ x", ". ~ . - x + nn(x)", "y ~ 1 + nn(x)"),
        ("y ~ nn(log(x)) + nn(x)", ". ~ . - nn( log(x) )", "y ~ 1 + nn(x)"),
        # The response.
        ("y ~ x", "log(.) ~ .", "log(y) ~ 1 + x"),
        ("k/n ~ x", "log(.) ~ .", "log(k/n) ~ 1 + x"),
        ("a + b ~ x", ".^2 ~ .", "(a + b)^2 ~ 1 + x"),
        ("log(y) ~ x", ". / z ~ .", "log(y)/z ~ 1 + x"),
        ("y ~ x", "cbind(., n - .) ~ .", "cbind(y, n - y) ~ 1 + x"),
        ("y ~ x", "z ~ .", "z ~ 1 + x"),
    ],
)
def test_update(formula: str, change: str, expected: str) -> None:
    changed = update(parse(formula), change)
    assert str(changed) == expected
    assert changed.text == expected
    assert parse(expected) == changed


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        ("", None, "empty formula"),
        (". - x", None, "write it as '. ~ . - x'"),
        (". ~ . - w", "w", "no w to take away; fixed terms: x, log(z)"),
        (". ~ . - z", "z", "no z to take away; fixed terms: x, log(z)"),
        (
            ". ~ . - (1 | h)",
            "(1 | h)",
            "no (1 | h) to take away; random terms: (1 | g), (1 + x || h)",
        ),
        (". ~ . - (x | h)", "(x | h)", "no (1 + x | h) to take away"),
        (". ~ . - offset(w)", "offset(w)", "no offset(w) to take away; offsets: none"),
        (". ~ . - nn(w)", "nn(w)", "no nn(w) to take away; networks: none"),
        (". ~ .^2", ".", "'.' right of '~' stands alone"),
        (". ~ z - .", ".", "'.' cannot be subtracted"),
        (". ~ . + 1 | g", "|", "outside parentheses"),
        (". ~ . + (1 | log(g))", "log(g)", "is not a column"),
    ],
)
def test_wrong_changes(change: str, place: str | None, message: str) -> None:
    formula = parse("y ~ x + log(z) + (1 | g) + (x || h)")
    with pytest.raises(FormulaError, match=re.escape(message)) as caught:
        update(formula, change)
    error = caught.value
    assert (None if error.start is None else change[error.start : error.end]) == place


def test_a_change_must_be_a_string() -> None:
    with pytest.raises(FormulaError, match="got NoneType"):
        update(parse("y ~ x"), cast("str", None))
