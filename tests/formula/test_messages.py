"""Malformed formulas: the message, and what the carets underline."""

from __future__ import annotations

import re
from typing import cast

import pytest

from ngmm.errors import FormulaError
from ngmm.formula import parse

# formula, what is underlined (None: nothing), what the message says
CASES = [
    # The formula as a whole.
    ("", None, "empty formula; write one such as y ~ x + (1 | g)"),
    (" \n", None, "empty formula; write one such as y ~ x + (1 | g)"),
    ("y", None, "no '~' in the formula; write response ~ terms"),
    ("y = x", "=", "write '~'"),
    ("y ~ x ~ z", "~", "two '~' in the formula; keep one"),
    ("y ~ I(~x)", "~", "two '~' in the formula; keep one"),
    ("log(y ~ x)", "~", "'~' inside brackets"),
    ("y ~", "~", "nothing right of '~'; write at least the intercept"),
    # The response.
    ("~ x", "~", "no response left of '~'"),
    ("1 ~ x", "1", "response '1' names no column"),
    (". ~ x", ".", "'.' inside a function call"),
    ("y | g ~ x", "|", "bar left of '~'"),
    ("y z ~ x", "y z", "cannot read 'y z'"),
    ("offset(y) ~ x", "offset(y)", "let it stand alone: + offset(y)"),
    ("cbind(k) ~ x", "cbind(k)", "write cbind(successes, failures)"),
    ("cbind(k, n, m) ~ x", "cbind(k, n, m)", "write cbind(successes, failures)"),
    ("cbind(k, ) ~ x", "cbind(k, )", "write cbind(successes, failures)"),
    # Characters, quotes, brackets.
    ("y ~ x ; z", ";", "unexpected character ';'"),
    ("y ~ x²", "x²", "write it in backticks: `x²`"),
    ("y ~ data$x", "$", "write the column alone: x, not data$x"),
    ("y ~ !x", "!", "write I(x == 0)"),
    ('y ~ log("x', '"', 'the quote " is never closed; add another "'),
    ("y ~ log('x", "'", "the quote ' is never closed; add another '"),
    ("y ~ `x", "`", "the backtick ` is never closed; add another `"),
    ("y ~ ``", "``", "nothing between the backticks"),
    ("y ~ x + (1 | g", "(", "'(' is never closed; add ')'"),
    ("y ~ log(x[1", "[", "'[' is never closed; add ']'"),
    ("y ~ x + 1 | g)", ")", "')' closes nothing; remove it"),
    ("y ~ log(x]", "]", "'(' is closed by ']'; write ')'"),
    ("y ~ " + "(" * 99 + "x" + ")" * 99, "(", "brackets nested over 40 deep"),
    ("y ~ log" + "(" * 40 + "x" + ")" * 40, "log" + "(" * 40 + "x" + ")" * 40, None),
    # Bars.
    ("y ~ 1 | g", "|", "bar outside parentheses; write (1 | g)"),
    ("y ~ z + x || g + w", "||", "bar outside parentheses; write (x || g)"),
    ("y ~ | g", "|", "bar outside parentheses; write (1 | g)"),
    ("y ~ x | z | w", "|", "bar outside parentheses; write (1 | g)"),
    ("y ~ (| g)", "|", "nothing left of the bar; write (1 | g)"),
    ("y ~ (x |)", "|", "nothing right of the bar; write (x | g)"),
    ("y ~ (|)", "|", "nothing left of the bar; write (1 | g)"),
    ("y ~ (x | g | h)", "|", "two bars in one random term; write (x | a) + (x | b)"),
    ("y ~ (x ||| g)", "|||", "write | for correlated or || for uncorrelated"),
    ("y ~ ((1 | g) | h)", "(1 | g)", "a random term inside another one"),
    ("y ~ (0 | g)", "0", "no random effect left of the bar; write (1 | g)"),
    ("y ~ (-1 | g)", "-1", "no random effect left of the bar; write (1 | g)"),
    ("y ~ log(1 | g)", "log(1 | g)", "bar inside a function call"),
    ("y ~ x (1 | g)", "x (1 | g)", "stands alone: + (1 | g)"),
    ("y ~ `x` (1 | g)", "(1 | g)", "write + (1 | g)"),
    ("y ~ I((x > 1) | z)", "I((x > 1) | z)", "bar inside a function call"),
    ("y ~ I(f((x) | z))", "f((x) | z)", "bar inside a function call"),
    ("y ~ I((x | z) + 1)", "|", "bar inside a function call"),
    ("y ~ {x | z}", "|", "bar inside a function call"),
    ("y ~ x * (1 | g)", "x * (1 | g)", "let it stand alone: + (1 | g)"),
    ("y ~ (1 | g):x", "(1 | g):x", "let it stand alone: + (1 | g)"),
    ("y ~ (1 | g)^2", "(1 | g)^2", "let it stand alone: + (1 | g)"),
    ("y ~ (x + (1 | g)) * z", "(1 | g)", "let it stand alone: + (1 | g)"),
    ("y ~ x - (1 | g)", "(1 | g)", "(1 | g) cannot be subtracted; leave it out"),
    ("y ~ -(1 | g)", "(1 | g)", "(1 | g) cannot be subtracted; leave it out"),
    ("y ~ (1 | g) + (1|g)", "(1|g)", "random term (1 | g) is given twice; keep one"),
    ("y ~ (x | g) + (1 + x || g)", "(1 + x || g)", "is given twice"),
    ("y ~ (1 | a/b) + (1 | b:a)", "(1 | b:a)", "is given twice"),
    # Groups.
    ("y ~ (x | 1)", "1", "group '1' is not a column"),
    ("y ~ (x | log(g))", "log(g)", "make a column first"),
    ("y ~ (x | C(g))", "C(g)", "groups are categorical anyway; write (x | g)"),
    ('y ~ (x | "g")', '"g"', "write the name without quotes, or as `g`"),
    ("y ~ (x | .)", ".", "write one column name"),
    ("y ~ (x | a b)", "a b", "write one column name"),
    ("y ~ (x | ())", "()", "write one column name"),
    ("y ~ (x || a + b)", "a + b", "write (x || a) + (x || b)"),
    ("y ~ (x | a * b)", "a * b", "write (x | a) + (x | b) + (x | a:b)"),
    ("y ~ (x | a - b)", "a - b", "write one column name"),
    ("y ~ (x | a^2)", "a^2", "write one column name"),
    ("y ~ (x | a/)", "a/", "a grouping column is missing beside '/'"),
    ("y ~ (x | :a)", ":a", "a grouping column is missing beside ':'"),
    ("y ~ (x | a:b:a)", "a:b:a", "grouping column a is repeated; keep one"),
    ("y ~ (x | a/b/a)", "a/b/a", "grouping column a is repeated; keep one"),
    # Other packages' spellings.
    ("y ~ s(x, k=4)", "s(x, k=4)", "write nn(x) for a network or bs(x, df=6)"),
    ("y ~ te(`a b`, z)", "te(`a b`, z)", "write nn(`a b`)"),
    ("y ~ us(1 | g)", "us(1 | g)", "write (1 | g) for correlated or (1 || g)"),
    ("y ~ diag(x | g)", "diag(x | g)", "write (x | g) for correlated or (x || g)"),
    ("y ~ ar1(t + 0 | g)", "ar1(t + 0 | g)", "write (t + 0 | g) for correlated"),
    ("y ~ factor(x)", "factor(x)", "write C(x)"),
    ("y ~ as.factor(x)", "as.factor(x)", "write C(x)"),
    ("y ~ x.clip(0)", "x.clip(0)", "function x.clip() is not known"),
    ("y ~ bs(x, knots=c(1, 2))", "c(1, 2)", "write a list: [1, 2]"),
    ("y ~ I(x %% 2)", "%%", "write % for the remainder"),
    ("y ~ a %in% b", "%in%", "write a:b"),
    ("y ~ .", ".", "list the columns"),
    ("y ~ . - x", ".", "list the columns"),
    ("y ~ log(.)", ".", "name the column"),
    # Networks.
    ("y ~ nn()", "nn()", "nn() without inputs; name the columns it reads"),
    ("y ~ nn(hidden=3)", "nn(hidden=3)", "nn() without inputs"),
    ("y ~ nn(x,)", "nn(x,)", "an argument of nn() is empty"),
    ("y ~ nn(a:b)", "a:b", "not a:b; write the columns themselves, nn(a, b)"),
    ("y ~ nn(a + `b c`)", "a + `b c`", "nn(a, `b c`), or for arithmetic I(...)"),
    ("y ~ nn(-x)", "-x", "write the columns themselves, nn(x)"),
    ("y ~ nn(poly(x, 2))", "poly(x, 2)", "has several columns; give the network the"),
    ("y ~ nn(z, bs(`a b`))", "bs(`a b`)", "the column itself: nn(`a b`)"),
    ("y ~ nn(1)", "1", "input 1 is a constant; name the columns it reads"),
    ("y ~ nn(log(2))", "log(2)", "input log(2) is a constant"),
    ("y ~ nn('x')", "'x'", "input 'x' is a string; write the column as x"),
    ("y ~ nn(C(f, contr.sum))", "C(f, contr.sum)", "write C(f)"),
    ("y ~ nn(nn(x))", "nn(x)", "nn(...) inside another term"),
    ("y ~ nn(log(x | z))", "log(x | z)", "bar inside a function call"),
    ("y ~ nn(log(x), log( x ))", "log( x )", "input log(x) is given twice"),
    ("y ~ nn(x, k=1) + nn(x, k=1)", "nn(x, k=1)", "nn(x, k=1) is given twice"),
    ("y ~ nn(x, x)", "x", "input x is given twice; keep one"),
    ("y ~ nn(k=1, x)", "x", "input x follows an option; write the inputs first"),
    ("y ~ nn(x, k=1, k=2)", "k=2", "option k is given twice; keep one"),
    ("y ~ nn(x, k=z)", "k=z", "option k needs a number, a string"),
    ("y ~ nn(x, k=)", "k=", "got nothing"),
    ("y ~ nn(x, k={1: 2})", "k={1: 2}", "option k needs a number, a string"),
    ("y ~ nn(x, k=1e999)", "k=1e999", "option k needs a number, a string"),
    ("y ~ nn(x, k.l=1)", "k.l=1", "expected an option such as hidden=(8, 8)"),
    ("y ~ nn(x, net=f(z))", "net=f(z)", "write nn(x, net=name)"),
    ("y ~ nn(x, net='a b')", "net='a b'", "write nn(x, net=name)"),
    ("y ~ x:nn(z)", "nn(z)", "let it stand alone: + nn(z)"),
    ("y ~ (x + nn(z))^2", "nn(z)", "let it stand alone: + nn(z)"),
    ("y ~ log(nn(z))", "nn(z)", "let it stand alone: + nn(z)"),
    ("y ~ x - nn(z)", "nn(z)", "nn(z) cannot be subtracted"),
    # Offsets.
    ("y ~ offset()", "offset()", "offset() takes one expression"),
    ("y ~ offset(x, z)", "offset(x, z)", "offset() takes one expression"),
    ("y ~ offset(a=b)", "(a=b)", "cannot read '(a=b)'"),
    ("y ~ offset(x):z", "offset(x)", "let it stand alone: + offset(x)"),
    ("y ~ (x + offset(z) | g)", "offset(z)", "write it outside: + offset(x)"),
    ("y ~ x - offset(z)", "offset(z)", "offset(z) cannot be subtracted"),
    # Ordinary terms.
    ("y ~ x +", "+", "nothing follows '+'"),
    ("y ~ x + + - ", "-", "nothing follows '-'"),
    ("y ~ x *", "*", "nothing follows '*'"),
    ("y ~ (x + z)^", "^", "write (a + b)^2"),
    ("y ~ * x", "*", "expected a term before '*'"),
    ("y ~ x : * z", "*", "expected a term before '*'"),
    ("y ~ x z", "z", "an operator is missing between 'x' and 'z'"),
    ("y ~ 2 x", "2", "only 1 (intercept) and 0 (none) are"),
    ("y ~ x[1]", "[1]", "an operator is missing"),
    ("y ~ [x]", "[x]", "make a column first"),
    ("y ~ x, z", ",", "',' does not join terms; write +"),
    ("y ~ x + a = b", "=", "write '~' after the response"),
    ("y ~ x == 1", "==", "write I(x == 1)"),
    ("y ~ ()", "()", "nothing between the parentheses"),
    ("y ~ x + 2", "2", "only 1 (intercept) and 0 (none) are"),
    ("y ~ 2 * x", "2", "write I(...), as in I(2 * x)"),
    ("y ~ x^2", "x^2", "for the power of a column write I(x^2)"),
    ("y ~ log(x)^2", "(x)^2", "for the power of a column write I("),
    ("y ~ (x + z)^w", "(x + z)^w", "means interactions, as in (a + b)^2"),
    ("y ~ (x + z)^99", "(x + z)^99", "means interactions, as in (a + b)^2"),
    ("y ~ (1 + x) * z", "1", "write the intercept outside of them"),
    ("y ~ x - (1 + z)", "1", "write the intercept outside of them"),
    ('y ~ "x"', '"x"', "write the column as x or `x`"),
    ("y ~ x + in", "in", "'in' is a reserved word; write `in`"),
    # Calls.
    ("y ~ log(x z)", "log(x z)", "cannot read 'log(x z)': invalid syntax"),
    ("y ~ log(x = = z)", "log(x = = z)", "cannot read"),
    ("y ~ C(class)", "class", "rename the column"),
    ("y ~ C(`class`)", "`class`", "rename the column"),
    ("y ~ I([k for k in x])", "for", "make a column first"),
]


def underlined(error: FormulaError) -> str | None:
    """Return the part of the formula that the error points at."""
    if error.start is None:
        return None
    assert error.formula is not None
    return error.formula[error.start : error.end]


@pytest.mark.parametrize(("formula", "place", "message"), CASES)
def test_malformed(formula: str, place: str | None, message: str | None) -> None:
    if message is None:
        # As deep as brackets may go.
        assert parse(formula).fixed == f"1 + {place}"
        return
    with pytest.raises(FormulaError, match=re.escape(message)) as caught:
        parse(formula)
    assert underlined(caught.value) == place


def test_the_whole_text_of_an_error() -> None:
    with pytest.raises(FormulaError, match="outside") as caught:
        parse("y ~ days | subj")
    assert str(caught.value) == (
        "random-effects bar outside parentheses; write (days | subj)\n"
        "    y ~ days | subj\n"
        "             ^"
    )


@pytest.mark.parametrize("wrong", [None, 3, ["y ~ x"], {"x": [1]}])
def test_not_a_string(wrong: object) -> None:
    with pytest.raises(
        FormulaError, match=f"got {type(wrong).__name__}. The formula comes first"
    ):
        parse(cast("str", wrong))
