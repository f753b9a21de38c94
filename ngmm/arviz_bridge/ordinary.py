"""Groups of variables of a fit with ordinary random effects."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ngmm.arviz_bridge.asymptotic import asymptotic
from ngmm.arviz_bridge.factors import Factor, factors_of
from ngmm.arviz_bridge.names import (
    ROWS,
    Variable,
    allowed,
    deviation_variables,
    effect_variables,
    factor_dim,
    fixed_variables,
    level_labels,
)
from ngmm.arviz_bridge.nested import outermost_loglik, units_of
from ngmm.arviz_bridge.parameters import ParameterDraws
from ngmm.arviz_bridge.refits import refitted
from ngmm.arviz_bridge.rows import RowDraws, row_draws
from ngmm.design import Design
from ngmm.inference.marginal.mean import link_mean
from ngmm.results.response import drawable, row_trials

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

Array = NDArray[np.float64]
Groups = dict[str, dict[str, Variable]]


def ordinary_groups(
    fit: MixedModelFit, n: int, kind: str, seed: int
) -> tuple[Groups, Mapping[str, str]]:
    """Variables by group, and what is to be said of them."""
    generator = np.random.default_rng(seed)
    if kind == "asymptotic":
        parameters = asymptotic(fit, n, generator)
    else:
        parameters = refitted(fit, n, seed)
    factors = factors_of(fit.design.random)
    units = units_of(factors)
    found = row_draws(fit, parameters, factors, units, generator)
    levels = dict(found.levels)
    if units.outermost is not None:
        outer = factors[units.outermost]
        value = outermost_loglik(fit, parameters, outer)
        levels |= {} if value is None else {outer.name: value}
    groups: Groups = {
        "posterior": {
            **_parameters(fit, parameters),
            **_effects(fit.design, factors, found),
        },
        "log_likelihood": _likelihoods(fit, levels, found.pointwise),
        "posterior_predictive": _predictive(fit, parameters, found.eta, generator),
    }
    return groups, _sentences(fit, parameters, factors, levels, found)


def _parameters(fit: MixedModelFit, draws: ParameterDraws) -> dict[str, Variable]:
    out = fixed_variables(fit.design, draws.beta)
    terms = zip(fit.design.random, draws.roots, draws.term_notes, strict=True)
    for term, lam, note in terms:
        out |= deviation_variables(term, term.group, lam, note)
    return out | scale_variable(fit, draws.scale, out, draws.scale_note)


def scale_variable(
    fit: MixedModelFit, scale: Array, taken: Container[str], note: str = ""
) -> dict[str, Variable]:
    """Sigma, or the dispersion by the family's name for it; nothing without either."""
    name = "sigma" if fit.model.is_gaussian else fit.model.family.dispersion
    if name is None:
        return {}
    # A column of the data may have this name.
    own = f"{allowed(fit.response_name)}_{name}" if name in taken else name
    return {own: Variable((), scale, {}, note)}


def _effects(
    design: Design, factors: Sequence[Factor], found: RowDraws
) -> dict[str, Variable]:
    out: dict[str, Variable] = {}
    for factor, b in zip(factors, found.effects, strict=True):
        for position, columns in zip(factor.terms, factor.columns, strict=True):
            term = design.random[position]
            own = b[:, :, columns]
            out |= effect_variables(term, term.group, term.levels, own)
    return out


def _likelihoods(
    fit: MixedModelFit, levels: Mapping[str, Array], pointwise: Array
) -> dict[str, Variable]:
    """Of rows under the name of the response, of levels under ``y|g``."""
    response = allowed(fit.response_name)
    note = "of each row, given the random effects"
    out = {response: of_rows(fit.design, pointwise, note)}
    labels = {t.group: t.levels for t in fit.design.random}
    for group, value in levels.items():
        dim = factor_dim(group)
        coords = {dim: level_labels(labels[group])}
        note = f"of all rows of a level of {group}, its random effects integrated out"
        if len(levels) > 1:
            note += ", with those of factors nested in it; given those of other factors"
        out[f"{response}|{allowed(group)}"] = Variable((dim,), value, coords, note)
    return out


def _predictive(
    fit: MixedModelFit,
    draws: ParameterDraws,
    eta: Array,
    generator: np.random.Generator,
) -> dict[str, Variable]:
    """New responses of the same levels, means, and outputs of networks."""
    design = fit.design
    dispersion = draws.dispersion(fit.model.is_gaussian)
    out = responses(fit, eta, dispersion, generator)
    for t, network in enumerate(design.networks):
        name = allowed(network.label)
        out[name] = of_rows(design, draws.outputs[:, :, t], draws.output_note)
    return out


def responses(
    fit: MixedModelFit, eta: Array, dispersion: Array, generator: np.random.Generator
) -> dict[str, Variable]:
    """Responses drawn at linear predictors (draws, n), and their means."""
    design, family = fit.design, fit.model.family
    mu = link_mean(family.transform, drawable(family.transform, eta))
    y = family.sample(
        generator,
        mu.T,
        dispersion[None],
        design.weights[:, None],
        row_trials(design)[:, None],
    )
    drawn = np.asarray(y, dtype=np.float64).T
    return {
        allowed(fit.response_name): of_rows(design, drawn),
        "mu": of_rows(design, mu),
    }


def of_rows(design: Design, values: Array, note: str = "") -> Variable:
    """A variable (draws, n) over the rows used, by their position in the data."""
    return Variable((ROWS,), values, {ROWS: np.asarray(design.rows)}, note)


def _sentences(
    fit: MixedModelFit,
    draws: ParameterDraws,
    factors: Sequence[Factor],
    levels: Mapping[str, Array],
    found: RowDraws,
) -> dict[str, str]:
    """Attributes that say how random effects and likelihoods were found."""
    how = "as normal about their conditional modes"
    if fit.model.is_gaussian:
        how = "exactly"
    elif len(factors) == 1:
        how = "by importance resampling about their conditional modes"
    missing = [f.name for f in factors if f.name not in levels]
    notes = [*_parameter_notes(fit, draws), *_row_notes(fit, found)]
    if missing:
        notes.append(
            f"no log-likelihood by level of {', '.join(missing)}: there is no rule for "
            "the integral over its effects and those of what it contains"
        )
    return {
        "random_effects": "drawn given the data and each draw of the parameters, "
        + how,
        "notes": "; ".join(notes),
    }


def _parameter_notes(fit: MixedModelFit, draws: ParameterDraws) -> list[str]:
    terms = zip(fit.design.random, draws.term_notes, strict=True)
    notes = [f"{term.label}: {note}" for term, note in terms if note]
    notes += [text for text in (draws.output_note, draws.scale_note) if text]
    if draws.n_failed:
        notes.append(f"{draws.n_failed} refits failed and are left out")
    return notes


def _row_notes(fit: MixedModelFit, found: RowDraws) -> list[str]:
    notes = []
    outside = float(np.mean(~np.isfinite(found.pointwise)))
    if outside:
        notes.append(
            f"{outside:.2%} of the linear predictors drawn for the rows are outside "
            f"the domain of the {fit.link} link: their log-likelihood is minus infinity"
        )
    if found.n_unsettled:
        notes.append(
            f"{found.n_unsettled} conditional modes were not found: their effects are "
            "drawn about where the search stopped"
        )
    return notes
