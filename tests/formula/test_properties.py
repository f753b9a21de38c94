"""Invariances of the parser on random formulas and on random text."""

from __future__ import annotations

from contextlib import suppress

from formulaic.parser import DefaultFormulaParser
from hypothesis import given, settings
from hypothesis import strategies as st

from ngmm.errors import FormulaError
from ngmm.formula import columns_of, parse, to_python, update

FAST = settings(max_examples=100, deadline=None)

NAMES = st.sampled_from(["x", "z", "x.1", "`a b`", "ñ", "_k", "class"])
COLUMNS = st.sampled_from(["x", "z", "x.1", "`a b`", "ñ", "_k"])
CALLS = st.builds(
    str.format,
    st.sampled_from(
        [
            "log({})",
            "I( {}^2 )",
            "np.log({} + 1)",
            "bs({}, df = 6)",
            "C({}, contr.sum)",
            "I({} if TRUE else -1)",
            "{{{} - 2}}",
        ]
    ),
    COLUMNS,
)
ATOMS = NAMES | CALLS


def _products(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Extend terms by operators, groups and powers."""
    operators = st.sampled_from([":", "*", "/", " * ", " : "])
    pairs = st.builds("{}{}{}".format, inner, operators, inner)
    sums = st.builds("({} + {})".format, inner, inner)
    return pairs | sums | sums.map("{}^2".format)


TERMS = st.recursive(ATOMS, _products, max_leaves=4)
SUMMANDS = TERMS | st.sampled_from(["0", "1"])
SIGNS = st.sampled_from([" + ", "+", " - ", "-", "\n+ "])
GROUPS = st.sampled_from(["g", "g:h", "g/h", "`g h`", "a/b/c", "a:b/c", "x.1", "(g/h)"])
RESPONSES = st.sampled_from(["y", "log(y)", "k/n", "cbind(k, n-k)", "`my y`", "y.1"])
NETWORKS = st.sampled_from(
    [
        "nn(x)",
        "nn(log(x), C(`a b`), I(z^2))",
        "nn(x, `a b`, hidden=(8, 8))",
        "nn(z, net=cnn, act='tanh', k=[1, 2.5])",
    ]
)


@st.composite
def sums(draw: st.DrawFn) -> str:
    """Draw a sum of ordinary terms."""
    text = draw(SUMMANDS)
    for _ in range(draw(st.integers(0, 3))):
        text += draw(SIGNS) + draw(SUMMANDS)
    return text


@st.composite
def formulas(draw: st.DrawFn) -> str:
    """Draw a formula that is well formed, except that terms may repeat."""
    # v keeps the left side of the bar from being empty.
    left = draw(sums()) + draw(st.sampled_from([" + v", " + nn(w) + v"]))
    bar = draw(st.sampled_from(["|", "||", " | "]))
    parts = [
        draw(sums()),
        draw(st.sampled_from(["offset(w)", "offset( log(w.1)/2 )", "1"])),
        draw(NETWORKS | st.just("1")),
        f"({left}{bar}{draw(GROUPS)})",
        f"(nn(q) | {draw(GROUPS)})",
    ]
    right = " + ".join(draw(st.permutations(parts)))
    return f"{draw(RESPONSES)} ~ {right}"


@FAST
@given(formulas())
def test_canonical_text_is_stable(text: str) -> None:
    formula = parse(text)
    again = parse(str(formula))
    assert again == formula
    assert str(again) == str(formula)
    assert again.variables == formula.variables
    assert formula.fixed.startswith(("0", "1"))
    assert all(term.expr.startswith(("0", "1")) for term in formula.random)


@FAST
@given(formulas())
def test_blanks_between_tokens_make_no_difference(text: str) -> None:
    formula = parse(text)
    loose = str(formula).replace("(", "( ").replace(":", " :\t")
    assert parse(loose.replace(" + ", "\n+")) == formula


@FAST
@given(formulas())
def test_updating_with_a_dot_changes_nothing(text: str) -> None:
    formula = parse(text)
    once = update(formula, ". ~ .")
    # Repeated summands are merged the first time; nothing happens after that.
    assert update(once, ". ~ .") == once
    assert once.random == formula.random
    assert update(update(once, ". ~ . + (1 | new)"), ". ~ . - (1 | new)") == once


@FAST
@given(formulas())
def test_conversion_is_stable_and_formulaic_reads_it(text: str) -> None:
    formula = parse(text)
    for expr in [formula.fixed, *(term.expr for term in formula.random)]:
        python = to_python(expr)
        assert to_python(python) == python
        assert columns_of(python) == columns_of(expr)
        terms = DefaultFormulaParser().get_terms(python)
        assert ("1" in map(str, terms)) == expr.startswith("1")


WORDS = """
    y x g nn offset log C 1 0 2.5 . ~ | || ( ) [ ] { } + - * / : ^ ** , = ==
    " ' ` `a_b` 's' %in% %% in not lambda
"""
PIECES = st.sampled_from([*WORDS.split(), " ", "\n"])


@settings(max_examples=400, deadline=None)
@given(
    st.text(max_size=30)
    | st.lists(PIECES, max_size=14).map("".join)
    | st.lists(PIECES, max_size=14).map(lambda pieces: "y ~ x + " + " ".join(pieces))
    | st.lists(PIECES, max_size=10).map(lambda pieces: f"y ~ log({''.join(pieces)})")
    | st.lists(PIECES, max_size=10).map(lambda pieces: f"y ~ (x | {''.join(pieces)})")
)
def test_any_text_parses_or_raises_a_formula_error(text: str) -> None:
    with suppress(FormulaError):
        formula = parse(text)
        assert parse(str(formula)) == formula
        to_python(formula.fixed)
    with suppress(FormulaError):
        update(parse("y ~ x * z + nn(w) + offset(v) + (x | g)"), text)
