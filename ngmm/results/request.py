"""What a prediction is asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ngmm.errors import OptionError, did_you_mean
from ngmm.inference.quantiles import critical

KINDS = ("response", "link", "terms")
NEW_LEVELS = ("error", "population", "marginal", "sample", "similar")
INTERVALS = (None, "confidence", "prediction")
RE = ("all", "none", "marginal")


@dataclass(frozen=True)
class Request:
    """What a prediction is asked for, validated.

    Attributes
    ----------
    kind, new_levels, se, interval, level
        As in `MixedModelFit.predict`.
    groups
        Grouping factors whose effects are conditioned on.
    integrate
        Whether the effects of the other groups count as unknown (``re="marginal"``)
        rather than zero.
    """

    kind: str
    groups: frozenset[str]
    integrate: bool
    new_levels: str
    se: bool
    interval: str | None
    level: float


def request(
    groups: Sequence[str],
    *,
    kind: str,
    re: str | Collection[str],
    new_levels: str,
    se: bool,
    interval: str | None,
    level: float,
) -> Request:
    """Check the arguments of `predict`.

    Raises
    ------
    OptionError
        Naming the argument, what came and what is possible.
    """
    _one_of("kind", kind, KINDS)
    _one_of("new_levels", new_levels, NEW_LEVELS)
    _one_of("interval", interval, INTERVALS)
    critical(level)
    if kind == "terms" and (se or interval is not None):
        raise OptionError('kind="terms" gives contributions without se or interval')
    integrate = isinstance(re, str) and re == "marginal"
    if isinstance(re, str) or not isinstance(re, Collection):
        if re not in RE:
            raise OptionError(
                f're must be "all", "none", "marginal" or a list of grouping factors; '
                f"got {re!r}{' (for one factor write a list)' * (re in groups)}"
            )
        chosen = frozenset(groups) if re == "all" else frozenset[str]()
    else:
        for name in re:
            if name not in groups:
                raise OptionError(
                    f"'{name}' is not a grouping factor of the model"
                    f"{did_you_mean(str(name), groups) or '.'} "
                    f"Grouping factors: {', '.join(groups)}"
                )
        chosen = frozenset(re)
    return Request(kind, chosen, integrate, new_levels, se, interval, level)


def _one_of(argument: str, value: object, allowed: Sequence[object]) -> None:
    if not isinstance(value, (str, type(None))) or value not in allowed:
        shown = ", ".join(repr(a) for a in allowed)
        raise OptionError(f"{argument} must be one of {shown}; got {value!r}")
