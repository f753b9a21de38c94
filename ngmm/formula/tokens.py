"""Formula text -> tree of tokens, each of which knows its place in the text.

Brackets are matched here, once, so that whatever reads the tree sees a call such as
``log(x, base=2)`` as a name followed by one `Group` and never counts parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import cast

from ngmm.errors import FormulaError

_NAME = r"(?:[^\W\d]|\.(?![0-9]))[\w.]*"
_PATTERN = re.compile(
    rf"""
    (?P<space>\s+)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<quoted>`[^`]*`)
  | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?L?)
  | (?P<name>{_NAME})
  | (?P<bar>\|+)
  | (?P<tilde>~)
  | (?P<bracket>[()\[\]{{}}])
  | (?P<operator>%in%|%/%|%%|\*\*|//|==|!=|<=|>=|[-+*/^:%<>=,&])
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN_NAME = re.compile(_NAME)
_CLOSER = {"(": ")", "[": "]", "{": "}"}
# Deeper nesting is never meant, and Python's own parser would overflow its stack.
_MAX_DEPTH = 40


class Kind(Enum):
    """What a token is."""

    NAME = "name"
    QUOTED = "quoted"
    NUMBER = "number"
    STRING = "string"
    OPERATOR = "operator"
    BRACKET = "bracket"
    BAR = "bar"
    TILDE = "tilde"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the formula ``source``, at ``source[start:end]``."""

    kind: Kind
    text: str
    start: int
    end: int
    source: str = field(repr=False, compare=False)

    def is_operator(self, *texts: str) -> bool:
        """Whether this is one of the operators ``texts``."""
        return self.kind is Kind.OPERATOR and self.text in texts


@dataclass(frozen=True, slots=True)
class Group:
    """An opening bracket, what stands inside, and the closing bracket."""

    opener: Token
    items: tuple[Node, ...]
    closer: Token

    @property
    def bracket(self) -> str:
        """The opening bracket: ``(``, ``[`` or ``{``."""
        return self.opener.text

    @property
    def start(self) -> int:
        """Position of the opening bracket."""
        return self.opener.start

    @property
    def end(self) -> int:
        """Position after the closing bracket."""
        return self.closer.end

    @property
    def source(self) -> str:
        """The whole formula."""
        return self.opener.source


Node = Token | Group
Nodes = tuple[Node, ...]


def read(source: str) -> Nodes:
    """Return the tree of tokens of a formula or of a part of one.

    Raises
    ------
    FormulaError
        For a character that means nothing, and for quotes or brackets without partner.
    """
    waiting: list[tuple[Token, list[Node]]] = []
    items: list[Node] = []
    for token in _scan(source):
        if token.kind is not Kind.BRACKET:
            items.append(token)
        elif token.text in _CLOSER:
            if len(waiting) == _MAX_DEPTH:
                msg = f"brackets nested over {_MAX_DEPTH} deep; make a column first"
                raise fault(msg, token)
            waiting.append((token, items))
            items = []
        else:
            if not waiting:
                msg = f"'{token.text}' closes nothing; remove it"
                raise fault(msg, token)
            opener, outer = waiting.pop()
            if _CLOSER[opener.text] != token.text:
                msg = (
                    f"'{opener.text}' is closed by '{token.text}'; "
                    f"write '{_CLOSER[opener.text]}'"
                )
                raise fault(msg, token)
            outer.append(Group(opener, tuple(items), token))
            items = outer
    if waiting:
        opener = waiting[-1][0]
        msg = f"'{opener.text}' is never closed; add '{_CLOSER[opener.text]}'"
        raise fault(msg, opener)
    return tuple(items)


def leaves(nodes: Sequence[Node]) -> Iterator[Token]:
    """Yield the tokens of a tree from left to right, brackets included."""
    for node in nodes:
        if isinstance(node, Token):
            yield node
        else:
            yield node.opener
            yield from leaves(node.items)
            yield node.closer


def fault(message: str, *nodes: Node) -> FormulaError:
    """Return a `FormulaError` that underlines everything from first to last node."""
    first, last = nodes[0], nodes[-1]
    return FormulaError(message, first.source, first.start, last.end)


def is_call(nodes: Sequence[Node]) -> bool:
    """Whether the nodes start with ``name(...)``."""
    if len(nodes) < 2:
        return False
    name, arguments = nodes[0], nodes[1]
    return (
        isinstance(name, Token)
        and name.kind is Kind.NAME
        and isinstance(arguments, Group)
        and arguments.bracket == "("
    )


def arguments_of(call: Sequence[Node]) -> Group:
    """Return the brackets with the arguments of nodes that `is_call` accepts."""
    return cast("Group", call[1])


def has_bar(group: Group) -> bool:
    """Whether a bar stands directly inside the brackets."""
    return any(isinstance(n, Token) and n.kind is Kind.BAR for n in group.items)


def split_at(nodes: Sequence[Node], *operators: str) -> list[Nodes]:
    """Return the parts between the given operators, at this level of brackets only."""
    parts: list[list[Node]] = [[]]
    for node in nodes:
        if isinstance(node, Token) and node.is_operator(*operators):
            parts.append([])
        else:
            parts[-1].append(node)
    return [tuple(part) for part in parts]


def is_column(node: Node) -> bool:
    """Whether the node is one column name, quoted or not."""
    return isinstance(node, Token) and (
        node.kind is Kind.QUOTED or (node.kind is Kind.NAME and not is_dots(node))
    )


def is_dots(token: Token) -> bool:
    """Whether the token is ``.`` (or ``...``), which is no column name."""
    return token.kind is Kind.NAME and not token.text.strip(".")


def column_of(token: Token) -> str:
    """Return the column that a name or a quoted name stands for."""
    return token.text[1:-1] if token.kind is Kind.QUOTED else token.text


def quote(column: str) -> str:
    """Return how to write a column name in a formula: in backticks where needed."""
    plain = _PLAIN_NAME.fullmatch(column) and _is_sound(column) and column.strip(".")
    return column if plain else f"`{column}`"


def _scan(source: str) -> Iterator[Token]:
    """Yield the tokens of the text."""
    position = 0
    while position < len(source):
        match = _PATTERN.match(source, position)
        if match is None:
            raise _stray(source, position)
        position = match.end()
        if match.lastgroup == "space":
            continue
        token = Token(
            Kind(match.lastgroup), match.group(), match.start(), match.end(), source
        )
        _check_token(token)
        yield token


def _check_token(token: Token) -> None:
    """Refuse names and quoted names that nothing can be called."""
    if token.kind is Kind.NAME and not _is_sound(token.text):
        msg = f"unusual column name; write it in backticks: `{token.text}`"
        raise fault(msg, token)
    if token.kind is Kind.QUOTED and not token.text[1:-1].strip():
        msg = "nothing between the backticks; write a column name there"
        raise fault(msg, token)


def _is_sound(name: str) -> bool:
    """Whether all parts between dots could belong to a Python name."""
    return all(f"_{part}".isidentifier() for part in name.split("."))


def _stray(source: str, position: int) -> FormulaError:
    """Return the error for a character at which no token starts."""
    character = source[position]
    if character in "\"'`":
        name = "backtick" if character == "`" else "quote"
        message = f"the {name} {character} is never closed; add another {character}"
    elif character == "$":
        message = "'$' has no meaning here; write the column alone: x, not data$x"
    elif character == "!":
        message = "'!' has no meaning here; make a column first, or write I(x == 0)"
    else:
        message = (
            f"unexpected character {character!r}; "
            "write an unusual column name in backticks, like `a b`"
        )
    return FormulaError(message, source, position, position + 1)
