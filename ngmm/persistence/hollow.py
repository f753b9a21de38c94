"""A fit without its rows: what tables and predictions for new data need of them.

The rows enter these through what is the same for all rows of a level, or for all rows:
scales, conditional distributions of the random effects, verdicts. This is computed
before the rows are left out, and put back into the places where it would be computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, get_type_hints

import numpy as np

from ngmm.design import Design, LatentDesign, NetworkDesign, RandomDesign
from ngmm.inference.analysis import analyse
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.latent import LatentAnalysis
from ngmm.inference.modes import Posterior
from ngmm.inference.neural import NeuralAnalysis
from ngmm.likelihood.elimination import System
from ngmm.likelihood.latent.data import Cells
from ngmm.likelihood.latent.engine import LatentEngine
from ngmm.likelihood.latent.estimate import LatentEstimate
from ngmm.likelihood.latent.predict import level_nodes
from ngmm.likelihood.problem import GaussianProblem
from ngmm.model import Model
from ngmm.networks import Inputs
from ngmm.persistence.types import conforms
from ngmm.persistence.withheld import Withheld
from ngmm.results import MixedModelFit

__all__ = ["WITHHELD_DATA", "kept", "restore", "without_rows"]

_WHY = "which fit.save(path, data=False) left out"
_REMEDY = (
    "the tables of the fit and predict(newdata) do without; for all else save it with "
    "data=True, or fit again with fit.update(data=...)"
)
WITHHELD_DATA = Withheld("the data", _WHY, _REMEDY)

Kept = Mapping[str, Mapping[str, Any]]


def without_rows(fit: MixedModelFit) -> MixedModelFit:
    """Return a fit with nothing of its rows but their number in each level."""
    model = _hollow_model(fit.model)
    networks, estimate = fit.networks, fit.estimate
    if networks is not None:
        designs = model.design.networks
        networks = replace(networks, designs=designs, X=_out("the rows", networks.X))
    if isinstance(estimate, LatentEstimate):
        estimate = _hollow_latent(estimate, model.design)
    arguments = {
        name: WITHHELD_DATA if _has_rows(name, value) else value
        for name, value in fit.call.arguments.items()
    }
    call = replace(fit.call, data=WITHHELD_DATA, arguments=arguments)
    return replace(fit, model=model, networks=networks, estimate=estimate, call=call)


def kept(fit: MixedModelFit) -> Kept:
    """Return what a fit without rows cannot compute: place -> name -> value."""
    analysis = fit._analysis
    out: dict[str, dict[str, Any]] = {"fit": {}, "analysis": {}}
    out["analysis"]["verdict"] = analysis.verdict
    if fit.df_method == "kenward-roger":
        out["fit"]["_adjusted"] = fit._adjusted
    if fit.is_neural:
        out["fit"]["_network_frame"] = fit._network_frame
    if isinstance(analysis, LatentAnalysis):
        return out
    given = analysis.given if isinstance(analysis, NeuralAnalysis) else analysis
    if isinstance(analysis, NeuralAnalysis):
        random = tuple(map(_hollow_random, given.model.design.random))
        out["random"] = {"random": random}
        out["networks"] = {}
        if analysis.networks.has_covariance:
            own = [_hollow_posterior(p) for p in analysis._posteriors]
            out["analysis"] |= {"_posteriors": own, "_slope": analysis._slope}
            coefficients = analysis.networks._jacobian_coefficients
            out["networks"]["_jacobian_coefficients"] = coefficients
    out["given"] = {"posterior": _hollow_posterior(given.posterior)}
    out["model"] = {}
    if isinstance(given, GaussianAnalysis):
        out["model"]["problem"] = out["given"]["posterior"].problem
    return out


def restore(fit: MixedModelFit, kept: Kept) -> None:
    """Put what was kept where the fit looks for it."""
    analysis = _analysis(fit, kept)
    places: dict[str, Any] = {"fit": fit, "analysis": analysis}
    if not isinstance(analysis, LatentAnalysis):
        given = analysis.given if isinstance(analysis, NeuralAnalysis) else analysis
        places |= {"given": given, "model": given.model, "networks": fit.networks}
    for place, values in kept.items():
        if place != "random":
            _put(places[place], values)
    vars(fit)["_analysis"] = analysis


def _put(place: Any, values: Mapping[str, Any]) -> None:
    """Set properties that are computed once, as they keep their values themselves.

    Raises
    ------
    TypeError
        If there is no such property, or the value is of another type.
    """
    for name, value in values.items():
        found = getattr(type(place), name, None)
        if not isinstance(found, cached_property):
            raise TypeError(f"{type(place).__name__} has no {name} to be kept")
        if not conforms(value, get_type_hints(found.func)["return"]):
            raise TypeError(f"{name} is {type(value).__name__}")
        vars(place)[name] = value


def _analysis(fit: MixedModelFit, kept: Kept) -> Any:
    model, estimate = fit.model, fit.estimate
    if isinstance(estimate, LatentEstimate):
        return LatentAnalysis(model, estimate)
    if fit.networks is None:
        return analyse(model, estimate)
    design = replace(model.design, random=kept["random"]["random"])
    given = analyse(replace(model, design=design), estimate)
    return NeuralAnalysis(given, model, fit.networks)


def _out(what: str, value: Any) -> Any:
    """Return what stands for an array: its shape, and where to find it."""
    if isinstance(value, Withheld):
        return value
    dtype = np.dtype(value.dtype) if isinstance(value.dtype, np.dtype) else None
    kind = "<f8" if dtype is None or dtype.kind not in "biuf" else dtype.str
    return Withheld(what, _WHY, _REMEDY, tuple(value.shape), kind)


def _has_rows(name: str, value: Any) -> bool:
    """Whether an argument of `ngmm.fit` has a value for each row."""
    by_row = name in ("weights", "trials", "offset")
    return by_row and not isinstance(value, (str, int, float, np.number, type(None)))


def _hollow_model(model: Model) -> Model:
    return replace(model, design=_hollow_design(model.design))


def _hollow_design(d: Design) -> Design:
    return replace(
        d,
        y=_out("the response", d.y),
        X=_out("the rows of the fixed effects", d.X),
        offset=_out("the offset", d.offset),
        weights=_out("the weights", d.weights),
        trials=None if d.trials is None else _out("the trials", d.trials),
        rows=_out("the places of the rows", d.rows),
        index=_out("the labels of the rows", d.index),
        random=tuple(map(_hollow_random, d.random)),
        networks=tuple(map(_hollow_network, d.networks)),
        latent=tuple(map(_hollow_latent_design, d.latent)),
    )


def _hollow_random(term: RandomDesign) -> RandomDesign:
    Z = _out("the rows of the random effects", term.Z)
    return replace(term, Z=Z, codes=_sizes_only(term.codes, term.n_levels))


def _hollow_network(term: NetworkDesign) -> NetworkDesign:
    return replace(term, inputs=_hollow_inputs(term.inputs))


def _hollow_latent_design(term: LatentDesign) -> LatentDesign:
    codes = _sizes_only(term.codes, term.n_levels)
    return replace(term, codes=codes, network=_hollow_network(term.network))


def _hollow_inputs(inputs: Inputs) -> Inputs:
    def out(a: Any) -> Any:
        return _out("the inputs of the networks", a)

    return Inputs(
        out(inputs.x), tuple(map(out, inputs.codes)), tuple(map(out, inputs.arrays))
    )


def _sizes_only(codes: Any, n_levels: int) -> Any:
    """Return codes that say how many rows each level has, but not which."""
    sizes = np.bincount(codes, minlength=n_levels)
    return np.repeat(np.arange(n_levels, dtype=codes.dtype), sizes)


def _hollow_posterior(posterior: Posterior) -> Posterior:
    return replace(posterior, problem=_hollow_problem(posterior.problem))


def _hollow_problem(problem: GaussianProblem) -> GaussianProblem:
    """Return a problem with its scales, and of its cross-products those of Z."""
    rows: Callable[[Any], Any] = lambda a: _out("the rows", a)  # noqa: E731
    data, arranged = problem.data, problem.arranged
    groups = tuple(
        replace(g, codes=rows(g.codes), columns=rows(g.columns))
        for g in arranged.groups
    )
    nothing = dict.fromkeys(System._fields, rows(data.tail))
    return replace(
        problem,
        system=System(**{**nothing, "g": np.asarray(problem.system.g)}),
        data=replace(
            data, tail=rows(data.tail), columns=tuple(map(rows, data.columns))
        ),
        arranged=replace(arranged, groups=groups),
    )


def _hollow_latent(estimate: LatentEstimate, design: Design) -> LatentEstimate:
    problem = estimate.engine.problem
    rows, term = problem.rows, design.latent[0]
    hollow = replace(
        rows,
        y=design.y,
        offset=design.offset,
        weights=design.weights,
        trials=_out("the trials", rows.trials),
        X=design.X,
        inputs=term.network.inputs,
        codes=term.codes,
    )
    cells = Cells(*(_out("the rows", a) for a in (problem.cells.first, rows.codes)))
    problem = replace(problem, rows=hollow, cells=cells, X=design.X)
    return replace(
        estimate,
        engine=LatentEngine(problem, estimate.engine.placing),
        nodes=level_nodes(estimate),
    )
