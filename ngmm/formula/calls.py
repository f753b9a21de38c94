"""What may stand inside a function call, where a formula is ordinary Python."""

from __future__ import annotations

import ast
import keyword
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import replace

from ngmm.errors import FormulaError
from ngmm.formula.dialect import RESERVED, python_token
from ngmm.formula.render import render, render_tokens
from ngmm.formula.tokens import (
    Group,
    Kind,
    Nodes,
    Token,
    column_of,
    fault,
    has_bar,
    is_call,
    is_dots,
    leaves,
)

# Names of glmmTMB; cs() and exp() are functions too, so only a bar gives them away.
_STRUCTURES = frozenset(
    {"ar1", "cs", "diag", "exp", "gau", "hetar1", "homcs", "mat", "ou", "rr"}
    | {"homdiag", "homtoep", "propto", "toep", "us"}
)
_SMOOTHS = frozenset({"s", "t2", "te", "ti"})
_FACTORS = frozenset({"as.factor", "factor", "ordered", "as.ordered"})


def check_call(nodes: Nodes) -> None:
    """Refuse a call ``name(...)``, or ``{...}``, that cannot be evaluated.

    Raises
    ------
    FormulaError
        For a bar, a network, an offset or a smooth inside, for a function of another
        package, and for what Python cannot parse.
    """
    for name, arguments in _calls_in(nodes):
        _check_function(name, arguments)
    for token in leaves(nodes):
        _check_inner_token(token)
    check_python(nodes)


def check_python(nodes: Nodes) -> None:
    """Refuse nodes that are not one Python expression."""
    stand_ins = (_stand_in(python_token(token)) for token in leaves(nodes))
    text = render_tokens(stand_ins)
    try:
        with warnings.catch_warnings():
            # Python warns of odd escapes in strings when it evaluates the call.
            warnings.simplefilter("ignore")
            ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        msg = f"cannot read '{render(nodes)}': {reason}"
        raise fault(msg, *nodes) from None


def _stand_in(token: Token) -> Token:
    """Return the token with a quoted column replaced by a Python name."""
    return replace(token, text="_") if token.kind is Kind.QUOTED else token


def _calls_in(nodes: Nodes) -> Iterator[tuple[Token, Group]]:
    """Yield name and arguments of every call, outer ones first."""
    for position, node in enumerate(nodes):
        if isinstance(node, Group):
            before = nodes[position - 1 : position + 1]
            if position and is_call(before) and isinstance(before[0], Token):
                yield before[0], node
            yield from _calls_in(node.items)


def _check_function(name: Token, arguments: Group) -> None:
    """Refuse functions that mean something else in a formula, or nothing."""
    if has_bar(arguments):
        raise _bar_fault(name, arguments)
    inside = render(arguments.items)
    message = None
    if name.text in _SMOOTHS:
        column = _first_column(arguments)
        message = (
            f"smooths such as {name.text}({inside}) are not available; write "
            f"nn({column}) for a network or bs({column}, df=6) for a spline"
        )
    elif name.text in _FACTORS:
        message = f"{name.text}() is not known; write C({inside})"
    elif name.text == "c":
        message = f"c() is not known; write a list: [{inside}]"
    elif name.text in ("nn", "offset"):
        message = (
            f"{name.text}(...) inside another term; "
            f"let it stand alone: + {name.text}({inside})"
        )
    elif "." in name.text and not name.text.startswith(("np.", "contr.")):
        message = (
            f"function {name.text}() is not known; write a plain function such as "
            "log(x) or np.sqrt(x), or make a column first"
        )
    if message is not None:
        raise fault(message, name, arguments)


def _first_column(arguments: Group) -> str:
    """Return the first name among the arguments, as written, or ``x``."""
    wanted = (Kind.NAME, Kind.QUOTED)
    return next((t.text for t in leaves(arguments.items) if t.kind in wanted), "x")


def _bar_fault(name: Token, arguments: Group) -> FormulaError:
    """Return the error for a bar among the arguments of a call."""
    left, right = _around_bar(arguments)
    term = f"({left} | {right})"
    if name.text in _STRUCTURES:
        msg = (
            f"{name.text}(...) around a random term is not available; write {term} "
            f"for correlated or ({left} || {right}) for uncorrelated random effects"
        )
    else:
        msg = (
            f"bar inside a function call; a random term stands alone: + {term}. "
            "For a logical 'or' make a column first"
        )
    return fault(msg, name, arguments)


def _around_bar(arguments: Group) -> tuple[str, str]:
    """Return the text on both sides of the first bar, with stand-ins where empty."""
    items = arguments.items
    bar = next(
        position
        for position, node in enumerate(items)
        if isinstance(node, Token) and node.kind is Kind.BAR
    )
    return render(items[:bar]) or "1", render(items[bar + 1 :]) or "g"


def _check_inner_token(token: Token) -> None:
    """Refuse what has no meaning inside a call."""
    message = None
    if token.kind is Kind.BAR:
        message = (
            "bar inside a function call; a random term stands alone, as in + (1 | g); "
            "for a logical 'or' make a column first"
        )
    elif is_dots(token):
        message = f"'{token.text}' inside a function call; name the column"
    elif token.is_operator("%%", "%/%", "%in%"):
        # Not translated: they bind tighter in R than % and // do in Python.
        message = (
            f"'{token.text}' inside a function call, which is Python; "
            "write % for the remainder, // for whole division"
        )
    elif token.kind is Kind.NAME and token.text in ("for", "lambda"):
        message = f"'{token.text}' inside a formula; make a column first"
    elif token.kind in (Kind.NAME, Kind.QUOTED) and _is_unusable(token):
        message = (
            f"'{column_of(token)}' cannot be used inside a function call because of "
            "its meaning in Python; rename the column"
        )
    if message is not None:
        raise fault(message, token)


def _is_unusable(token: Token) -> bool:
    """Whether evaluation, which knows plain columns by name, would miss this one."""
    name = column_of(token)
    if token.kind is Kind.NAME and name in RESERVED:
        return False
    return keyword.iskeyword(name) or (
        name.isidentifier() and unicodedata.normalize("NFKC", name) != name
    )
