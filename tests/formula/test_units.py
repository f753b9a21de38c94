"""Random slopes on the last hidden units of a network, (1 + nn | g), as text."""

from __future__ import annotations

import pytest

from ngmm.errors import FormulaError
from ngmm.formula import parse
from ngmm.formula.updating import update


@pytest.mark.parametrize(
    ("formula", "text", "features"),
    [
        ("y ~ nn(a) + (nn | g)", "(1 + nn | g)", ("",)),
        ("y ~ nn(a) + (0 + nn || g)", "(0 + nn || g)", ("",)),
        ("y ~ nn(a) + (1 + a + nn | g)", "(1 + a + nn | g)", ("",)),
        ("y ~ nn(a, net=p) + (1 + nn(net=p) | g)", "(1 + nn(net=p) | g)", ("p",)),
        ("y ~ nn(a) + (`nn` | g)", "(1 + `nn` | g)", ()),
        ("y ~ nn(a) + (a:nn | g)", "(1 + a:nn | g)", ()),
    ],
)
def test_units_are_no_columns(
    formula: str, text: str, features: tuple[str, ...]
) -> None:
    found = parse(formula)
    assert str(found.random[0]) == text
    assert found.random[0].features == features
    assert parse(str(found)) == found
    assert ("nn" in found.variables) == (not features)


def test_a_name_says_which_network() -> None:
    found = parse("y ~ nn(a, net=p) + nn(b, net=q) + (1 + nn(net=q) | g)")
    assert found.network_of(found.random[0].features[0]) == 1


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ x + (1 + nn | g)", "has none; write y ~ nn"),
        ("y ~ nn(a) + nn(b) + (1 + nn | g)", "any of 2 networks; name them"),
        ("y ~ nn(a) + (1 + nn(net=z) | g)", "0 networks of the fixed part have net=z"),
        ("y ~ nn(a) + (nn + nn | g)", "nn is given twice"),
        ("y ~ nn(net=p) + (1 | g)", "without inputs"),
        (
            "y ~ nn(a, net=p) + nn(b, net=q) + (1 + nn(net=p) + nn(net=q) | g)",
            "units of two networks",
        ),
    ],
)
def test_what_is_not_one_network_is_refused(formula: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        parse(formula)


def test_a_network_with_slopes_cannot_be_taken_away() -> None:
    formula = parse("y ~ nn(a) + (1 + nn | g)")
    with pytest.raises(FormulaError, match="has none"):
        update(formula, ". ~ . - nn(a)")
    assert not update(formula, ". ~ . - nn(a) - (1 + nn | g) + (1 | g)").networks
