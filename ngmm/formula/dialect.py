"""The R dialect of formulas: what formulaic must be given, and which columns are used.

At the level of terms R and formulaic agree on operators. Inside a call they do not: R's
``I(age^2)`` is a power, where Python's ``^`` on integers is a silent exclusive or.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from ngmm.formula.render import OPERATOR_WORDS, render_tokens
from ngmm.formula.tokens import (
    Group,
    Kind,
    Node,
    Nodes,
    Token,
    column_of,
    is_call,
    is_dots,
    read,
    split_at,
)

_TO_PYTHON = {
    (Kind.OPERATOR, "^"): "**",
    (Kind.NAME, "TRUE"): "True",
    (Kind.NAME, "FALSE"): "False",
    (Kind.NAME, "NULL"): "None",
}
# Names that Python reads as a word of its own wherever they stand.
RESERVED = OPERATOR_WORDS | {"True", "False", "None", "TRUE", "FALSE", "NULL"}


@lru_cache(maxsize=1024)
def to_python(expr: str) -> str:
    """Return an expression in R style as formulaic evaluates it.

    Inside calls, ``^`` becomes ``**``, and ``TRUE``, ``FALSE`` and ``NULL`` get their
    Python names. Columns with dots in their names get backticks everywhere. Operators
    between terms stay: formulaic reads them as R does.

    Parameters
    ----------
    expr
        As written: the fixed part of a formula, the left side of a bar, an offset. To
        evaluate a response literally, pass it inside ``I(...)``.

    Raises
    ------
    FormulaError
        For text that is not made of formula tokens.

    Examples
    --------
    >>> to_python("1 + (a + b)^2 + I(age^2) + log(total.fruits)")
    '1 + (a + b)^2 + I(age ** 2) + log(`total.fruits`)'
    """
    return render_tokens(_converted(read(expr), inside=False))


@lru_cache(maxsize=1024)
def columns_of(expr: str) -> tuple[str, ...]:
    """Return the columns that an expression uses, each once, in order of appearance.

    Examples
    --------
    >>> columns_of("C(`my group`, contr.sum) + np.log(x.1, where=ok) + poly(z, df=3)")
    ('my group', 'x.1', 'ok', 'z')
    """
    return tuple(dict.fromkeys(_columns(read(expr))))


def is_numpy(name: str) -> bool:
    """Whether the name belongs to numpy rather than to a column."""
    return name == "np" or name.startswith("np.")


def python_token(token: Token) -> Token:
    """Return the token inside a call as Python spells it."""
    text = _TO_PYTHON.get((token.kind, token.text))
    if text is not None:
        return replace(token, text=text)
    if token.kind is Kind.NUMBER:
        return replace(token, text=token.text.removesuffix("L"))
    return _quoted_if_dotted(token)


def _quoted_if_dotted(token: Token) -> Token:
    """Return the token, in backticks if it is a column whose name has a dot."""
    is_plain = token.kind is not Kind.NAME or "." not in token.text
    if is_plain or is_numpy(token.text) or is_dots(token):
        return token
    return replace(token, kind=Kind.QUOTED, text=f"`{token.text}`")


def _converted(nodes: Nodes, *, inside: bool) -> Iterator[Token]:
    """Yield the tokens of the nodes, converted; ``inside`` a call or not."""
    for position, node in enumerate(nodes):
        following = nodes[position : position + 2]
        if isinstance(node, Group):
            called = position > 0 and is_call(nodes[position - 1 : position + 1])
            within = inside or called or node.bracket == "{"
            yield node.opener
            if called and _is_text(nodes[position - 1], "C"):
                yield from _converted_contrast(node.items)
            else:
                yield from _converted(node.items, inside=within)
            yield node.closer
        elif is_call(following):
            yield node
        elif inside:
            yield python_token(node)
        else:
            yield _quoted_if_dotted(node)


def _converted_contrast(items: Nodes) -> Iterator[Token]:
    """Yield the arguments of ``C()``: only the first holds columns."""
    first = split_at(items, ",")[0]
    yield from _converted(first, inside=True)
    for token in _converted(items[len(first) :], inside=True):
        is_helper = token.kind is Kind.QUOTED and token.text[1:-1].startswith("contr.")
        yield replace(token, text=token.text[1:-1]) if is_helper else token


def _columns(nodes: Nodes) -> Iterator[str]:
    """Yield the columns among the nodes; names of arguments and functions are none."""
    for position, node in enumerate(nodes):
        following = nodes[position : position + 2]
        if isinstance(node, Group):
            called = nodes[position - 1] if position else None
            yield from _columns_of_group(called, node)
        elif node.kind is Kind.QUOTED or (
            node.kind is Kind.NAME
            and not is_call(following)
            and not (len(following) == 2 and _is_text(following[1], "="))
            and _may_be_column(node)
        ):
            yield column_of(node)


def _columns_of_group(called: Node | None, group: Group) -> Iterator[str]:
    """Yield the columns inside brackets, which may be the arguments of a call."""
    if called is not None and is_call((called, group)):
        if _is_text(called, "C"):
            yield from _columns(split_at(group.items, ",")[0])
            return
        if _is_text(called, "Q") and len(group.items) == 1:
            yield from _named_by_string(group.items[0])
            return
    yield from _columns(group.items)


def _named_by_string(node: Node) -> Iterator[str]:
    """Yield the column that ``Q("name")`` quotes, or that a name inside stands for."""
    if isinstance(node, Token) and node.kind is Kind.STRING:
        yield node.text[1:-1]
    else:
        yield from _columns((node,))


def _may_be_column(token: Token) -> bool:
    """Whether an unquoted name can be a column."""
    return not (token.text in RESERVED or is_numpy(token.text) or is_dots(token))


def _is_text(node: Node, text: str) -> bool:
    """Whether the node is the one token ``text``."""
    return isinstance(node, Token) and node.text == text
