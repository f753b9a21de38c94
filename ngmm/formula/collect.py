"""Sorts the summands of a right side into fixed, random, network and offset terms."""

from __future__ import annotations

from dataclasses import dataclass, field

from ngmm.errors import FormulaError
from ngmm.formula.calls import check_call
from ngmm.formula.groups import parse_groups
from ngmm.formula.networks import parse_features, parse_network
from ngmm.formula.render import render
from ngmm.formula.summands import (
    Summand,
    check_product,
    has_special,
    is_intercept,
    is_number,
    is_special_call,
    number_fault,
    number_of,
    split_summands,
)
from ngmm.formula.terms import ModelFormula, NetworkTerm, RandomTerm
from ngmm.formula.tokens import (
    Group,
    Kind,
    Node,
    Nodes,
    Token,
    arguments_of,
    fault,
    has_bar,
    leaves,
    split_at,
)


@dataclass
class Terms:
    """Summands by kind, in order; filled while a formula is read.

    ``intercept`` is None until 0 or 1 is mentioned; the last mention wins. ``places``
    says where each random term and each offset stands, for messages.
    """

    intercept: bool | None = None
    fixed: list[tuple[bool, str]] = field(default_factory=list[tuple[bool, str]])
    random: list[RandomTerm] = field(default_factory=list[RandomTerm])
    offsets: list[str] = field(default_factory=list[str])
    networks: list[NetworkTerm] = field(default_factory=list[NetworkTerm])
    features: list[str] = field(default_factory=list[str])
    places: list[Nodes] = field(default_factory=list[Nodes])

    def expression(self, *, default: bool = True) -> str:
        """Return the fixed part with its intercept in front."""
        has_intercept = default if self.intercept is None else self.intercept
        terms = (f" {'+' if plus else '-'} {text}" for plus, text in self.fixed)
        return ("1" if has_intercept else "0") + "".join(terms)


def collect(nodes: Nodes) -> Terms:
    """Return the terms of a right side.

    Raises
    ------
    FormulaError
        For a random term that is malformed, given twice or not standing alone, and for
        ordinary terms that formulaic could not read.
    """
    terms = Terms()
    _collect_sum(nodes, terms)
    return terms


def check_features(terms: ModelFormula, nodes: Nodes) -> None:
    """Refuse random slopes on the units of a network that the fixed part has not.

    Raises
    ------
    FormulaError
        If no network, or more than one, is meant.
    """
    for random in terms.random:
        if len(random.features) > 1:
            raise fault(
                f"{random} has slopes on the units of two networks; a term has them on "
                "one",
                *nodes,
            )
        for name in random.features:
            try:
                terms.network_of(name)
            except LookupError as error:
                raise fault(str(error), *nodes) from None


def summands_of(nodes: Nodes) -> list[Summand]:
    """Return the summands of a right side, once no bar stands outside parentheses."""
    bar = _first_bar(nodes)
    if bar is not None:
        raise _naked_bar(nodes, bar)
    return split_summands(nodes)


def collect_summand(summand: Summand, terms: Terms) -> None:
    """Add one summand to the terms."""
    nodes = summand.nodes
    group = nodes[0] if len(nodes) == 1 else None
    if is_intercept(nodes):
        terms.intercept = (number_of(nodes[0]) == 1) == summand.positive
    elif len(nodes) == 1 and is_number(nodes[0]):
        raise number_fault(nodes)
    elif isinstance(group, Group) and group.bracket == "(" and has_bar(group):
        _refuse_minus(summand)
        _collect_random(group, terms)
    elif len(nodes) == 2 and is_special_call(nodes):
        _refuse_minus(summand)
        _collect_call(nodes, terms)
    elif isinstance(group, Group) and summand.positive and has_special(nodes):
        _collect_sum(group.items, terms)
    else:
        check_product(nodes)
        terms.fixed.append((summand.positive, render(nodes)))


def _collect_sum(nodes: Nodes, terms: Terms) -> None:
    """Add all summands of a sum to the terms."""
    for summand in summands_of(nodes):
        collect_summand(summand, terms)


def _refuse_minus(summand: Summand) -> None:
    """Refuse to subtract a term that is only ever added."""
    if not summand.positive:
        text = render(summand.nodes)
        msg = f"{text} cannot be subtracted; leave it out (only update() takes it away)"
        raise fault(msg, *summand.nodes)


def _collect_call(call: Nodes, terms: Terms) -> None:
    """Add ``nn(...)`` or ``offset(...)`` to the terms."""
    if render(call[:1]) == "nn":
        named = parse_features(call)
        if named is not None:
            terms.features.append(named)
            return
        network = parse_network(call)
        if network in terms.networks:
            raise fault(f"{network} is given twice; keep one", *call)
        terms.networks.append(network)
        return
    inside = arguments_of(call)
    parts = split_at(inside.items, ",")
    if len(parts) != 1 or not parts[0]:
        msg = "offset() takes one expression; write offset(x) or offset(log(x))"
        raise fault(msg, *call)
    # The arguments alone must be an expression: offset(a=b) would pass as a call.
    check_call((inside,))
    terms.offsets.append(render(inside.items))
    terms.places.append(call)


def _collect_random(group: Group, terms: Terms) -> None:
    """Add the random terms that ``(left | right)`` stands for."""
    left, bar, right = _split_at_bar(group)
    inner = _collect_left(left)
    # A network varies by itself: (nn(x) | g) has no random intercept beside it.
    alone = bool(inner.networks) and not inner.fixed and not inner.features
    expr = inner.expression(default=not alone)
    if expr == "0" and not inner.networks and not inner.features:
        msg = f"no random effect left of the bar; write (1 {bar.text} {render(right)})"
        raise fault(msg, *left)
    networks = tuple(inner.networks)
    for columns in parse_groups(right, render(left), bar.text):
        features = tuple(inner.features)
        term = RandomTerm(expr, columns, bar.text == "|", networks, features)
        if any(same_effects(term, other) for other in terms.random):
            msg = f"random term {term} is given twice; keep one"
            raise fault(msg, group)
        terms.random.append(term)
        terms.places.append((group,))


def _split_at_bar(group: Group) -> tuple[Nodes, Token, Nodes]:
    """Return what stands left of the bar, the bar, and what stands right of it."""
    bars = [
        (position, node)
        for position, node in enumerate(group.items)
        if isinstance(node, Token) and node.kind is Kind.BAR
    ]
    position, bar = bars[0]
    left, right = group.items[:position], group.items[position + 1 :]
    if len(bar.text) > 2:
        msg = (
            f"'{bar.text}' is not an operator; write | for correlated or || for "
            "uncorrelated random effects"
        )
        raise fault(msg, bar)
    if len(bars) > 1:
        text = render(left) or "1"
        msg = f"two bars in one random term; write ({text} | a) + ({text} | b)"
        raise fault(msg, bars[1][1])
    if not left:
        msg = f"nothing left of the bar; write (1 {bar.text} {render(right) or 'g'})"
        raise fault(msg, bar)
    if not right:
        msg = f"nothing right of the bar; write ({render(left)} {bar.text} g)"
        raise fault(msg, bar)
    return left, bar, right


def _collect_left(nodes: Nodes) -> Terms:
    """Return the terms left of a bar."""
    terms = collect(nodes)
    if terms.places:
        place = terms.places[0]
        if is_special_call(place):
            msg = "offset() inside a random term; write it outside: + offset(x)"
        else:
            msg = "a random term inside another one; write (1 | a) + (1 | b)"
        raise fault(msg, *place)
    # A bare nn is no column here: these are slopes on the units of the network.
    terms.features += ["" for term in terms.fixed if term == (True, "nn")]
    terms.fixed = [term for term in terms.fixed if term != (True, "nn")]
    if len(set(terms.features)) < len(terms.features):
        raise fault("nn is given twice left of a bar; keep one", *nodes)
    return terms


def same_effects(term: RandomTerm, other: RandomTerm) -> bool:
    """Whether two terms describe the same effects, however they are correlated."""
    return (
        term.expr == other.expr
        and set(term.group) == set(other.group)
        and term.networks == other.networks
        and term.features == other.features
    )


def _first_bar(nodes: Nodes) -> int | None:
    """Return the position of the first bar at this level of brackets."""
    for position, node in enumerate(nodes):
        if isinstance(node, Token) and node.kind is Kind.BAR:
            return position
    return None


def _naked_bar(nodes: Nodes, position: int) -> FormulaError:
    """Return the error for ``1 | g`` without parentheses."""
    bar = nodes[position]
    left, right = nodes[:position], nodes[position + 1 :]
    text = "|" if render((bar,)) != "||" else "||"
    before = render(left[_after_sign(left) :]) or "1"
    after = render(right[: _before_sign(right)]) or "g"
    if any(t.kind is Kind.BAR for t in leaves((*left[-1:], *right))):
        before, after = "1", "g"
    msg = f"random-effects bar outside parentheses; write ({before} {text} {after})"
    return fault(msg, bar)


def _after_sign(nodes: Nodes) -> int:
    """Return the position after the last sign."""
    signs = [i for i, node in enumerate(nodes) if _is_sign(node)]
    return signs[-1] + 1 if signs else 0


def _before_sign(nodes: Nodes) -> int:
    """Return the position of the first sign, or the end."""
    return next((i for i, node in enumerate(nodes) if _is_sign(node)), len(nodes))


def _is_sign(node: Node) -> bool:
    return isinstance(node, Token) and node.is_operator("+", "-")
