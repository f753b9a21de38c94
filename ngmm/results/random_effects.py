"""Conditional modes and coefficients by level, as frames."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ngmm.inference.analysis import Analysis
from ngmm.inference.latent import LatentAnalysis
from ngmm.results.latent import latent_mode_frames


def mode_frames(analysis: Analysis, *, cond_sd: bool) -> dict[str, pd.DataFrame]:
    """Group -> frame with a row a level and a column an effect.

    With ``cond_sd``, columns ``<name>_sd`` follow: standard deviations given the
    variance parameters and beta.
    """
    if isinstance(analysis, LatentAnalysis):
        return latent_mode_frames(analysis, cond_sd=cond_sd)
    terms = analysis.model.design.random
    values: dict[str, dict[str, np.ndarray]] = {}
    levels: dict[str, pd.Index] = {}
    for term, b in zip(terms, analysis.modes, strict=True):
        levels[term.group] = term.levels
        columns = dict(zip(term.names, b.T, strict=True))
        values.setdefault(term.group, {}).update(columns)
    if cond_sd:
        for term, variance in zip(terms, analysis.mode_variances(), strict=True):
            names = [f"{name}_sd" for name in term.names]
            values[term.group].update(zip(names, np.sqrt(variance.T), strict=True))
    return {
        group: pd.DataFrame(columns, index=levels[group])
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
