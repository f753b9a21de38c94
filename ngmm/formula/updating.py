"""Changes a formula in the way of R's ``update``: ``. ~ . - x + (1 | h)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ngmm.errors import FormulaError
from ngmm.formula.collect import (
    Terms,
    check_features,
    collect_summand,
    same_effects,
    summands_of,
)
from ngmm.formula.dialect import columns_of
from ngmm.formula.parser import parse_response, split_sides
from ngmm.formula.render import render
from ngmm.formula.summands import Summand, split_summands
from ngmm.formula.terms import ModelFormula, RandomTerm, Response
from ngmm.formula.tokens import (
    Group,
    Kind,
    Nodes,
    Token,
    fault,
    is_call,
    leaves,
    read,
    split_at,
)

_AROUND = frozenset({"()", "(,", ",,", ",)"})


def update(formula: ModelFormula, change: str) -> ModelFormula:
    """Return the formula after a change, as R's ``update`` makes it.

    Parameters
    ----------
    formula
        What to start from.
    change
        A formula in which ``.`` stands for what was there on that side. ``- x`` takes a
        term away, random terms, offsets and networks included. Without a left side the
        response stays.

    Raises
    ------
    FormulaError
        If the change cannot be read, or takes away what is not there.

    Examples
    --------
    >>> from ngmm.formula import parse
    >>> print(update(parse("y ~ x + z + (1 | g)"), "log(.) ~ . - x + (1 | h)"))
    log(y) ~ 1 + z + (1 | g) + (1 | h)
    """
    if not isinstance(change, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        msg = f'expected a change such as ". ~ . - x"; got {type(change).__name__}'
        raise FormulaError(msg)
    if change.strip() and "~" not in change:
        raise FormulaError("no '~' in the change; write it as '. ~ . - x'", change)
    left, right = split_sides(change)
    response = _changed_response(formula.response, left)
    terms = Terms()
    for summand in summands_of(right):
        if _is_dot(summand.nodes):
            _refuse_minus_dot(summand)
            _add(terms, _terms_of(formula))
            continue
        _refuse_inner_dot(summand.nodes)
        given = Terms()
        # Read as if added: only update() may subtract random terms.
        collect_summand(Summand(positive=True, nodes=summand.nodes), given)
        if summand.positive:
            _add(terms, given)
        else:
            _remove(terms, given, summand.nodes)
    changed = ModelFormula(
        response=response,
        fixed=terms.expression(),
        random=tuple(terms.random),
        offsets=tuple(terms.offsets),
        networks=tuple(terms.networks),
    )
    check_features(changed, right)
    return replace(changed, text=str(changed))


def _changed_response(response: Response, nodes: Nodes) -> Response:
    """Return the response with every ``.`` replaced by what it was."""
    if not nodes or _is_dot(nodes):
        return response
    old = read(response.expr)
    is_atom = len(old) == 1 or (len(old) == 2 and is_call(old))
    pieces = [token.text for token in leaves(nodes)]
    for position, piece in enumerate(pieces):
        if piece == ".":
            # Alone in brackets it needs no brackets of its own: log(.), cbind(., n).
            is_alone = "".join(pieces[position - 1 : position + 2 : 2]) in _AROUND
            is_safe = is_atom or (position > 0 and is_alone)
            pieces[position] = response.expr if is_safe else f"({response.expr})"
    # Rebuilt as text, since the places of old and new tokens do not fit together.
    text = " ".join(pieces)
    return parse_response(read(text), text)


def _terms_of(formula: ModelFormula) -> Terms:
    """Return the terms of a formula in the form in which they are collected."""
    first, *others = split_summands(read(formula.fixed))
    return Terms(
        intercept=render(first.nodes) == "1",
        fixed=[(summand.positive, render(summand.nodes)) for summand in others],
        random=list(formula.random),
        offsets=list(formula.offsets),
        networks=list(formula.networks),
    )


def _add(terms: Terms, given: Terms) -> None:
    """Add the given terms, except those that are there already."""
    if given.intercept is not None:
        terms.intercept = given.intercept
    for positive, text in given.fixed:
        if (False, text) in terms.fixed and positive:
            terms.fixed.remove((False, text))
        if (positive, text) not in terms.fixed:
            terms.fixed.append((positive, text))
    for random in given.random:
        if not any(same_effects(random, other) for other in terms.random):
            terms.random.append(random)
    terms.offsets += [text for text in given.offsets if text not in terms.offsets]
    terms.networks += [net for net in given.networks if net not in terms.networks]


def _remove(terms: Terms, given: Terms, nodes: Nodes) -> None:
    """Take the given terms away; ``nodes`` is where they were given."""
    if given.intercept is not None:
        terms.intercept = not given.intercept
    for positive, text in given.fixed:
        if positive:
            _remove_fixed(terms, text, nodes)
    for random in given.random:
        _remove_random(terms, random, nodes)
    for offset in given.offsets:
        if offset not in terms.offsets:
            shown = [f"offset({text})" for text in terms.offsets]
            raise _absent(f"offset({offset})", "offsets", shown, nodes)
        terms.offsets.remove(offset)
    for network in given.networks:
        if network not in terms.networks:
            raise _absent(str(network), "networks", terms.networks, nodes)
        terms.networks.remove(network)


def _remove_random(terms: Terms, random: RandomTerm, nodes: Nodes) -> None:
    """Take one random term away."""
    for other in terms.random:
        if same_effects(random, other) and random.correlated == other.correlated:
            terms.random.remove(other)
            return
    raise _absent(str(random), "random terms", terms.random, nodes)


def _remove_fixed(terms: Terms, text: str, nodes: Nodes) -> None:
    """Take one fixed term away: as a summand, and out of what stands for several."""
    group = read(text)[0]
    if isinstance(group, Group) and len(read(text)) == 1 and group.bracket == "(":
        for summand in split_summands(group.items):
            _remove_fixed(terms, render(summand.nodes), nodes)
        return
    present = [old for plus, old in terms.fixed if plus]
    kept = [old for old in present if _key(old) != _key(text)]
    # x is a part of x * z and of (x + z)^2, which only formulaic takes apart.
    is_inside = any(_overlap(old, text) for old in kept)
    if len(kept) == len(present) and not is_inside:
        raise _absent(text, "fixed terms", present, nodes)
    terms.fixed[:] = [term for term in terms.fixed if not term[0] or term[1] in kept]
    if is_inside:
        terms.fixed.append((False, text))


def _key(text: str) -> frozenset[str]:
    """Return what makes a term the same whatever the order: its factors for ``a:b``."""
    return frozenset(render(part) for part in split_at(read(text), ":"))


def _overlap(old: str, text: str) -> bool:
    """Whether two summands, at least one of them for several terms, share a column."""
    shares = not set(columns_of(old)).isdisjoint(columns_of(text))
    return shares and (_is_compound(old) or _is_compound(text))


def _is_compound(text: str) -> bool:
    """Whether a summand stands for several terms."""
    nodes = read(text)
    return any(
        node.is_operator("*", "/", "^", "**")
        if isinstance(node, Token)
        else node.bracket == "(" and not is_call(nodes[max(position - 1, 0) :])
        for position, node in enumerate(nodes)
    )


def _absent(
    term: str, kind: str, present: Sequence[object], nodes: Nodes
) -> FormulaError:
    """Return the error for taking away what is not there."""
    shown = ", ".join(map(str, present)) or "none"
    return fault(f"no {term} to take away; {kind}: {shown}", *nodes)


def _refuse_minus_dot(summand: Summand) -> None:
    """Refuse ``- .``."""
    if not summand.positive:
        msg = "'.' cannot be subtracted; write the new right side without it"
        raise fault(msg, *summand.nodes)


def _refuse_inner_dot(nodes: Nodes) -> None:
    """Refuse a dot that is a part of a term, such as ``.^2``."""
    for token in leaves(nodes):
        if token.kind is Kind.NAME and token.text == ".":
            msg = "'.' right of '~' stands alone; write . ~ . + x:z"
            raise fault(msg, token)


def _is_dot(nodes: Nodes) -> bool:
    """Whether the nodes are one ``.``."""
    node = nodes[0]
    return len(nodes) == 1 and isinstance(node, Token) and node.text == "."
