"""What a fit with a neural random effect gives: loadings, levels, rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import DesignSpec
from ngmm.design.network_inputs import ArrayInput, FactorInput, NumericInput
from ngmm.errors import NewDataError, NotSupportedError
from ngmm.estimation.status import Status
from ngmm.inference.latent import LatentAnalysis, no_variance
from ngmm.inference.marginal.mean import link_mean
from ngmm.inference.quantiles import critical
from ngmm.likelihood.latent import predict as posterior
from ngmm.likelihood.latent.estimate import LatentEstimate
from ngmm.networks import Inputs
from ngmm.networks.latent import LatentMLP
from ngmm.results.columns import Column, Interval, Label, Number
from ngmm.results.formatting import percent
from ngmm.results.request import Request
from ngmm.results.rows import unseen_text
from ngmm.results.table import Table

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def latent_names(analysis: LatentAnalysis) -> tuple[str, ...]:
    """Names of the latent dimensions: ``v``, or ``v1``, ``v2``."""
    d = analysis.design.latent[0].n_latent
    return ("v",) if d == 1 else tuple(f"v{i + 1}" for i in range(d))


def latent_mode_frames(
    analysis: LatentAnalysis, *, cond_sd: bool
) -> dict[str, pd.DataFrame]:
    """Group -> posterior means of v, and their standard deviations if asked for."""
    term, e = analysis.design.latent[0], analysis.estimate
    names = latent_names(analysis)
    columns = dict(zip(names, e.means.T, strict=True))
    if cond_sd:
        columns.update(zip([f"{n}_sd" for n in names], e.sds.T, strict=True))
    return {term.group: pd.DataFrame(columns, index=term.levels)}


def latent_variance_rows(analysis: LatentAnalysis) -> list[dict[str, Any]]:
    """Rows of the table of variances: those of v are one by definition."""
    group = analysis.design.latent[0].group
    unknown = dict.fromkeys(("corr", "conf_low", "conf_high"), np.nan)
    return [
        {
            "group": group,
            "name": name,
            "name2": None,
            "variance": 1.0,
            "sd": 1.0,
            **unknown,
            "fixed": True,
        }
        for name in latent_names(analysis)
    ]


def latent_network_frame(analysis: LatentAnalysis) -> pd.DataFrame:
    """The row of the neural random effect in `MixedModelFit.nn_table`."""
    e, term = analysis.estimate, analysis.design.latent[0]
    network = e.engine.problem.network
    moments = posterior.prior_moments(e)
    penalised = e.penalty > 0
    held = e.penalty[penalised]
    row = {
        "layout": network.layout(term.network.inputs),  # type: ignore[attr-defined]
        "weights": len(e.penalty),
        "edf": e.edf,
        "penalty": float(np.exp(np.log(held).mean())) if len(held) else 0.0,
        "sd": moments.sd,
        "linear": moments.linear,
        "spread": np.nan,
    }
    return pd.DataFrame([row], index=pd.Index([term.label], dtype=object))


def latent_method_text(estimate: LatentEstimate) -> str:
    """How the maximum was searched for, and how the search ended."""
    if estimate.evidence is None:
        if estimate.status is Status.CONVERGED:
            return f"converged in {estimate.n_steps} Newton steps"
        return estimate.status.sentence
    starts = len(estimate.spread)
    text = "network penalised by evidence, "
    text += f"best of {starts} starts" if starts > 1 else "1 start"
    if estimate.status is Status.CONVERGED:
        return text
    return f"{text}; {estimate.status.sentence}"


# Loadings ----------------------------------------------------------------------------


def loading_table(analysis: LatentAnalysis, spec: DesignSpec, level: float) -> Table:
    """What `MixedModelFit.loadings` gives."""
    term, e = analysis.design.latent[0], analysis.estimate
    names, inputs, combine = _typical_rows(
        spec.latent[0].network.inputs, e.engine.problem.network, term.label
    )
    slope, se = posterior.loadings(e, inputs, combine)
    margin = float(critical(level)) * se
    d = slope.shape[1]
    frame = pd.DataFrame(
        {
            **({"v": np.tile(latent_names(analysis), len(names))} if d > 1 else {}),
            "loading": slope.reshape(-1),
            "std_error": se.reshape(-1),
            "conf_low": (slope - margin).reshape(-1),
            "conf_high": (slope + margin).reshape(-1),
        },
        index=pd.Index(np.repeat(np.asarray(names, dtype=object), d)),
    )
    scale = ("loading", "std_error")
    columns: list[Column] = [
        Label(once=True),
        *([Label("v")] if d > 1 else []),
        Number("loading", "loading", *scale),
        Number("std_error", "se", *scale),
        Interval(
            "conf_low", "conf_high", "loading", f"{percent(level)} CI", "std_error"
        ),
    ]
    caption = f"slope of the linear predictor in v of {term.group}"
    if e.evidence is not None:
        caption += " at v = 0; the network is not linear in v"
    if d > 1:
        caption += "; axes in order of the variation along them"
    return Table(frame, caption, tuple(columns), "Loadings")


def _typical_rows(
    specs: Sequence[Any], network: Any, label: str
) -> tuple[list[str], Inputs, Matrix]:
    """Names of loadings, rows of inputs, and the loadings as combinations of these."""
    arrays = [s for s in specs if isinstance(s, ArrayInput)]
    if arrays:
        raise NotSupportedError(
            f"{label} has no loadings: a typical value of the array "
            f"'{arrays[0].name}' is not known. Look at fit.predict() of rows of "
            "your own"
        )
    rows = _RowMaker(specs)
    if isinstance(network, LatentMLP) and network.shared:
        return ["shared"], rows.joined([rows.typical()]), np.eye(1)
    names: list[str] = []
    made: list[Inputs] = []
    parts: list[dict[int, float]] = []
    factors = [i for i, s in enumerate(specs) if isinstance(s, FactorInput)]
    if not factors:
        names.append("(average)")
        made.append(rows.typical())
        parts.append({0: 1.0})
    for i, s in enumerate(specs):
        if isinstance(s, FactorInput):
            for k in range(len(s.levels)):
                names.append(rows.level_name(i, k))
                parts.append({len(made): 1.0})
                made.append(rows.typical(i, k))
        elif isinstance(s, NumericInput):
            names.append(s.names[0])
            parts.append({len(made): 1.0 / s.sd, len(made) + 1: -1.0 / s.sd})
            made += [rows.typical(i, 0.5), rows.typical(i, -0.5)]
    combine = np.zeros((len(names), len(made)))
    for r, part in enumerate(parts):
        combine[r, list(part)] = list(part.values())
    return names, rows.joined(made), combine


class _RowMaker:
    """Rows with numbers at their means and factors at their first levels."""

    def __init__(self, specs: Sequence[Any]) -> None:
        self._specs = specs
        self._place: list[int] = []
        n_x = n_codes = 0
        for s in specs:
            code = isinstance(s, FactorInput) and s.is_code
            self._place.append(n_codes if code else n_x)
            n_codes += code
            n_x += 0 if code else len(s.names)
        self._sizes = n_x, n_codes

    def typical(self, which: int | None = None, value: float = 0.0) -> Inputs:
        """One row, in which an input has another level or (standardised) value."""
        x = np.zeros((1, self._sizes[0]))
        codes = np.zeros((self._sizes[1], 1), dtype=np.int32)
        for i, s in enumerate(self._specs):
            at, v = self._place[i], value if i == which else 0
            if isinstance(s, FactorInput) and s.is_code:
                codes[at] = int(v)
            elif isinstance(s, FactorInput):
                x[0, at + int(v)] = 1.0
            else:
                x[0, at] = v
        return Inputs(x, tuple(codes))

    def level_name(self, which: int, level: int) -> str:
        """``item[a]``."""
        s = self._specs[which]
        return f"{s.text}[{s.levels[level]}]"

    def joined(self, rows: list[Inputs]) -> Inputs:
        """Several rows as one set of inputs."""
        return jax.tree.map(lambda *parts: np.concatenate(parts), *rows)


# Rows --------------------------------------------------------------------------------


def predict_latent(
    analysis: LatentAnalysis, spec: DesignSpec, newdata: Any, ask: Request, seed: int
) -> pd.Series | pd.DataFrame:
    """What `MixedModelFit.predict` gives for a neural random effect."""
    term = analysis.design.latent[0]
    if ask.se or ask.interval is not None:
        raise NotSupportedError(no_variance(term.label))
    if ask.new_levels == "similar":
        raise NotSupportedError(
            f'new_levels="similar" is not for {term.label}; use "population" or '
            '"marginal"'
        )
    if newdata is None:
        rows = _training(analysis, ask)
    else:
        rows = _new(analysis, spec, newdata, ask)
    base = rows.X @ analysis.estimate.beta + rows.offset
    if ask.kind == "terms":
        return _terms(analysis, rows, ask, seed)
    values = _values(analysis, rows, base, ask, seed)
    return pd.Series(values, index=rows.index, name="fit")


def _values(
    analysis: LatentAnalysis, rows: _LatentRows, base: Vector, ask: Request, seed: int
) -> Vector:
    """Means, or linear predictors, averaged over what is not known of v."""
    e, link = analysis.estimate, analysis.model.family.transform

    def at(eta: Vector) -> Vector:
        return eta if ask.kind == "link" else link_mean(link, eta)

    term = analysis.design.latent[0]
    if rows.inputs is None or not (ask.integrate or term.group in ask.groups):
        return at(base)
    kind = "link" if ask.kind == "link" else "response"
    out = posterior.predict(e, base, rows.inputs, rows.codes, kind=kind)
    unseen = np.flatnonzero(rows.codes < 0)
    if ask.integrate or not len(unseen) or ask.new_levels == "marginal":
        return out
    eta = base[unseen]
    if ask.new_levels == "sample":
        eta = eta + _sampled(analysis, rows, unseen, seed)
    out[unseen] = at(eta)
    return out


def _sampled(
    analysis: LatentAnalysis, rows: _LatentRows, unseen: NDArray[np.intp], seed: int
) -> Vector:
    """H of rows of new levels, one v drawn for each of these."""
    e, d = analysis.estimate, analysis.design.latent[0].n_latent
    labels = rows.unseen[unseen]
    generator = np.random.default_rng(seed)
    v = generator.standard_normal((int(labels.max()) + 1, d))[labels]
    inputs = jax.tree.map(lambda a: np.asarray(a)[unseen], rows.inputs)
    return posterior.effects(e, inputs, v)


def _terms(
    analysis: LatentAnalysis, rows: _LatentRows, ask: Request, seed: int
) -> pd.DataFrame:
    """Contribution of every term; the columns sum to the linear predictor."""
    out: dict[str, Vector] = {}
    names = analysis.design.column_terms
    for name, column, b in zip(names, rows.X.T, analysis.estimate.beta, strict=True):
        out[name] = out.get(name, 0.0) + column * b
    term = analysis.design.latent[0]
    if term.group in ask.groups:
        zero = np.zeros(len(rows.X))
        on_link = replace(ask, kind="link")
        out[term.label] = _values(analysis, rows, zero, on_link, seed)
    if rows.offset.any():
        out["(offset)" if "offset" in out else "offset"] = rows.offset
    return pd.DataFrame(out, index=rows.index)


@dataclass(frozen=True, eq=False)
class _LatentRows:
    """Rows to predict.

    Attributes
    ----------
    X, offset, index
        Fixed-effect columns, known part and labels.
    inputs
        What the network reads; None if v does not enter.
    codes
        Level of each row, -1 if it was not in the data or v is integrated out.
    unseen
        Position of the row's label among those that were not in the data.
    """

    X: Matrix
    offset: Vector
    index: pd.Index
    inputs: Inputs | None
    codes: NDArray[np.int32]
    unseen: NDArray[np.intp]


def _training(analysis: LatentAnalysis, ask: Request) -> _LatentRows:
    d, term = analysis.design, analysis.design.latent[0]
    none = np.full(d.n_rows, -1)
    codes = none.astype(np.int32) if ask.integrate else np.asarray(term.codes)
    return _LatentRows(d.X, d.offset, d.index, term.network.inputs, codes, none)


def _new(
    analysis: LatentAnalysis, spec: DesignSpec, newdata: Any, ask: Request
) -> _LatentRows:
    """Rows of new data; unseen levels raise unless the request says what to do."""
    wanted = ask.integrate or bool(ask.groups)
    new = spec.apply(newdata, random=wanted, levels=not ask.integrate)
    if new.unseen and ask.new_levels == "error":
        raise NewDataError(unseen_text(new.unseen, "averaged over"))
    none = np.full(new.n_rows, -1)
    group = analysis.design.latent[0].group
    unseen = np.asarray(new.unseen_codes.get(group, none))
    inputs = new.latent[0].inputs if wanted else None
    codes = new.latent[0].codes if wanted else none.astype(np.int32)
    return _LatentRows(new.X, new.offset, new.index, inputs, codes, unseen)
