"""The records that a formula is parsed into. They hold text and names, never data."""

from __future__ import annotations

from dataclasses import dataclass, field

from ngmm.formula.dialect import columns_of
from ngmm.formula.tokens import quote


@dataclass(frozen=True)
class NetworkTerm:
    """A network ``nn(x1, log(x2), hidden=(8, 8), net=name)``.

    Attributes
    ----------
    inputs
        What the network reads, as a formula spells it: columns and function calls, each
        of which is one number or one factor level a row.
    options
        Pairs of option and literal value as written; ``net=name`` has the value
        ``"name"``.

    Examples
    --------
    >>> import ngmm
    >>> term = ngmm.parse("y ~ nn(x, log(z), hidden=(8,)) + (1 | g)").networks[0]
    >>> str(term), term.variables
    ('nn(x, log(z), hidden=(8,))', ('x', 'z'))
    """

    inputs: tuple[str, ...]
    options: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        """Return the term as a formula spells it."""
        options = (
            f"{key}={_bare(value) if key == 'net' else repr(value)}"
            for key, value in self.options
        )
        return f"nn({', '.join([*self.inputs, *options])})"

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the columns used, each once, in the order of the inputs."""
        names = (name for expr in self.inputs for name in columns_of(expr))
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class RandomTerm:
    """A random term ``(expr | group)``.

    Attributes
    ----------
    expr
        What varies between the levels, explicit about its intercept: ``"1 + Days"``;
        ``"0"`` if only networks do.
    group
        Names of the columns whose combinations are the levels: ``("a", "b")`` for
        ``a:b``.
    correlated
        False for ``||``, which removes every correlation.
    networks
        Networks that take a latent value of the level as an input, ``(nn(x) | g)``.
    features
        Networks of the fixed part whose last hidden units vary between the levels,
        ``(1 + nn | g)``: the name of each, ``""`` for the only one.

    Examples
    --------
    >>> import ngmm
    >>> term = ngmm.parse("y ~ x + (x || a:b)").random[0]
    >>> term.expr, term.group, term.group_name, term.correlated
    ('1 + x', ('a', 'b'), 'a:b', False)
    """

    expr: str
    group: tuple[str, ...]
    correlated: bool = True
    networks: tuple[NetworkTerm, ...] = ()
    features: tuple[str, ...] = ()

    @property
    def group_name(self) -> str:
        """Name of the grouping factor, ``"a:b"`` for an interaction."""
        return ":".join(self.group)

    def __str__(self) -> str:
        """Return the term as a formula spells it."""
        parts = [] if self.networks and self.expr == "0" else [self.expr]
        features = (features_text(name) for name in self.features)
        left = " + ".join([*parts, *features, *map(str, self.networks)])
        bar = "|" if self.correlated else "||"
        return f"({left} {bar} {':'.join(map(quote, self.group))})"


@dataclass(frozen=True)
class Response:
    """The left side of a formula.

    Attributes
    ----------
    expr
        As written; arithmetic is literal, so ``k/n`` is a division.
    parts
        ``("k", "n - k")`` for ``cbind(k, n - k)``, otherwise ``(expr,)``.

    Examples
    --------
    >>> import ngmm
    >>> response = ngmm.parse("cbind(k, n - k) ~ x + (1 | g)").response
    >>> response.is_cbind, response.parts
    (True, ('k', 'n - k'))
    """

    expr: str
    parts: tuple[str, ...]

    @property
    def is_cbind(self) -> bool:
        """Whether the response is ``cbind(successes, failures)``."""
        return len(self.parts) > 1

    def __str__(self) -> str:
        """Return the response as a formula spells it."""
        return self.expr


@dataclass(frozen=True)
class ModelFormula:
    """A parsed formula; `str` gives its canonical text.

    Two formulas are equal if they differ in ``text`` only.

    Attributes
    ----------
    response
        Left side.
    fixed
        Right side without random terms, networks and offsets, explicit about its
        intercept: ``"1 + Days"`` or ``"0 + Days"``.
    random
        Random terms, nested ones expanded: ``(x | a/b)`` is ``(x | a) + (x | a:b)``.
    offsets
        Expressions inside ``offset(...)``.
    networks
        Networks among the fixed terms.
    text
        The formula as the user wrote it.

    Examples
    --------
    >>> import ngmm
    >>> terms = ngmm.parse("y ~ log(x) + nn(z, net=net1) + (1 + nn(net=net1) | a/b)")
    >>> terms.fixed, [str(term) for term in terms.random]
    ('1 + log(x)', ['(1 + nn(net=net1) | a)', '(1 + nn(net=net1) | a:b)'])
    >>> terms.variables, terms.network_of("net1")
    (('y', 'x', 'z', 'a', 'b'), 0)
    """

    response: Response
    fixed: str
    random: tuple[RandomTerm, ...] = ()
    offsets: tuple[str, ...] = ()
    networks: tuple[NetworkTerm, ...] = ()
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        """Return the canonical text, which parses to an equal formula."""
        terms = [
            self.fixed,
            *map(str, self.networks),
            *(f"offset({expr})" for expr in self.offsets),
            *map(str, self.random),
        ]
        return f"{self.response} ~ {' + '.join(terms)}"

    def network_of(self, name: str) -> int:
        """Return the position in `networks` of the one that random slopes refer to.

        Parameters
        ----------
        name
            As in `RandomTerm.features`.

        Returns
        -------
        int
            Position, from 0.

        Raises
        ------
        LookupError
            If no network, or more than one, is meant.
        """
        text = features_text(name)
        if not self.networks:
            raise LookupError(
                f"{text} left of a bar stands for the last hidden units of a network "
                "of the fixed part, which has none; write y ~ nn(x1, x2) + "
                f"(1 + {text} | g), or `nn` in backticks for a column of that name"
            )
        if not name and len(self.networks) > 1:
            raise LookupError(
                f"{text} left of a bar could be any of {len(self.networks)} networks; "
                "name them, nn(x1, net=first), and write (1 + nn(net=first) | g)"
            )
        nets = [dict(network.options).get("net", "") for network in self.networks]
        found = [i for i, net in enumerate(nets) if not name or net == name]
        if len(found) != 1:
            raise LookupError(
                f"{text} left of a bar: {len(found)} networks of the fixed part have "
                f"net={name}; write nn(x1, x2, net={name}) for the one that is meant"
            )
        return found[0]

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of all columns used, each once, in the order of the canonical text."""
        names = [*columns_of(self.response.expr), *columns_of(self.fixed)]
        for network in self.networks:
            names += network.variables
        for offset in self.offsets:
            names += columns_of(offset)
        for term in self.random:
            names += columns_of(term.expr)
            for network in term.networks:
                names += network.variables
            names += term.group
        return tuple(dict.fromkeys(names))


def features_text(name: str) -> str:
    """Return how a formula spells the last hidden units of a network."""
    return f"nn(net={_bare(name)})" if name else "nn"


def _bare(name: object) -> str:
    """Return the name of a network as an identifier, or as a string if it is none."""
    text = str(name)
    return text if text.isidentifier() else repr(text)
