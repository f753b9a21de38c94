"""Reads the right side of a bar: ``g``, ``a:b``, ``a/b``, ``a/(b:c)``."""

from __future__ import annotations

from ngmm.errors import FormulaError
from ngmm.formula.render import render
from ngmm.formula.tokens import (
    Group,
    Kind,
    Nodes,
    Token,
    column_of,
    fault,
    is_call,
    is_column,
    split_at,
)


def parse_groups(nodes: Nodes, left: str, bar: str) -> tuple[tuple[str, ...], ...]:
    """Return the grouping factors that the right side of a bar stands for.

    Parameters
    ----------
    nodes
        What stands right of the bar.
    left, bar
        Text of the left side and of the bar, for messages.

    Returns
    -------
    tuple of tuple of str
        ``(("a",), ("a", "b"))`` for ``a/b``: each ``/`` adds the combinations of what
        stands on both its sides. ``:`` binds tighter than ``/``, as in R.

    Raises
    ------
    FormulaError
        For anything but columns joined by ``:`` and ``/``.
    """
    nodes = _unwrapped(nodes)
    joined = _first_operator(nodes, "+", "*", "-")
    if joined is not None:
        raise _sum_fault(nodes, joined, left, bar)
    nested: list[tuple[str, ...]] = []
    outer: tuple[str, ...] = ()
    for part in split_at(nodes, "/"):
        if not part:
            msg = "a grouping column is missing beside '/'; write (1 | a/b)"
            raise fault(msg, *nodes)
        inner = _parse_interaction(_unwrapped(part), left, bar)
        outer = (*outer, *inner)
        if len(set(outer)) < len(outer):
            repeated = next(name for name in outer if outer.count(name) > 1)
            raise fault(f"grouping column {repeated} is repeated; keep one", *nodes)
        nested.append(outer)
    return tuple(nested)


def _parse_interaction(nodes: Nodes, left: str, bar: str) -> tuple[str, ...]:
    """Return the columns of ``a:b``."""
    columns: list[str] = []
    for part in split_at(nodes, ":"):
        if not part:
            msg = "a grouping column is missing beside ':'; write (1 | a:b)"
            raise fault(msg, *nodes)
        node = part[0]
        if len(part) > 1 or not isinstance(node, Token) or not is_column(node):
            raise _group_fault(part, left, bar)
        columns.append(column_of(node))
    return tuple(columns)


def _group_fault(part: Nodes, left: str, bar: str) -> FormulaError:
    """Return the error for a group that is not a column."""
    text, node = render(part), part[0]
    if is_call(part) and isinstance(node, Token) and len(part) == 2:
        if node.text in ("C", "factor", "as.factor"):
            inside = render((part[1],))[1:-1]
            advice = f"groups are categorical anyway; write ({left} {bar} {inside})"
        else:
            advice = (
                "make a column first, then name it: "
                f'data["group"] = ... and ({left} {bar} group)'
            )
    elif isinstance(node, Token) and node.kind is Kind.STRING:
        advice = f"write the name without quotes, or as `{node.text[1:-1]}`"
    elif isinstance(node, Token) and node.kind is Kind.NUMBER and len(part) == 1:
        advice = f"name the column that says which group a row is in: ({left} {bar} g)"
    else:
        advice = f"write one column name, a:b or a/b: ({left} {bar} g)"
    return fault(f"group '{text}' is not a column; {advice}", *part)


def _sum_fault(nodes: Nodes, operator: Token, left: str, bar: str) -> FormulaError:
    """Return the error for ``(x | a + b)`` and ``(x | a * b)``."""
    parts = [render(part) for part in split_at(nodes, "+", "*", "-")]
    if operator.text == "-" or not all(parts):
        advice = f"write one column name, a:b or a/b: ({left} {bar} g)"
    else:
        is_product = operator.text == "*" and len(parts) == 2
        groups = [*parts, ":".join(parts)] if is_product else parts
        advice = "write " + " + ".join(f"({left} {bar} {group})" for group in groups)
    msg = f"'{operator.text}' right of a bar; {advice}"
    return fault(msg, *nodes)


def _first_operator(nodes: Nodes, *texts: str) -> Token | None:
    """Return the first of the operators at this level of brackets."""
    found = (n for n in nodes if isinstance(n, Token) and n.is_operator(*texts))
    return next(found, None)


def _unwrapped(nodes: Nodes) -> Nodes:
    """Return the nodes without parentheses around all of them."""
    while len(nodes) == 1:
        node = nodes[0]
        if not (isinstance(node, Group) and node.bracket == "(" and node.items):
            break
        nodes = node.items
    return nodes
