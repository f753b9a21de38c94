"""Confidence intervals of all parameters by any method."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from ngmm.errors import OptionError, did_you_mean
from ngmm.inference.bootstrap_intervals import draws_needed
from ngmm.inference.quantiles import check_level
from ngmm.intervals.bootstrap import bootstrap, check_kind
from ngmm.intervals.naming import wald
from ngmm.intervals.profile import profile
from ngmm.results.simulation import check_count
from ngmm.results.table import Table

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

OPTIONS: dict[str, tuple[str, ...]] = {
    "wald": (),
    "profile": ("parameters", "progress"),
    "bootstrap": ("n", "seed", "kind", "resample", "cluster", "progress"),
}


def conf_int(
    fit: MixedModelFit, level: float = 0.95, method: str = "wald", **options: Any
) -> Table:
    """Confidence intervals of all parameters.

    Rows are the fixed effects, then ``sd(x | g)`` and ``cor(Intercept, x | g)`` of each
    term, then ``sigma`` or what the family calls its dispersion parameter.

    Parameters
    ----------
    fit
        A fitted model.
    level
        Confidence level.
    method
        ``"wald"``: as in `MixedModelFit.coef_table` and `MixedModelFit.varcorr`.
        ``"profile"``: see `profile`. ``"bootstrap"``: see `bootstrap`.
    **options
        Of ``"profile"``: ``parameters``, ``progress``. Of ``"bootstrap"``: ``n``,
        ``seed``, ``kind``, ``resample``, ``cluster``, ``progress``.

    Returns
    -------
    Table
        A row for each parameter. Columns estimate, conf_low, conf_high; note where a
        profile or a bootstrap has something to say of a row.

    Raises
    ------
    OptionError
        If the method or an option is unknown, or level not between 0 and 1.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> fit.conf_int(0.9).to_frame().loc["Days"].round(2).tolist()
    [10.47, 7.86, 13.07]
    """
    if method not in OPTIONS:
        raise OptionError(
            f"method must be 'profile', 'bootstrap' or 'wald', got {method!r}"
            f"{did_you_mean(method, OPTIONS)}"
        )
    _check_options(method, options)
    check_level(level)
    make: dict[str, Callable[..., Table]] = {
        "wald": _by_wald,
        "profile": _by_profile,
        "bootstrap": _by_bootstrap,
    }
    return make[method](fit, level, **options)


def _check_options(method: str, options: dict[str, Any]) -> None:
    known = OPTIONS[method]
    for name in options:
        if name in known:
            continue
        elsewhere = [m for m, names in OPTIONS.items() if name in names]
        if elsewhere:
            raise OptionError(
                f'{name}= is an option of method="{elsewhere[0]}", not of "{method}"'
            )
        have = ", ".join(known) if known else "none"
        raise OptionError(
            f'"{name}" is not an option of method="{method}"'
            f"{did_you_mean(name, known)}; options: {have}"
        )


def _by_wald(fit: MixedModelFit, level: float) -> Table:
    caption = f"Wald intervals; {fit.coef_table(level).caption}"
    return Table(wald(fit, level), caption, title="Confidence intervals")


def _by_profile(
    fit: MixedModelFit,
    level: float,
    parameters: str | Collection[str] | None = None,
    progress: bool | str = "auto",
) -> Table:
    return profile(fit, level, parameters, progress=progress).conf_int()


def _by_bootstrap(
    fit: MixedModelFit,
    level: float,
    kind: str = "percentile",
    n: int = 1000,
    seed: int | None = None,
    **options: Any,
) -> Table:
    check_kind(kind)
    needed = draws_needed(level)
    if check_count(n) < needed:
        raise OptionError(
            f"a level of {level:g} needs at least {needed} bootstrap draws, got n={n}"
        )
    return bootstrap(fit, n, seed, **options).conf_int(level, kind)
