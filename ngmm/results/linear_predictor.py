"""The linear predictor of rows: its value, its terms, and what is not known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import RandomDesign
from ngmm.inference.analysis import Analysis
from ngmm.results.request import Request
from ngmm.results.rows import Rows
from ngmm.results.similar import Similarity

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Effects:
    """Random effects that enter a prediction.

    Attributes
    ----------
    modes
        For each term of the formula, (levels, k) effects of the levels of the data.
    sampled
        Position of a term -> effect on each row of what stands for its new level: a
        draw, or a mean of known levels.
    """

    modes: Sequence[Matrix]
    sampled: Mapping[int, Vector]


def linear_predictor(
    analysis: Analysis, rows: Rows, ask: Request, effects: Effects
) -> Vector:
    """Fixed part, offset, and the effects asked for."""
    eta = rows.X @ analysis.estimate.beta + rows.offset + rows.networks.sum(1)
    for i, (term, b) in enumerate(zip(rows.random, effects.modes, strict=True)):
        if term is not None and term.group in ask.groups:
            eta += _term_effect(term, b) + effects.sampled.get(i, 0.0)
    return eta


def term_frame(
    analysis: Analysis, rows: Rows, ask: Request, effects: Effects
) -> pd.DataFrame:
    """Contribution of every term; the columns sum to the linear predictor."""
    out: dict[str, Vector] = {}
    names = analysis.model.design.column_terms
    for name, column, beta in zip(names, rows.X.T, analysis.estimate.beta, strict=True):
        out[name] = out.get(name, 0.0) + column * beta
    for network, f in zip(analysis.design.networks, rows.networks.T, strict=True):
        out[network.label] = f
    for i, (term, b) in enumerate(zip(rows.random, effects.modes, strict=True)):
        if term is not None and term.group in ask.groups:
            out[term.label] = _term_effect(term, b) + effects.sampled.get(i, 0.0)
    if rows.offset.any():
        out["(offset)" if "offset" in out else "offset"] = rows.offset
    return pd.DataFrame(out, index=rows.index)


def effects_of(
    analysis: Analysis, rows: Rows, ask: Request, seed: int, similarity: Similarity
) -> Effects:
    """Conditional modes, if any are asked for, and what stands for new levels."""
    if ask.groups:
        modes = analysis.modes
    else:
        terms = analysis.model.design.random
        modes = [np.zeros((1, len(t.names))) for t in terms]
    if ask.new_levels == "similar" and ask.groups:
        return Effects(modes, _of_similar_levels(modes, rows, similarity))
    if ask.new_levels != "sample":
        return Effects(modes, {})
    return Effects(modes, _sample_new_levels(analysis, rows, seed))


def _term_effect(term: RandomDesign, b: Matrix) -> Vector:
    """Sum over columns of Z times the effects of the row's level; zero if unseen."""
    known = term.codes >= 0
    effect = np.einsum("nk,nk->n", term.Z, b[np.where(known, term.codes, 0)])
    return np.where(known, effect, 0.0)


def _of_similar_levels(
    modes: Sequence[Matrix], rows: Rows, similarity: Similarity
) -> dict[int, Vector]:
    """Effect on each row of the mean of the known levels, those it looks like most."""
    out: dict[int, Vector] = {}
    for i, (term, b) in enumerate(zip(rows.random, modes, strict=True)):
        if term is None or term.group not in rows.unseen_codes:
            continue
        share = similarity.of(term.group, rows.X, rows.inputs)
        effect = np.einsum("nk,nk->n", term.Z, share @ b)
        out[i] = np.where(term.codes < 0, effect, 0.0)
    return out


def _sample_new_levels(
    analysis: Analysis, rows: Rows, seed: int
) -> dict[int, NDArray[np.float64]]:
    """Effect on each row of one draw a new level, for each term that has any."""
    generator = np.random.default_rng(seed)
    out: dict[int, Vector] = {}
    for i, (term, c) in enumerate(zip(rows.random, analysis.components, strict=True)):
        if term is None or term.group not in rows.unseen_codes:
            continue
        labels, cov = rows.unseen_codes[term.group], c.covariance
        draws = generator.multivariate_normal(
            np.zeros(len(cov)), cov, size=int(labels.max()) + 1, method="eigh"
        )
        effect = np.einsum("nk,nk->n", term.Z, draws[np.maximum(labels, 0)])
        out[i] = np.where(labels >= 0, effect, 0.0)
    return out


@dataclass(frozen=True, eq=False)
class Variance:
    """What is not known of the linear predictor of each row, as variances.

    Attributes
    ----------
    estimation
        Of beta and of the conditional modes, at the estimated variance parameters.
    unseen
        Effects of new levels under ``new_levels="marginal"``.
    integrated
        Random effects under ``re="marginal"``.
    """

    estimation: Vector
    unseen: Vector
    integrated: Vector

    @property
    def of_mean(self) -> Vector:
        """Variance of the linear predictor about its estimate."""
        return self.estimation + self.unseen

    @property
    def of_effects(self) -> Vector:
        """Variance of random effects that are not conditioned on."""
        return self.unseen + self.integrated

    @property
    def total(self) -> Vector:
        """Variance of the linear predictor of a new observation."""
        return self.of_mean + self.integrated


def variance(
    analysis: Analysis, rows: Rows, ask: Request, *, estimation: bool
) -> Variance:
    """Variances of the linear predictor; that of the estimation only if asked for."""
    zero = np.zeros(len(rows.X))
    unseen, integrated, known = zero.copy(), zero.copy(), zero
    for term, c in zip(rows.random, analysis.components, strict=True):
        if term is None:
            continue
        between = np.einsum("ni,ij,nj->n", term.Z, c.covariance, term.Z)
        if ask.integrate:
            integrated += between
        elif ask.new_levels == "marginal" and term.group in ask.groups:
            unseen += np.where(term.codes < 0, between, 0.0)
    if estimation:
        used = [t if t and t.group in ask.groups else None for t in rows.random]
        known = analysis.predictor_variance(rows.X, used, rows.inputs)
    return Variance(known, unseen, integrated)
