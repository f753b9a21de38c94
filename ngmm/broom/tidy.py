"""Estimates as a data frame: `tidy`, in the columns of R's broom.mixed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ngmm.broom.parameters import variance_parameters
from ngmm.errors import OptionError, did_you_mean
from ngmm.inference.quantiles import check_level, critical

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

COLUMNS = (
    "effect",
    "group",
    "level",
    "term",
    "estimate",
    "std.error",
    "statistic",
    "df",
    "p.value",
    "conf.low",
    "conf.high",
)
OPTIONS = ("effects", "conf_int", "conf_level", "conf_method", "exponentiate")
Limits = Mapping[Hashable, tuple[float, float]]


@dataclass(frozen=True)
class Request:
    """What intervals are asked for.

    Attributes
    ----------
    conf_int
        Whether there are any.
    level, method, options
        As in `MixedModelFit.conf_int`.
    exponentiate
        Whether fixed effects are carried from the logarithm to ratios.
    """

    conf_int: bool
    level: float
    method: str
    options: Mapping[str, Any]
    exponentiate: bool


def tidy(
    fit: MixedModelFit,
    effects: str | Collection[str] = ("fixed", "ran_pars"),
    *,
    conf_int: bool = False,
    conf_level: float = 0.95,
    conf_method: str = "wald",
    exponentiate: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """Estimates of a fit, one a row, in the columns of R's broom.mixed.

    Parameters
    ----------
    fit
        A fitted model.
    effects
        One or more of ``"fixed"``, the fixed effects; ``"ran_pars"``, standard
        deviations (``sd__x``) and correlations (``cor__x.z``) of the random effects,
        and ``sd__Observation`` or the dispersion parameter of the family; in place of
        these ``"ran_vals"``, conditional modes by level; ``"ran_coefs"``, coefficients
        by level, the modes added to the fixed effects.
    conf_int
        Add ``conf.low`` and ``conf.high``. Those of conditional modes are normal, from
        their conditional standard deviations, whatever the method.
    conf_level
        Confidence level.
    conf_method
        ``"wald"``, ``"profile"`` or ``"bootstrap"``, see `MixedModelFit.conf_int`.
    exponentiate
        Give fixed effects and their limits as exp(estimate): odds ratios with a logit
        link, rate ratios with a log link. Their standard errors are multiplied by it
        (the delta method); statistics and p-values stay those of the coefficients.
    **options
        Further options of ``conf_method``, such as ``n`` and ``seed`` of a bootstrap.

    Returns
    -------
    DataFrame
        ``effect``, ``group``, ``level``, ``term``, ``estimate``, ``std.error``,
        ``statistic``, ``df``, ``p.value``, ``conf.low``, ``conf.high``: of these, the
        columns that the effects asked for have; ``df`` of t tests only. What a row has
        not is missing: fixed effects have no group, ``ran_pars`` no standard error
        (intervals of an sd are not symmetric), parameters at a boundary no Wald limits.

    Raises
    ------
    OptionError
        If there are no such effects, or an option of the intervals is wrong.
    NotSupportedError
        For ``"ran_coefs"`` with a neural random effect.

    Notes
    -----
    Terms have ngmm's names: ``Intercept`` where R has ``(Intercept)``. Limits of
    standard deviations and correlations are those of `MixedModelFit.conf_int`, where
    broom.mixed has missing values for Wald's method. Network terms are in
    `MixedModelFit.nn_table`.

    References
    ----------
    Bolker & Robinson, broom.mixed 0.2.9 (R package), ``tidy.merMod``.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> frame = ngmm.broom.tidy(fit, "ran_pars").round(4)
    >>> dict(zip(frame["term"], frame["estimate"]))  # doctest: +NORMALIZE_WHITESPACE
    {'sd__Intercept': 23.7806, 'cor__Intercept.Days': 0.0813, 'sd__Days': 5.7168,
     'sd__Observation': 25.5918}
    """
    kinds = _kinds(effects)
    check_level(conf_level)
    ask = Request(conf_int, conf_level, conf_method, options, exponentiate)
    if options and not conf_int:
        name = next(iter(options))
        hint = did_you_mean(name, OPTIONS)
        raise OptionError(
            f"{name}= is no option of tidy without conf_int=True{hint or '.'} "
            f"Options: {', '.join(OPTIONS)}; with conf_int=True those of "
            "fit.conf_int, too"
        )
    wanted = conf_int and {"fixed", "ran_pars"} & set(kinds)
    limits = _limits(fit, ask) if wanted else {}
    parts = [EFFECTS[kind](fit, ask, limits) for kind in kinds]
    rows = [row for part in parts for row in part]
    has = {name for row in rows for name in row} | {"effect", "term", "estimate"}
    frame = pd.DataFrame(rows, columns=pd.Index([c for c in COLUMNS if c in has]))
    texts = [c for c in ("effect", "group", "level", "term") if c in has]
    return frame.astype(dict.fromkeys(texts, object))


def _kinds(effects: object) -> list[str]:
    """The effects asked for, each once."""
    asked = [effects] if isinstance(effects, str) else effects
    if not isinstance(asked, Collection) or not asked:
        raise OptionError(
            f"effects must be one or more of {', '.join(map(repr, EFFECTS))}; "
            f"got {effects!r}"
        )
    for kind in asked:
        if not isinstance(kind, str) or kind not in EFFECTS:
            raise OptionError(
                f"there are no effects {kind!r}{did_you_mean(kind, EFFECTS) or '.'} "
                f"effects are one or more of {', '.join(map(repr, EFFECTS))}"
            )
    return list(dict.fromkeys(asked))


def _limits(fit: MixedModelFit, ask: Request) -> Limits:
    """Limits of the parameters, by their names in `MixedModelFit.conf_int`."""
    frame = fit.conf_int(ask.level, ask.method, **ask.options).frame
    pairs = zip(frame["conf_low"], frame["conf_high"], strict=True)
    return dict(zip(frame.index, pairs, strict=True))


def _with_limits(row: dict[str, Any], ask: Request, limits: Any) -> dict[str, Any]:
    if not ask.conf_int:
        return row
    low, high = (np.nan, np.nan) if limits is None else limits
    return {**row, "conf.low": float(low), "conf.high": float(high)}


def _fixed(fit: MixedModelFit, ask: Request, limits: Limits) -> list[dict[str, Any]]:
    """Fixed effects with their tests."""
    out = []
    frame = fit.coef_table(ask.level).frame
    for name, row in zip(frame.index, frame.to_dict("records"), strict=True):
        found = _with_limits({}, ask, limits.get(name))
        estimate, se = row["estimate"], row["std_error"]
        if ask.exponentiate:
            # A ratio beyond the largest number is infinite, as in R.
            with np.errstate(over="ignore"):
                estimate = float(np.exp(estimate))
                se *= estimate
                found = {key: float(np.exp(value)) for key, value in found.items()}
        values = {"estimate": estimate, "std.error": se, "statistic": row["statistic"]}
        if np.isfinite(row["df"]):
            values["df"] = row["df"]
        values["p.value"] = row["p_value"]
        out.append({"effect": "fixed", "term": str(name), **values, **found})
    return out


def _ran_pars(fit: MixedModelFit, ask: Request, limits: Limits) -> list[dict[str, Any]]:
    """Standard deviations and correlations of random effects, and of the response."""
    out = []
    for p in variance_parameters(fit):
        names = {"effect": "ran_pars", "group": p.group, "term": p.term}
        row = {**names, "estimate": p.value}
        out.append(_with_limits(row, ask, limits.get(p.label)))
    return out


def _ran_vals(fit: MixedModelFit, ask: Request, _: Limits) -> list[dict[str, Any]]:
    """Conditional modes with their conditional standard deviations."""
    z = float(critical(ask.level))
    out = []
    modes, known = fit.ranef(), fit.ranef(cond_sd=True)
    for group, frame in modes.items():
        for name in frame.columns:
            sds = known[group][f"{name}_sd"].tolist()
            rows = zip(frame.index, frame[name].tolist(), sds, strict=True)
            for level, value, sd in rows:
                row = _level_row("ran_vals", group, level, str(name), value)
                row["std.error"] = sd
                both = (value - z * sd, value + z * sd)
                out.append(_with_limits(row, ask, both))
    return out


def _ran_coefs(fit: MixedModelFit, ask: Request, _: Limits) -> list[dict[str, Any]]:
    """Coefficients by level."""
    del ask
    return [
        _level_row("ran_coefs", group, level, str(name), value)
        for group, frame in fit.coef().items()
        for name in frame.columns
        for level, value in zip(frame.index, frame[name].tolist(), strict=True)
    ]


def _level_row(
    effect: str, group: str, level: Any, term: str, value: float
) -> dict[str, Any]:
    return {
        "effect": effect,
        "group": group,
        "level": level,
        "term": term,
        "estimate": value,
    }


EFFECTS: dict[str, Callable[[MixedModelFit, Request, Limits], list[dict[str, Any]]]] = {
    "fixed": _fixed,
    "ran_pars": _ran_pars,
    "ran_vals": _ran_vals,
    "ran_coefs": _ran_coefs,
}
