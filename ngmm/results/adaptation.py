"""Random effects of groups that were not in the data, from a few of their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design import Design, DesignSpec, NewDesign
from ngmm.design.columns import read_columns
from ngmm.design.frame import Frame, read_frame
from ngmm.design.response import response_values
from ngmm.design.trials import successes
from ngmm.errors import NewDataError, NotSupportedError, OptionError
from ngmm.estimation.status import Status
from ngmm.formula import Response, columns_of
from ngmm.inference.analysis import Analysis, analyse
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.latent import LatentAnalysis
from ngmm.inference.marginal.mean import marginal_mean
from ngmm.model import Model
from ngmm.results.linear_predictor import Effects, linear_predictor
from ngmm.results.random_effects import mode_frames
from ngmm.results.request import request
from ngmm.results.rows import rows_of
from ngmm.results.table import Table

Vector = NDArray[np.float64]

KINDS = ("response", "link")


@dataclass(frozen=True, eq=False)
class Adapted:
    """A fit, and what it says of groups that it was adapted to.

    Made by `MixedModelFit.adapt`. The parameters are those of the fit; only the random
    effects of the new groups are found from their rows.

    Attributes
    ----------
    group
        The grouping factor.
    levels
        Labels of the new groups.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> seen = data["Subject"] != "308"
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data[seen])
    >>> adapted = fit.adapt(data[~seen].iloc[:4])
    >>> adapted.group, adapted.levels.tolist()
    ('Subject', ['308'])
    >>> adapted.ranef().round(1).loc["308"].tolist()
    [0.4, 2.2]
    >>> adapted.predict(data[~seen].iloc[8:]).round(0).tolist()
    [348.0, 360.0]
    """

    group: str
    levels: pd.Index
    _analysis: Analysis
    _spec: DesignSpec
    _own: GaussianAnalysis | GeneralizedAnalysis

    def ranef(self, *, cond_sd: bool = False) -> pd.DataFrame:
        """Conditional modes of the random effects of the new groups.

        Parameters
        ----------
        cond_sd
            Add columns ``<name>_sd``: conditional standard deviations, given all
            parameters.

        Returns
        -------
        DataFrame
            A row a group and a column an effect.
        """
        return mode_frames(self._own, cond_sd=cond_sd)[self.group]

    def predict(
        self, newdata: Any, *, kind: str = "response", se: bool = False
    ) -> pd.Series | pd.DataFrame:
        """Predictions for rows of the new groups, and of those of the fit.

        Parameters
        ----------
        newdata
            As in `MixedModelFit.predict`.
        kind
            ``"response"`` or ``"link"``.
        se
            Add the standard error of the linear predictor, with ``kind="link"`` only:
            for new groups what is not known of their random effects, all parameters
            given; for those of the fit that of `MixedModelFit.predict`.

        Returns
        -------
        Series or DataFrame
            A value a row, (n,), named ``fit``; with ``se`` a frame of columns fit and
            se.

        Raises
        ------
        NewDataError
            If a row is of a group that is neither in the data of the fit nor among
            those it was adapted to.
        OptionError
            If an argument is not one of those above.
        """
        if kind not in KINDS:
            raise OptionError(f"kind must be 'response' or 'link', got {kind!r}")
        if se and kind != "link":
            raise OptionError('se=True is for kind="link"')
        new = self._spec.apply(newdata)
        place = self._places(new)
        ask = request(
            (self.group,),
            kind=kind,
            re="all",
            new_levels="population",
            se=False,
            interval=None,
            level=0.95,
        )
        rows = rows_of(self._analysis, new)
        terms = [replace(t, codes=place) for t in rows.random if t is not None]
        effects = {
            i: np.where(
                place >= 0, np.einsum("nk,nk->n", t.Z, b[np.maximum(place, 0)]), 0.0
            )
            for i, (t, b) in enumerate(zip(terms, self._own.modes, strict=True))
        }
        eta = linear_predictor(
            self._analysis, rows, ask, Effects(self._analysis.modes, effects)
        )
        if kind == "response":
            link = self._analysis.model.family.transform
            eta = marginal_mean(link, eta, np.zeros_like(eta))
        fit = pd.Series(eta, index=new.index, name="fit")
        if not se:
            return fit
        none = np.zeros((len(eta), 0))
        there = self._own.predictor_variance(none, terms)
        known = self._analysis.predictor_variance(rows.X, rows.random, rows.inputs)
        sd = np.sqrt(np.where(place >= 0, there, known))
        return pd.DataFrame({"fit": fit, "se": sd})

    def _places(self, new: NewDesign) -> NDArray[np.intp]:
        """Position of each row's group among the new ones, -1 for those of the fit."""
        counts = new.unseen.get(self.group)
        if counts is None:
            return np.full(new.n_rows, -1, dtype=np.intp)
        found = self.levels.get_indexer(pd.Index(counts.index, dtype=object))
        if (found < 0).any():
            labels = ", ".join(map(str, counts.index[found < 0][:5]))
            raise NewDataError(
                f'"{self.group}" has levels that are neither in the data of the fit '
                f"nor among those it was adapted to: {labels}"
            )
        at = new.unseen_codes[self.group]
        return np.where(at >= 0, found[np.maximum(at, 0)], -1)

    def __str__(self) -> str:
        """The random effects of the new groups."""
        return f"{self._title}\n{self.ranef(cond_sd=True)}"

    def __repr__(self) -> str:
        """As printed."""
        return str(self)

    def _repr_html_(self) -> str:
        return Table(self.ranef(cond_sd=True), self._title, title=self.group).to_html()

    @property
    def _title(self) -> str:
        rows = int(self._own.model.design.n_rows)
        return f"adapted to {len(self.levels)} of {self.group}, {rows} rows"


def adapt(
    analysis: Analysis, spec: DesignSpec, newdata: Any, arguments: Mapping[str, Any]
) -> Adapted:
    """What `MixedModelFit.adapt` gives."""
    if isinstance(analysis, LatentAnalysis):
        raise NotSupportedError("adapt() is for models without neural random effects")
    groups = spec.groups
    if len(groups) != 1:
        raise NotSupportedError(
            f"adapt() is for models with one grouping factor, not {', '.join(groups)}"
        )
    (group,) = groups
    frame = _labelled(spec, newdata, arguments)
    new = spec.apply({**frame.columns, **frame.arrays})
    _refuse_known(new, group)
    labels = pd.Index(new.unseen[group].index, dtype=object)
    design = _design(analysis, spec, new, frame, arguments, labels)
    own = analyse(*_at_estimate(analysis, design))
    return Adapted(group, labels, analysis, spec, own)


def _at_estimate(analysis: Analysis, design: Design) -> tuple[Model, Any]:
    """The model on the new rows, at the parameters of the fit."""
    estimate = analysis.estimate
    model = replace(analysis.model, design=design, reml=False)
    gaussian = model.is_gaussian
    scale = estimate.sigma if gaussian else estimate.phi
    found = model.at(np.zeros(0), estimate.theta, scale, Status.CONVERGED, 0)
    return model, found


def _labelled(spec: DesignSpec, newdata: Any, arguments: Mapping[str, Any]) -> Frame:
    """The rows whose response is known.

    Raises
    ------
    NewDataError
        If there are none.
    OptionError
        If weights or trials were arrays, which new rows cannot have.
    """
    for role in ("weights", "trials"):
        value = arguments.get(role)
        if value is not None and not isinstance(value, str) and np.ndim(value):
            raise OptionError(
                f"the model was fitted with {role}= given as an array, so its values "
                f"for new rows are not known; fit it with {role}= a column name"
            )
    extra = [v for k in ("weights", "trials") if isinstance(v := arguments.get(k), str)]
    if spec.offset_column is not None:
        extra.append(spec.offset_column)
    arrays = [name for network in spec.networks for name in network.array_names]
    frame = read_frame(
        newdata,
        [*spec.formula.variables, *extra],
        arrays=arrays,
        argument="newdata",
        error=NewDataError,
    )
    response = [n for part in spec.formula.response.parts for n in columns_of(part)]
    known = np.ones(frame.n_rows, dtype=bool)
    for name in response:
        known &= frame.columns[name].notna().to_numpy()
    if not known.any():
        raise NewDataError(
            f"adapt() learns from rows with a response, and {spec.formula.response} is "
            f"{'missing in all rows' if frame.n_rows else 'there in no row'} of newdata"
        )
    return frame if known.all() else frame.take(np.flatnonzero(known))


def _refuse_known(new: NewDesign, group: str) -> None:
    term = next(iter(new.random))
    known = np.unique(term.codes[term.codes >= 0])
    if len(known):
        labels = ", ".join(str(term.levels[i]) for i in known[:5])
        more = ", ..." if len(known) > 5 else ""
        raise NewDataError(
            f'newdata has rows of "{group}" {labels}{more}, which the model knows: '
            "predict() has their random effects. Leave these rows out, or fit again "
            "with them"
        )


def _design(
    analysis: Analysis,
    spec: DesignSpec,
    new: NewDesign,
    frame: Frame,
    arguments: Mapping[str, Any],
    levels: pd.Index,
) -> Design:
    """The new rows as a design whose fixed part is known."""
    whole = analysis.design
    rows = rows_of(analysis, new)
    known = rows.offset + rows.X @ analysis.estimate.beta + rows.networks.sum(1)
    y, trials = _response(spec.formula.response, whole, frame, arguments)
    weights = arguments.get("weights")
    w = np.ones(new.n_rows)
    if isinstance(weights, str):
        w = frame.columns[weights].to_numpy(dtype=np.float64)
        if not (np.isfinite(w) & (w > 0.0)).all():
            raise NewDataError(
                f'weights "{weights}" of newdata must be positive numbers in all rows '
                "that have a response"
            )
    analysis.model.family.check(y, trials, whole.response_name, new.index)
    (group,) = spec.groups
    codes = new.unseen_codes[group].astype(np.int32)
    random = tuple(
        replace(t, codes=codes, levels=levels) for t in rows.random if t is not None
    )
    return replace(
        whole,
        y=y,
        X=np.zeros((new.n_rows, 0)),
        names=(),
        column_terms=(),
        offset=known,
        weights=w,
        trials=trials,
        random=random,
        rows=np.arange(new.n_rows),
        index=new.index,
        networks=(),
    )


def _response(
    formula: Response, whole: Design, frame: Frame, arguments: Mapping[str, Any]
) -> tuple[Vector, Vector | None]:
    """Response and numbers of trials of the new rows."""
    names = [name for part in formula.parts for name in columns_of(part)]
    if whole.response_levels is not None:
        labels = frame.columns[names[0]].astype(str).to_numpy()
        wrong = sorted(set(labels) - set(whole.response_levels))
        if wrong:
            raise NewDataError(
                f"response {formula} has the label {wrong[0]!r}; the model knows "
                f"{' and '.join(map(repr, whole.response_levels))}"
            )
        return (labels == whole.response_levels[1]).astype(np.float64), None
    found = response_values(formula, read_columns(frame, names), frame.index)
    trials = arguments.get("trials")
    if found.trials is not None or trials is None:
        return found.y, found.trials
    if isinstance(trials, str):
        counts = frame.columns[trials].to_numpy(dtype=np.float64)
    else:
        counts = np.full(len(found.y), float(trials))
    return successes(found.y, counts, whole.response_name, frame.index), counts
