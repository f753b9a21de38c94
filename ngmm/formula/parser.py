"""Formula text -> `ModelFormula`."""

from __future__ import annotations

from functools import lru_cache

from ngmm.errors import FormulaError
from ngmm.formula.calls import check_call, check_python
from ngmm.formula.collect import check_features, collect
from ngmm.formula.dialect import columns_of
from ngmm.formula.render import render
from ngmm.formula.terms import ModelFormula, Response
from ngmm.formula.tokens import (
    Kind,
    Nodes,
    Token,
    arguments_of,
    fault,
    is_call,
    is_column,
    leaves,
    read,
    split_at,
)

_EXAMPLE = "y ~ x + (1 | g)"


def parse(formula: str) -> ModelFormula:
    """Return the terms of a formula.

    The grammar is lme4's: ordinary terms as formulaic reads them, random terms
    ``(expr | g)``, ``(expr || g)``, ``(expr | a:b)`` and ``(expr | a/b)``, any number
    of ``offset(...)``, and networks ``nn(x1, x2)`` and ``(nn(x) | g)``. Unusual column
    names stand in backticks.

    Parameters
    ----------
    formula
        For example ``"Reaction ~ Days + (Days | Subject)"``.

    Returns
    -------
    ModelFormula
        Frozen; ``str`` gives a canonical text that parses to an equal formula.

    Raises
    ------
    FormulaError
        With carets under the part that cannot be read and what to write instead.

    Examples
    --------
    >>> from ngmm import parse
    >>> terms = parse("Reaction ~ Days + (Days | Subject)")
    >>> print(terms)
    Reaction ~ 1 + Days + (1 + Days | Subject)
    >>> terms.variables
    ('Reaction', 'Days', 'Subject')
    """
    # Not annotated away: users do swap the first two arguments of fit().
    if not isinstance(formula, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        msg = (
            f'expected a formula as a string, such as "{_EXAMPLE}"; '
            f"got {type(formula).__name__}. The formula comes first, then the data"
        )
        raise FormulaError(msg)
    return _parse(str(formula))


@lru_cache(maxsize=512)
def _parse(text: str) -> ModelFormula:
    """Return the terms; cached, since fits in a loop repeat their formula."""
    left, right = split_sides(text)
    response = parse_response(left, text)
    terms = collect(right)
    if terms.features:
        msg = "nn() without inputs; name the columns it reads: nn(x1, x2)"
        raise fault(msg, *right)
    found = ModelFormula(
        response=response,
        fixed=terms.expression(),
        random=tuple(terms.random),
        offsets=tuple(terms.offsets),
        networks=tuple(terms.networks),
        text=text,
    )
    check_features(found, right)
    return found


def split_sides(text: str) -> tuple[Nodes, Nodes]:
    """Return what stands left and right of the tilde; the right side is not empty.

    Raises
    ------
    FormulaError
        Unless there is exactly one tilde outside brackets, and something after it.
    """
    if not text.strip():
        raise FormulaError(f"empty formula; write one such as {_EXAMPLE}")
    nodes = read(text)
    tildes = [token for token in leaves(nodes) if token.kind is Kind.TILDE]
    if not tildes:
        raise _no_tilde(nodes, text)
    if len(tildes) > 1:
        raise fault("two '~' in the formula; keep one", tildes[1])
    tilde = tildes[0]
    if tilde not in nodes:
        raise fault(f"'~' inside brackets; write {_EXAMPLE}", tilde)
    position = nodes.index(tilde)
    left, right = nodes[:position], nodes[position + 1 :]
    if not right:
        msg = "nothing right of '~'; write at least the intercept: y ~ 1 + (1 | g)"
        raise fault(msg, tilde)
    return left, right


def _no_tilde(nodes: Nodes, text: str) -> FormulaError:
    """Return the error for a formula without a tilde."""
    for node in nodes:
        if isinstance(node, Token) and node.is_operator("="):
            return fault("'=' between response and terms; write '~'", node)
    msg = f"no '~' in the formula; write response ~ terms, such as {_EXAMPLE}"
    return FormulaError(msg, text)


def parse_response(nodes: Nodes, text: str) -> Response:
    """Return the response.

    Raises
    ------
    FormulaError
        If it is missing, names no column, or is not one expression.
    """
    if not nodes:
        msg = f"no response left of '~'; write {_EXAMPLE}"
        raise FormulaError(msg, text, 0, text.index("~") + 1)
    expr = render(nodes)
    if len(nodes) == 1 and is_column(nodes[0]):
        return Response(expr, (expr,))
    for token in leaves(nodes):
        if token.kind is Kind.BAR:
            msg = "bar left of '~'; random terms stand right of it: y ~ x + (1 | g)"
            raise fault(msg, token)
    check_call(nodes)
    if not columns_of(expr):
        raise fault(f"response '{expr}' names no column; write {_EXAMPLE}", *nodes)
    name = nodes[0]
    if is_call(nodes) and isinstance(name, Token) and name.text == "cbind":
        return Response(expr, _parse_cbind(nodes))
    return Response(expr, (expr,))


def _parse_cbind(nodes: Nodes) -> tuple[str, str]:
    """Return the two arguments of ``cbind(successes, failures)``."""
    parts = split_at(arguments_of(nodes).items, ",") if len(nodes) == 2 else []
    if len(parts) != 2 or not all(parts):
        msg = (
            "cbind() takes two columns of counts; "
            "write cbind(successes, failures) or cbind(k, n - k)"
        )
        raise fault(msg, *nodes)
    for part in parts:
        check_python(part)
    return render(parts[0]), render(parts[1])
