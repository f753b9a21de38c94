"""Predictions for the training rows or for new ones, with their uncertainty."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import Design, DesignSpec, NewDesign, RandomDesign
from ngmm.errors import NewDataError, OptionError, did_you_mean
from ngmm.inference.modes import Posterior, RowEffects
from ngmm.inference.quantiles import critical
from ngmm.model import Estimate, Model
from ngmm.results.coefficients import contrast_basis

KINDS = ("response", "link", "terms")
NEW_LEVELS = ("error", "population", "marginal", "sample")
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


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to predict: training or new."""

    X: NDArray[np.float64]
    offset: NDArray[np.float64]
    weights: NDArray[np.float64]
    random: tuple[RandomDesign | None, ...]
    index: pd.Index
    unseen_codes: Mapping[str, NDArray[np.intp]]


def training_rows(design: Design) -> Rows:
    """The rows the model was fitted to."""
    return Rows(
        design.X, design.offset, design.weights, design.random, design.index, {}
    )


def new_rows(design: Design, spec: DesignSpec, newdata: Any, ask: Request) -> Rows:
    """Rows of new data; unseen levels raise unless the request says what to do."""
    wanted = True if ask.integrate else sorted(ask.groups)
    new: NewDesign = spec.apply(
        newdata, random=wanted or False, levels=not ask.integrate
    )
    if new.unseen and ask.new_levels == "error":
        raise NewDataError(_unseen_text(new.unseen))
    terms = iter(new.random)
    built = {t.group for t in new.random}
    random = tuple(next(terms) if t.group in built else None for t in design.random)
    ones = np.ones(new.n_rows)
    return Rows(new.X, new.offset, ones, random, new.index, new.unseen_codes)


def _unseen_text(unseen: Mapping[str, pd.Series]) -> str:
    parts = []
    for group, counts in unseen.items():
        labels = ", ".join(str(label) for label in counts.index[:5])
        more = ", ..." if len(counts) > 5 else ""
        rows, levels = int(counts.sum()), len(counts)
        parts.append(
            f"{rows} row{'s' * (rows != 1)} {'have' if rows != 1 else 'has'} {levels} "
            f'unseen level{"s" * (levels != 1)} of "{group}" ({labels}{more})'
        )
    return (
        "; ".join(parts) + '; pass new_levels="population" (their effects are zero), '
        '"marginal" (zero, with the variance between levels in se and interval) or '
        '"sample" (drawn at random)'
    )


def linear_predictor(
    estimate: Estimate,
    rows: Rows,
    modes: Sequence[NDArray[np.float64]],
    ask: Request,
    sampled: Mapping[int, NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Fixed part, offset, and the conditional modes asked for."""
    eta = rows.X @ estimate.beta + rows.offset
    for i, (term, b) in enumerate(zip(rows.random, modes, strict=True)):
        if term is not None and term.group in ask.groups:
            eta += _term_effect(term, b) + sampled.get(i, 0.0)
    return eta


def _term_effect(term: RandomDesign, b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over columns of Z times the effects of the row's level; zero if unseen."""
    known = term.codes >= 0
    effect = np.einsum("nk,nk->n", term.Z, b[np.where(known, term.codes, 0)])
    return np.where(known, effect, 0.0)


def term_frame(
    design: Design,
    estimate: Estimate,
    rows: Rows,
    modes: Sequence[NDArray[np.float64]],
    ask: Request,
    sampled: Mapping[int, NDArray[np.float64]],
) -> pd.DataFrame:
    """Contribution of every term; the columns sum to the linear predictor."""
    out: dict[str, NDArray[np.float64]] = {}
    for name, column, beta in zip(
        design.column_terms, rows.X.T, estimate.beta, strict=True
    ):
        out[name] = out.get(name, 0.0) + column * beta
    for i, (term, b) in enumerate(zip(rows.random, modes, strict=True)):
        if term is not None and term.group in ask.groups:
            out[term.label] = _term_effect(term, b) + sampled.get(i, 0.0)
    if rows.offset.any():
        out["(offset)" if "offset" in out else "offset"] = rows.offset
    return pd.DataFrame(out, index=rows.index)


def sample_new_effects(
    rows: Rows, ask: Request, covariances: Sequence[NDArray[np.float64]], seed: int
) -> dict[int, NDArray[np.float64]]:
    """Effect on each row of one draw a new level, for each term that has any."""
    if ask.new_levels != "sample":
        return {}
    generator = np.random.default_rng(seed)
    out: dict[int, NDArray[np.float64]] = {}
    for i, (term, cov) in enumerate(zip(rows.random, covariances, strict=True)):
        if term is None or term.group not in rows.unseen_codes:
            continue
        labels = rows.unseen_codes[term.group]
        draws = generator.multivariate_normal(
            np.zeros(len(cov)), cov, size=int(labels.max()) + 1, method="eigh"
        )
        effect = np.einsum("nk,nk->n", term.Z, draws[np.maximum(labels, 0)])
        out[i] = np.where(labels >= 0, effect, 0.0)
    return out


def variance(
    model: Model,
    estimate: Estimate,
    given: Posterior | None,
    rows: Rows,
    ask: Request,
    covariances: Sequence[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variance of the mean of each row, and what a single observation adds to it.

    The first counts the estimation of beta and of the conditional modes at the
    estimated variance parameters, and the effects of new levels under
    ``new_levels="marginal"``; the second the residual, and under ``re="marginal"`` the
    random effects themselves.
    """
    x = rows.X @ contrast_basis(model)
    between = np.zeros(len(x))
    for term, cov in zip(rows.random, covariances, strict=True):
        if term is None:
            continue
        counted = ask.integrate | (
            (term.codes < 0)
            & (term.group in ask.groups)
            & (ask.new_levels == "marginal")
        )
        between += np.where(counted, np.einsum("ni,ij,nj->n", term.Z, cov, term.Z), 0.0)
    sigma2 = estimate.sigma**2
    if given is not None:
        mean = sigma2 * given.row_variance(x, _row_effects(model, rows, ask))
    else:
        p = x.shape[1]
        half = np.linalg.solve(estimate.profile.tail[:p, :p], x.T)
        mean = sigma2 * np.einsum("np,pn->n", x, half)
    single = sigma2 / rows.weights
    if ask.integrate:
        return mean, single + between
    return mean + between, single


def _row_effects(model: Model, rows: Rows, ask: Request) -> list[RowEffects]:
    """Engine's columns of each factor for the rows; zero where not conditioned on."""
    problem = model.problem
    n = len(rows.X)
    out: list[RowEffects] = []
    for factor, scale in enumerate(problem.data.column_scales):
        z = np.zeros((n, len(scale)))
        codes = np.zeros(n, dtype=np.int32)
        for term, place in zip(rows.random, problem.places, strict=True):
            if place.factor != factor or term is None or term.group not in ask.groups:
                continue
            known = term.codes >= 0
            z[:, place.columns] = np.where(known[:, None], term.Z, 0.0)
            codes = np.where(known, term.codes, 0).astype(np.int32)
        out.append(RowEffects(z / scale, codes))
    return out


def interval_frame(
    mean: NDArray[np.float64],
    variance_of_mean: NDArray[np.float64],
    single: NDArray[np.float64],
    rows: Rows,
    ask: Request,
) -> pd.DataFrame:
    """Columns fit, se if asked for, and lower and upper if an interval is."""
    out = {"fit": mean}
    if ask.se:
        out["se"] = np.sqrt(variance_of_mean)
    if ask.interval is not None:
        total = variance_of_mean + (single if ask.interval == "prediction" else 0.0)
        margin = float(critical(ask.level)) * np.sqrt(total)
        out["lower"], out["upper"] = mean - margin, mean + margin
    return pd.DataFrame(out, index=rows.index)
