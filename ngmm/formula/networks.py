"""Reads network terms, ``nn(x1, log(x2), hidden=(32, 32), net=name)``."""

from __future__ import annotations

import ast
import math
from typing import cast

from ngmm.formula.calls import check_call
from ngmm.formula.dialect import columns_of, python_token
from ngmm.formula.render import render, render_tokens
from ngmm.formula.terms import NetworkTerm
from ngmm.formula.tokens import (
    Kind,
    Nodes,
    Token,
    arguments_of,
    column_of,
    fault,
    is_call,
    is_column,
    leaves,
    quote,
    split_at,
)

# Functions with several columns.
_BASES = frozenset({"bs", "cc", "cr", "cs", "poly"})


def parse_network(call: Nodes) -> NetworkTerm:
    """Return the term for the two nodes of a call ``nn(...)``.

    Raises
    ------
    FormulaError
        Without inputs, for an input that is not a column or a function call of one
        column, for an option that is not a literal, and for anything given twice.
    """
    arguments = arguments_of(call)
    inputs: list[str] = []
    options: dict[str, object] = {}
    parts = split_at(arguments.items, ",") if arguments.items else []
    for part in parts:
        if not part:
            msg = "an argument of nn() is empty; remove the extra comma"
            raise fault(msg, *call)
        if len(part) > 1 and isinstance(part[1], Token) and part[1].is_operator("="):
            name, value = _parse_option(part)
            if name in options:
                raise fault(f"option {name} is given twice; keep one", *part)
            options[name] = value
        else:
            text = _parse_input(part)
            if options:
                msg = f"input {text} follows an option; write the inputs first"
                raise fault(msg, *part)
            if text in inputs:
                raise fault(f"input {text} is given twice; keep one", *part)
            inputs.append(text)
    if not inputs:
        msg = "nn() without inputs; name the columns it reads: nn(x1, x2)"
        raise fault(msg, *call)
    return NetworkTerm(tuple(inputs), tuple(options.items()))


def parse_features(call: Nodes) -> str | None:
    """Return the name in ``nn(net=name)``, which has no inputs; None otherwise."""
    arguments = arguments_of(call)
    name = arguments.items[0] if arguments.items else None
    is_net = isinstance(name, Token) and name.text == "net"
    parts = split_at(arguments.items, ",") if is_net else []
    if len(parts) != 1 or len(parts[0]) < 2:
        return None
    return _parse_net(parts[0])


def _parse_input(part: Nodes) -> str:
    """Return an input as a formula spells it: a column, or a call such as log(x)."""
    node, text = part[0], render(part)
    if len(part) == 1 and isinstance(node, Token) and is_column(node):
        return quote(column_of(node))
    if not (is_call(part) and len(part) == 2):
        raise fault(_not_an_input(part), *part)
    check_call(part)
    if isinstance(node, Token) and node.text in _BASES:
        columns = columns_of(text)
        msg = (
            f"input {text} has several columns; give the network the column itself: "
            f"nn({quote(columns[0]) if columns else 'x'})"
        )
        raise fault(msg, *part)
    if not columns_of(text):
        msg = f"input {text} is a constant; name the columns it reads: nn(x1, x2)"
        raise fault(msg, *part)
    if isinstance(node, Token) and node.text == "C":
        _check_factor(part)
    return text


def _not_an_input(part: Nodes) -> str:
    """Return the message for an argument that is neither column nor call."""
    text = render(part)
    node = part[0]
    if len(part) == 1 and isinstance(node, Token) and node.kind is Kind.NUMBER:
        return f"input {text} is a constant; name the columns it reads: nn(x1, x2)"
    if len(part) == 1 and isinstance(node, Token) and node.kind is Kind.STRING:
        inside = node.text[1:-1]
        return f"input {text} is a string; write the column as {quote(inside)}"
    columns = ", ".join(map(quote, columns_of(text))) or "x1, x2"
    return (
        f"nn() reads columns and function calls, not {text}; write the columns "
        f"themselves, nn({columns}), or for arithmetic I(...)"
    )


def _check_factor(part: Nodes) -> None:
    """Refuse options of ``C(f)``, since a network has an input for each level."""
    inside = split_at(arguments_of(part).items, ",")
    if len(inside) != 1 or len(columns_of(render(inside[0]))) != 1:
        msg = (
            f"input {render(part)}: contrasts have no meaning inside nn(), where each "
            f"level is an input of its own; write C({render(inside[0])})"
        )
        raise fault(msg, *part)


def _parse_option(part: Nodes) -> tuple[str, object]:
    """Return name and value of ``name=value``."""
    name, values = part[0], part[2:]
    if not isinstance(name, Token) or not name.text.isidentifier():
        msg = "expected an option such as hidden=(8, 8)"
        raise fault(msg, *part)
    if name.text == "net":
        return "net", _parse_net(part)
    text = render_tokens(python_token(token) for token in leaves(values))
    try:
        return name.text, _frozen(ast.literal_eval(text))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        msg = (
            f"option {name.text} needs a number, a string, True, False, None or a "
            f"tuple of these; got {render(values) or 'nothing'}. A network that is "
            "made elsewhere is named: nn(x, net=name)"
        )
        raise fault(msg, *part) from None


def _parse_net(part: Nodes) -> str:
    """Return the name of the network in ``net=name`` or ``net="name"``."""
    node = part[2] if len(part) == 3 else None
    if isinstance(node, Token) and node.kind in (Kind.NAME, Kind.STRING):
        text = node.text if node.kind is Kind.NAME else node.text[1:-1]
        if text.isidentifier():
            return text
    msg = "net= takes a name of the mapping networks={...}; write nn(x, net=name)"
    raise fault(msg, *part)


def _frozen(value: object) -> object:
    """Return the literal with lists as tuples, so that terms can be hashed.

    Raises
    ------
    ValueError
        For literals that no option takes: dicts, sets, bytes, infinite numbers.
    """
    if isinstance(value, list | tuple):
        items = cast("list[object] | tuple[object, ...]", value)
        return tuple(_frozen(item) for item in items)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError(value)
