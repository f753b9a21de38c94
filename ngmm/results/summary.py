"""The page that a fitted model prints: long for ``summary()``, short for ``print``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ngmm.results.document import (
    Block,
    Document,
    Field,
    Fields,
    Line,
    Notes,
    Section,
    Title,
)
from ngmm.results.formatting import integer, number
from ngmm.results.render import one_line
from ngmm.results.tables import (
    brief_coef_table,
    brief_network_table,
    coef_table,
    dispersion_table,
    method_caption,
    random_effects_table,
)

if TYPE_CHECKING:
    from ngmm.results.fitted import Fitted, Verdict
    from ngmm.results.table import Table

_LEVEL = 0.95


def summarise(fit: Fitted) -> Document:
    """The full summary of a fitted model.

    The verdict comes first, then the model, the data and the method, the fit in
    figures, the standard deviations of the random effects, the fixed effects and the
    network terms.

    Parameters
    ----------
    fit
        A fitted model.

    Returns
    -------
    Document
        Prints as text, and as HTML in a notebook.
    """
    verdict = fit.check()
    fields = (
        Field("formula", one_line(fit.formula)),
        Field("family", _family(fit)),
        Field("data", _data(fit), beside=True),
        Field("groups", "\n".join(_group(fit, name) for name in fit.n_levels)),
        Field("integral", fit.integral_text),
        Field("estimate", _estimate(fit)),
        *_adversary(fit),
    )
    figures = (
        _loglik(fit),
        ("AIC", number(fit.aic, 1)),
        ("BIC", number(fit.bic, 1)),
        ("df", _df(fit.df_model)),
    )
    variances = fit.varcorr(_LEVEL).to_frame()
    random = random_effects_table(variances, level=_LEVEL)
    caption = method_caption(fit.df_method, fit.networks)
    fixed = coef_table(fit.coef_table(_LEVEL).to_frame(), caption, level=_LEVEL)
    dispersion = dispersion_table(variances, fit.family, level=_LEVEL)
    sections = _sections(fit, random, dispersion, fixed)
    body = [Fields(fields), Line(figures), *sections]
    return Document((*_head(fit, verdict), *body, *_foot(verdict)))


def brief(fit: Fitted) -> Document:
    """A short account of a fitted model, for ``print(fit)``.

    Parameters
    ----------
    fit
        A fitted model.

    Returns
    -------
    Document
        Verdict, formula, size, log-likelihood, standard deviations and coefficients.
    """
    verdict = fit.check()
    groups = ", ".join(
        f"{one_line(name)} {integer(n)}" for name, n in fit.n_levels.items()
    )
    fields = (
        Field("formula", one_line(fit.formula)),
        Field("data", f"{integer(fit.nobs)} rows; {groups}"),
        Field("estimate", _estimate(fit)),
    )
    variances = fit.varcorr(_LEVEL).to_frame()
    random = random_effects_table(variances, intervals=False)
    dispersion = dispersion_table(variances, fit.family, intervals=False)
    fixed = brief_coef_table(fit.coef_table(_LEVEL).to_frame())
    body = [
        Fields(fields),
        Line((_loglik(fit), ("AIC", number(fit.aic, 1)))),
        *_sections(fit, random, dispersion, fixed),
    ]
    return Document((*_head(fit, verdict), *body))


def _head(fit: Fitted, verdict: Verdict) -> list[Block]:
    """The kind of model with the verdict; the messages if it is not a good one."""
    linear = fit.family == "gaussian" and fit.link == "identity"
    if fit.is_neural:
        text = "Neural mixed model" if linear else "Neural generalized mixed model"
    else:
        text = "Linear mixed model" if linear else "Generalized linear mixed model"
    if verdict.ok:
        return [Title(text, "[OK]")]
    messages = tuple(
        f"{message.text}\n-> {message.remedy}" if message.remedy else message.text
        for message in verdict.messages
    )
    return [Title(text, f"[WARN {len(messages)}]"), Notes(messages)]


def _foot(verdict: Verdict) -> list[Block]:
    """Notes: true and worth knowing, but no warnings."""
    notes = tuple(verdict.notes)
    return [Notes(notes, mark="note:", apart=True)] if notes else []


def _sections(
    fit: Fitted, random: Table, dispersion: Table, fixed: Table
) -> list[Block]:
    if fit.aliased:
        dropped = f"dropped, linear combinations of others: {', '.join(fit.aliased)}"
        lines = [fixed.caption, dropped] if fixed.caption else [dropped]
        fixed = replace(fixed, caption="\n".join(lines))
    sections: list[Block] = [Section("Random effects", random)]
    if len(dispersion.frame) > 0:
        sections.append(Section("Dispersion", dispersion))
    if len(fixed.frame) > 0:
        sections.append(Section("Fixed effects", fixed))
    if fit.is_neural:
        networks = brief_network_table(fit.nn_table().to_frame())
        sections.append(Section("Network terms", networks))
    return sections


def _family(fit: Fitted) -> str:
    text = f"{fit.family}({fit.link})"
    if fit.response_levels is None:
        return text
    return f"{text}, P({one_line(fit.response_name)} = {fit.response_levels[1]})"


def _data(fit: Fitted) -> str:
    text = f"{integer(fit.nobs)} rows used, {integer(fit.n_dropped)} dropped"
    counts = ", ".join(
        f"{one_line(name)}: {integer(n)}" for name, n in fit.missing.items() if n
    )
    return f"{text} ({counts})" if counts else text


def _group(fit: Fitted, name: str) -> str:
    low, median, high = fit.group_sizes[name]
    middle = integer(median) if float(median).is_integer() else number(median, 1)
    return (
        f"{one_line(name)} {integer(fit.n_levels[name])} "
        f"({integer(low)} to {integer(high)} rows, median {middle})"
    )


def _adversary(fit: Fitted) -> list[Field]:
    """How well the networks hide the groups, if they were trained to."""
    faced = None if fit.networks is None else fit.networks.adversary
    if faced is None:
        return []
    if faced.strength == 0.0:
        return [Field("adversary", "none: groups left out are served best without one")]
    text = (
        f"strength {faced.strength:g}; a fresh classifier tells the group of "
        f"{faced.fresh:.0%} of the rows, guessing {faced.chance:.0%}"
    )
    return [Field("adversary", text.replace("%", " %"))]


def _estimate(fit: Fitted) -> str:
    method = (
        "restricted maximum likelihood (REML)" if fit.reml else "maximum likelihood"
    )
    mark = ";" if fit.is_neural else ","
    return f"{method}{mark} {fit.estimate_text}" if fit.estimate_text else method


def _loglik(fit: Fitted) -> tuple[str, str]:
    return ("REML loglik" if fit.reml else "loglik", number(fit.loglik, 2))


def _df(value: float) -> str:
    """Whole degrees of freedom without decimals, effective ones with one."""
    return integer(value) if float(value).is_integer() else number(value, 1)
