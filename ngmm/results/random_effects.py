"""Conditional modes and coefficients by level, as frames."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ngmm.inference.modes import Posterior
from ngmm.model import Estimate, Model


def posterior(model: Model, estimate: Estimate) -> Posterior:
    """The random effects given the data."""
    return Posterior(
        model.problem,
        model.elimination(estimate),
        estimate.profile,
        estimate.engine_theta,
    )


def term_modes(model: Model, given: Posterior) -> list[np.ndarray]:
    """Conditional modes of each term of the formula: (levels, k)."""
    by_factor = {
        place.factor: given.modes(place.factor) for place in model.problem.places
    }
    return [by_factor[p.factor][:, p.columns] for p in model.problem.places]


def mode_frames(
    model: Model, given: Posterior, sigma: float, *, cond_sd: bool
) -> dict[str, pd.DataFrame]:
    """Group -> frame with a row a level and a column an effect.

    With ``cond_sd``, columns ``<name>_sd`` follow: standard deviations given theta,
    sigma and beta.
    """
    values: dict[str, dict[str, np.ndarray]] = {}
    sds: dict[str, dict[str, np.ndarray]] = {}
    levels: dict[str, pd.Index] = {}
    modes = term_modes(model, given)
    for term, place, b in zip(
        model.design.random, model.problem.places, modes, strict=True
    ):
        columns = values.setdefault(term.group, {})
        spread = sds.setdefault(term.group, {})
        levels[term.group] = term.levels
        variance = (
            np.einsum("lii->li", given.covariance(place.factor))[:, place.columns]
            if cond_sd
            else None
        )
        for i, name in enumerate(term.names):
            columns[name] = b[:, i]
            if variance is not None:
                spread[f"{name}_sd"] = sigma * np.sqrt(variance[:, i])
    return {
        group: pd.DataFrame({**columns, **sds[group]}, index=levels[group])
        for group, columns in values.items()
    }


def coefficient_frames(
    modes: dict[str, pd.DataFrame], fixef: pd.Series
) -> dict[str, pd.DataFrame]:
    """Group -> fixed effects plus the conditional modes of each level."""
    out: dict[str, pd.DataFrame] = {}
    for group, b in modes.items():
        names = [*fixef.index, *(c for c in b.columns if c not in fixef.index)]
        fixed = fixef.reindex(names, fill_value=0.0).to_numpy()
        random = b.reindex(columns=names, fill_value=0.0).to_numpy()
        out[group] = pd.DataFrame(fixed + random, index=b.index, columns=names)
    return out
