"""Tree of tokens -> text with one canonical spacing, that of R's ``deparse``.

``a*b`` becomes ``a * b`` while ``a:b``, ``a/b`` and ``a^2`` stay tight, so formulas
that differ in blanks only are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ngmm.formula.tokens import Kind, Node, Token, leaves

# Words that are operators in Python and so leave a sign after them unary.
OPERATOR_WORDS = frozenset(
    {"and", "else", "for", "if", "in", "is", "lambda", "not", "or"}
)
_TIGHT = frozenset({":", "/", "//", "^", "="})
_INFIX = frozenset({Kind.OPERATOR, Kind.BAR, Kind.TILDE})


def render(nodes: Sequence[Node]) -> str:
    """Return the text of the nodes in canonical spacing."""
    return render_tokens(leaves(nodes))


def render_tokens(tokens: Iterable[Token]) -> str:
    """Return the text of tokens in canonical spacing."""
    pieces: list[str] = []
    before: Token | None = None
    before_is_sign = False
    for token in tokens:
        is_sign = token.is_operator("+", "-") and _opens_operand(before)
        if before is not None and _is_spaced(before, before_is_sign, token, is_sign):
            pieces.append(" ")
        pieces.append(token.text)
        before, before_is_sign = token, is_sign
    return "".join(pieces)


def _opens_operand(before: Token | None) -> bool:
    """Whether an operand must follow, so that a ``-`` here is a sign."""
    return (
        before is None
        or before.kind in _INFIX
        or (before.kind is Kind.BRACKET and before.text in "([{")
        or (before.kind is Kind.NAME and before.text in OPERATOR_WORDS)
    )


def _is_spaced(before: Token, before_is_sign: bool, token: Token, sign: bool) -> bool:
    """Whether a blank stands between two neighbours."""
    opens = before.kind is Kind.BRACKET and before.text in "([{"
    closes = token.kind is Kind.BRACKET and token.text in ")]}"
    if before_is_sign or opens or closes or token.is_operator(","):
        return False
    if before.is_operator(","):
        return True
    if token.kind in _INFIX and not sign:
        # Two operators in a row are never glued: they could become another operator.
        return before.kind in _INFIX or token.text not in _TIGHT
    if before.kind in _INFIX:
        return before.text not in _TIGHT
    if token.kind is Kind.BRACKET:
        return before.kind is Kind.NAME and before.text in OPERATOR_WORDS
    return True
