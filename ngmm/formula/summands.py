"""Splits one side of a formula into summands and checks what formulaic will read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ngmm.errors import FormulaError
from ngmm.formula.calls import check_call
from ngmm.formula.dialect import RESERVED
from ngmm.formula.render import render
from ngmm.formula.tokens import (
    Group,
    Kind,
    Node,
    Nodes,
    Token,
    fault,
    has_bar,
    is_call,
    is_dots,
    split_at,
)

_OPERATORS = ("*", "/", ":", "^", "**")
_ARITHMETIC = ("%%", "%/%", "//", "%", "&", "==", "!=", "<", ">", "<=", ">=")


@dataclass(frozen=True, slots=True)
class Summand:
    """What stands between two signs; ``positive`` is False after a minus."""

    positive: bool
    nodes: Nodes


def split_summands(nodes: Nodes) -> list[Summand]:
    """Return the summands of a sum, at this level of brackets only.

    Raises
    ------
    FormulaError
        If nothing follows a sign.
    """
    summands: list[Summand] = []
    current: list[Node] = []
    positive = True
    for node in nodes:
        if not (isinstance(node, Token) and node.is_operator("+", "-")):
            current.append(node)
            continue
        if current:
            summands.append(Summand(positive, tuple(current)))
            current, positive = [], True
        # In `x - -1` the signs multiply, as in R.
        positive = positive == (node.text == "+")
    if not current:
        last = nodes[-1]
        text = last.text if isinstance(last, Token) else render((last,))
        raise fault(f"nothing follows '{text}'; add a term or remove the sign", last)
    return [*summands, Summand(positive, tuple(current))]


def check_product(nodes: Nodes) -> None:
    """Refuse a summand of ordinary terms that formulaic could not read.

    Raises
    ------
    FormulaError
        For a bar, a network or an offset that does not stand alone, for operators
        without operands and the reverse, and for numbers where columns are expected.
    """
    position = _check_operand(nodes, 0)
    while position < len(nodes):
        operator = nodes[position]
        if not isinstance(operator, Token) or operator.kind is not Kind.OPERATOR:
            raise _juxtaposed(nodes, position)
        if operator.text not in _OPERATORS:
            raise _operator_fault(operator, nodes, position)
        if operator.text in ("^", "**"):
            position = _check_power(nodes, position)
        else:
            position = _check_operand(nodes, position + 1)


def has_special(nodes: Sequence[Node]) -> bool:
    """Whether a bar, a network, an offset or an intercept stands in parentheses here.

    Such a summand is opened up, since formulaic must not see these terms.
    """
    for position, node in enumerate(nodes):
        following = nodes[position : position + 2]
        called = position > 0 and is_call(nodes[position - 1 : position + 1])
        if isinstance(node, Group):
            if not called and node.bracket == "(" and has_special(node.items):
                return True
        elif node.kind is Kind.BAR or is_special_call(following):
            return True
    return any(is_intercept(part) for part in split_at(nodes, "+", "-"))


def is_special_call(nodes: Sequence[Node]) -> bool:
    """Whether the nodes start with ``nn(...)`` or ``offset(...)``."""
    return is_call(nodes) and render(nodes[:1]) in ("nn", "offset")


def is_intercept(nodes: Sequence[Node]) -> bool:
    """Whether the nodes are the number 0 or 1."""
    return len(nodes) == 1 and is_number(nodes[0]) and number_of(nodes[0]) in (0, 1)


def is_number(node: Node) -> bool:
    """Whether the node is a number."""
    return isinstance(node, Token) and node.kind is Kind.NUMBER


def number_of(node: Node) -> float:
    """Return the value of a number."""
    return float(render((node,)).removesuffix("L"))


def number_fault(nodes: Nodes) -> FormulaError:
    """Return the error for a number that is no intercept."""
    msg = (
        f"'{render(nodes)}' is not a term: only 1 (intercept) and 0 (none) are; "
        "for arithmetic write I(...), as in I(2 * x)"
    )
    return fault(msg, *nodes)


def _check_operand(nodes: Nodes, position: int) -> int:
    """Check the operand that starts here and return the position after it."""
    if position == len(nodes):
        last = nodes[-1]
        msg = f"nothing follows '{render((last,))}'; add a term or remove it"
        raise fault(msg, last)
    rest = nodes[position:]
    if is_call(rest):
        check_call(rest[:2])
        return position + 2
    node = rest[0]
    if isinstance(node, Group):
        _check_group(node, nodes)
    else:
        _check_token(node)
    return position + 1


def _check_group(group: Group, summand: Nodes) -> None:
    """Check what stands in brackets that are not those of a call."""
    if group.bracket == "{":
        check_call((group,))
        return
    if group.bracket == "[":
        msg = "'[' has no meaning between terms; make a column first"
        raise fault(msg, group)
    if not group.items:
        raise fault("nothing between the parentheses; remove them", group)
    if has_bar(group):
        msg = (
            "a random term cannot be multiplied or raised to a power; "
            f"let it stand alone: + {render((group,))}"
        )
        raise fault(msg, *summand)
    for inner in split_summands(group.items):
        if is_intercept(inner.nodes):
            msg = "0 or 1 inside parentheses; write the intercept outside of them"
            raise fault(msg, *inner.nodes)
        check_product(inner.nodes)


def _check_token(token: Token) -> None:
    """Check an operand that is one token."""
    if token.kind is Kind.QUOTED:
        return
    if token.kind is Kind.NUMBER:
        raise number_fault((token,))
    if is_dots(token):
        msg = "'.' for all other columns is not available; list the columns: y ~ x + z"
        raise fault(msg, token)
    if token.kind is Kind.STRING:
        inside = token.text[1:-1]
        msg = f"a string is not a term; write the column as {inside} or `{inside}`"
        raise fault(msg, token)
    if token.kind is Kind.NAME:
        if token.text in RESERVED:
            msg = f"'{token.text}' is a reserved word; write `{token.text}`"
            raise fault(msg, token)
        return
    msg = f"expected a term before '{token.text}'"
    raise fault(msg, token)


def _check_power(nodes: Nodes, position: int) -> int:
    """Check ``(a + b)^2`` at its operator and return the position after it."""
    base, exponent = nodes[position - 1], nodes[position + 1 : position + 2]
    if not exponent:
        raise fault("nothing follows the power; write (a + b)^2", nodes[position])
    # Larger powers add no term, and formulaic would multiply out every one of them.
    is_whole = is_number(exponent[0]) and number_of(exponent[0]) in range(1, 21)
    is_sum = isinstance(base, Group) and not is_call(nodes[position - 2 : position])
    if not is_whole or not is_sum:
        inside = render(nodes[position - 1 : position + 2])
        msg = (
            "a power between terms means interactions, as in (a + b)^2; "
            f"for the power of a column write I({inside})"
        )
        raise fault(msg, base, exponent[0])
    return position + 2


def _juxtaposed(nodes: Nodes, position: int) -> FormulaError:
    """Return the error for two operands without an operator between them."""
    left, right = nodes[position - 1], nodes[position]
    if isinstance(right, Group) and right.bracket == "(" and has_bar(right):
        msg = f"'+' is missing before the random term; write + {render((right,))}"
    else:
        msg = (
            f"an operator is missing between '{render((left,))}' and "
            f"'{render((right,))}'; write + between terms"
        )
    return fault(msg, right)


def _operator_fault(operator: Token, nodes: Nodes, position: int) -> FormulaError:
    """Return the error for an operator that does not join terms."""
    left, right = render(nodes[:position]), render(nodes[position + 1 :])
    if operator.text == "%in%":
        msg = f"%in% is not available; write {left}:{right}"
    elif operator.text in _ARITHMETIC:
        inside = f"{left} {operator.text} {right}".strip()
        msg = f"'{operator.text}' does not join terms; write I({inside})"
    elif operator.text == "=":
        msg = "'=' does not join terms; write '~' after the response"
    else:
        msg = f"'{operator.text}' does not join terms; write +"
    return fault(msg, operator)
