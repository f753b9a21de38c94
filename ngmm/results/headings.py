"""What several fits are called in one table."""

from __future__ import annotations

from collections.abc import Sequence

from ngmm.errors import OptionError


def headings(names: Sequence[str] | None, default: Sequence[str]) -> list[str]:
    """Names of fits: those of the user, one for each fit and all different.

    Raises
    ------
    OptionError
        If there are more or fewer than fits, or two are the same.

    Examples
    --------
    >>> headings(None, ["m0", "m1"]), headings(["line", "curve"], ["m0", "m1"])
    (['m0', 'm1'], ['line', 'curve'])
    """
    if names is None:
        return list(default)
    n = len(default)
    if isinstance(names, str) or len(names) != n:
        given = repr(names) if isinstance(names, str) else f"{len(names)} of them"
        raise OptionError(
            f"names= must be a list of {n}, one for each fit; got {given}"
        )
    heads = [str(name) for name in names]
    if len(set(heads)) < n:
        raise OptionError(f"names= must differ from each other; got {heads}")
    return heads
