"""Estimates of one model from many data sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.covariance import pattern
from ngmm.design import Design
from ngmm.errors import (
    NgmmError,
    NotSupportedError,
    OptionError,
    did_you_mean,
)
from ngmm.estimation.status import Status
from ngmm.intervals.clusters import Clusters
from ngmm.intervals.naming import wald

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Advance = Callable[[int], object]

RANK = "the columns of the fixed effects are linearly dependent in the resample"


@dataclass(frozen=True, eq=False)
class Draws:
    """Estimates by draw, and why some are missing.

    Attributes
    ----------
    values
        (n, P) in the order of `conf_int`; rows of NaN where the fit failed.
    reasons
        Why fits failed, and how many.
    """

    values: Matrix
    reasons: Mapping[str, int]


def parametric(fit: MixedModelFit, n: int, seed: int, advance: Advance) -> Draws:
    """Refits to responses simulated from the fit."""
    responses = fit.simulate(n, seed).to_numpy().T
    if fit.is_neural:
        return _one_by_one(fit, (lambda y=y: fit.refit(y) for y in responses), advance)
    found = fit.model.maximise_many(responses, near=fit.estimate, advance=advance)
    values = parameters(
        fit.design,
        found.beta,
        found.theta,
        found.sigma,
        _scale(fit, found.sigma, found.phi),
    )
    values[found.failed] = np.nan
    why = Counter(_sentence(int(s)) for s in found.status[found.failed])
    return Draws(values, why)


def _sentence(status: int) -> str:
    if status == Status.CONVERGED:
        return "the log-likelihood is not finite"
    return Status(status).sentence


def _scale(fit: MixedModelFit, sigma: Vector, phi: Vector) -> Vector | None:
    """(B,) the parameter of the response beside its mean, if there is one."""
    if fit.model.is_gaussian:
        return sigma
    return None if fit.model.family.dispersion is None else phi


def parameters(
    design: Design,
    beta: Matrix,
    theta: Matrix,
    sigma: Vector,
    scale: Vector | None,
) -> Matrix:
    """(B, P) parameters in the order of `conf_int`, from estimates by row."""
    out, start = [beta], 0
    for term in design.random:
        p = pattern([(len(term.names), term.correlated)])
        lam = np.zeros((len(theta), p.k, p.k))
        lam[:, list(p.rows), list(p.cols)] = theta[:, start : start + p.n_theta]
        start += p.n_theta
        cov = lam @ np.swapaxes(lam, 1, 2)
        sd = np.sqrt(np.einsum("bii->bi", cov))
        out.append(sigma[:, None] * sd)
        if term.correlated:
            lower = [(i, j) for i in range(p.k) for j in range(i)]
            with np.errstate(invalid="ignore", divide="ignore"):
                pairs = [cov[:, i, j] / (sd[:, i] * sd[:, j]) for i, j in lower]
            out += [np.clip(c, -1.0, 1.0)[:, None] for c in pairs]
    if scale is not None:
        out.append(scale[:, None])
    return np.hstack(out)


def _one_by_one(
    fit: MixedModelFit, refits: Iterator[Callable[[], MixedModelFit]], advance: Advance
) -> Draws:
    """Whole fits, of models whose networks have to be trained each time."""
    size = len(wald(fit, 0.95))
    rows, why = [], Counter[str]()
    for done, refit in enumerate(refits, start=1):
        row = np.full(size, np.nan)
        try:
            found = refit()
        except NgmmError as error:
            why[str(error).splitlines()[0]] += 1
        else:
            if found.converged:
                row = wald(found, 0.95)["estimate"].to_numpy(dtype=float)
            else:
                why[found.estimate.status.sentence] += 1
        rows.append(row)
        advance(done)
    return Draws(np.array(rows), why)


def resampled(
    fit: MixedModelFit, groups: Clusters, n: int, seed: int, advance: Advance
) -> Draws:
    """Refits to groups drawn with replacement; each draw of one is a new group."""
    rng = np.random.default_rng(seed)
    picks = [rng.integers(0, groups.n, groups.n) for _ in range(n)]
    if fit.is_neural:
        frames = (lambda p=p: _again(fit, groups, p) for p in picks)
        return _one_by_one(fit, frames, advance)
    members = _members(groups)
    sizes = [sum(len(members[g]) for g in pick) for pick in picks]
    # Where rows meet nodes a program is compiled for their number: one for all.
    height = 0 if fit.model.is_gaussian else max(sizes)
    estimates, why = [], Counter[str]()
    for done, pick in enumerate(picks, start=1):
        design = _resample(fit.design, members, pick, height)
        row, reason = _refit(fit, design)
        estimates.append(row)
        if reason:
            why[reason] += 1
        advance(done)
    return Draws(np.array(estimates), why)


def _refit(fit: MixedModelFit, design: Design) -> tuple[Vector, str]:
    """Parameters of the model of a design, or why there are none."""
    failed = np.full(_size(fit), np.nan)
    if np.linalg.matrix_rank(design.X) < design.X.shape[1]:
        return failed, RANK
    model = replace(fit.model, design=design)
    try:
        e = model.maximise(_away_from_zero(fit))
    except NgmmError as error:
        return failed, str(error).splitlines()[0]
    if e.status is not Status.CONVERGED:
        return failed, e.status.sentence
    sigma = np.array([e.sigma])
    phi = np.array([np.nan if e.phi is None else e.phi])
    scale = _scale(fit, sigma, phi)
    found = parameters(design, e.beta[None], e.theta[None], sigma, scale)
    return found[0], ""


def _size(fit: MixedModelFit) -> int:
    terms = fit.design.random
    pairs = sum(len(t.names) * (len(t.names) - 1) // 2 for t in terms if t.correlated)
    scale = fit.model.is_gaussian or fit.model.family.dispersion is not None
    return len(fit.fixef) + sum(len(t.names) for t in terms) + pairs + int(scale)


def _away_from_zero(fit: MixedModelFit) -> Vector:
    """The theta of the fit; zero, where no gradient leads away, is replaced."""
    theta = fit.theta
    return np.where(theta == 0.0, 1e-2, theta)


def _members(groups: Clusters) -> list[NDArray[np.int64]]:
    order = np.argsort(groups.codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(groups.codes))[:-1])


def _resample(
    design: Design,
    members: list[NDArray[np.int64]],
    pick: NDArray[np.int64],
    height: int,
) -> Design:
    """The rows of the groups drawn, and rows without weight up to a height."""
    rows = np.concatenate([members[g] for g in pick])
    draw = np.repeat(np.arange(len(pick)), [len(members[g]) for g in pick])
    spare = max(height - len(rows), 0)
    rows = np.append(rows, np.full(spare, rows[0]))
    draw = np.append(draw, np.zeros(spare, dtype=draw.dtype))
    weights = design.weights[rows].copy()
    if spare:
        weights[-spare:] = 0.0
    random = []
    for term in design.random:
        pairs = draw.astype(np.int64) * term.n_levels + term.codes[rows]
        levels, codes = np.unique(pairs, return_inverse=True)
        random.append(
            replace(
                term,
                Z=term.Z[rows],
                codes=codes.astype(np.int32),
                levels=pd.RangeIndex(len(levels)),
            )
        )
    return replace(
        design,
        y=design.y[rows],
        X=design.X[rows],
        offset=design.offset[rows],
        weights=weights,
        has_weights=design.has_weights or spare > 0,
        trials=None if design.trials is None else design.trials[rows],
        random=tuple(random),
        rows=design.rows[rows],
        index=design.index[rows],
    )


def _again(
    fit: MixedModelFit, groups: Clusters, pick: NDArray[np.int64]
) -> MixedModelFit:
    """The formula fitted to a frame of the groups drawn."""
    data = fit.call.data
    if not isinstance(data, pd.DataFrame):
        raise NotSupportedError(
            "resampling groups of a model with networks needs the data as a pandas "
            "frame"
        )
    members = _members(groups)
    draw = np.repeat(np.arange(len(pick)), [len(members[g]) for g in pick])
    at = fit.design.rows[np.concatenate([members[g] for g in pick])]
    frame = data.iloc[at].reset_index(drop=True)
    for name in fit.n_levels:
        for column in name.split(":"):
            labels = frame[column].astype(str)
            frame[column] = labels + "." + pd.Series(draw).astype(str)
    return fit.call.again(
        fit.terms.text, data=frame, **_rows_of(fit.call.arguments, at, len(data))
    )


def _rows_of(
    arguments: Mapping[str, Any], at: NDArray[np.int64], n: int
) -> dict[str, Any]:
    """Arguments given as one value for each row of the data, for the rows drawn."""
    out = {}
    for name in ("weights", "trials", "offset"):
        value = arguments.get(name)
        if value is not None and not isinstance(value, str) and np.size(value) == n:
            out[name] = np.asarray(value)[at]
    return out


def check_resample(kind: object, cluster: str | None) -> None:
    """Refuse unknown ways to resample.

    Raises
    ------
    OptionError
        If there is no such way, or a cluster is given where none is used.
    """
    kinds = ("parametric", "groups")
    if kind not in kinds:
        raise OptionError(
            f"resample must be 'parametric' or 'groups', got {kind!r}"
            f"{did_you_mean(kind, kinds)}"
        )
    if cluster is not None and kind != "groups":
        raise OptionError(
            'cluster= is for resample="groups"; a parametric bootstrap simulates all '
            "random effects anew"
        )
