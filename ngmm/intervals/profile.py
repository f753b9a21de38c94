"""Profile-likelihood intervals."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ngmm.errors import ConvergenceWarning, NotSupportedError, warn
from ngmm.inference.analysis import analyse
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.profile.gaussian_space import GaussianSpace
from ngmm.inference.profile.generalized_space import GeneralizedSpace
from ngmm.inference.profile.search import (
    BOUNDARY,
    FLAT_NOTE,
    HIGHER,
    JUMP,
    LOST,
    Side,
    search,
)
from ngmm.inference.profile.space import Target
from ngmm.inference.quantiles import check_level, critical
from ngmm.intervals.naming import chosen, wald
from ngmm.intervals.tables import interval_table
from ngmm.progress import ProgressLine, check_progress
from ngmm.results.table import Table, Tabled

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

UNDEFINED = "not defined: a standard deviation is estimated at zero"
NOTES = {
    BOUNDARY: "{side} limit at the boundary",
    FLAT_NOTE: "no {side} limit: the likelihood does not fall that far",
    LOST: "no {side} limit: a constrained maximum was not found",
    JUMP: "the profile jumps at the {side} limit",
}


@dataclass(frozen=True, eq=False, repr=False)
class Profile(Tabled):
    """Profile-likelihood limits, and the curves they were read from.

    Attributes
    ----------
    level
        Confidence level of the limits.
    limits
        Index: the parameters. Columns estimate, conf_low, conf_high, note.
    curve
        Columns parameter, value, zeta: the signed root of twice the fall of the
        log-likelihood; a straight line where Wald intervals are right.
    caption
        Which likelihood.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> found = ngmm.intervals.profile(fit, parameters="sigma")
    >>> found.conf_int().to_frame().round(2).loc["sigma", "conf_low"].item()
    38.23
    >>> found.to_frame().columns.tolist()
    ['parameter', 'value', 'zeta']
    >>> str(found.to_table()) == str(found.conf_int())
    True
    """

    level: float
    limits: pd.DataFrame
    curve: pd.DataFrame
    caption: str

    def conf_int(self) -> Table:
        """The limits as a table.

        Returns
        -------
        Table
            A row for each parameter.
        """
        return interval_table(self.limits, self.level, self.caption)

    def to_frame(self) -> pd.DataFrame:
        """The curves: columns parameter, value, zeta.

        Returns
        -------
        DataFrame
            A row for each point of a curve, as a copy.
        """
        return self.curve.copy()

    def to_table(self) -> Table:
        """The limits, as from `conf_int`.

        Returns
        -------
        Table
            A row for each parameter.
        """
        return self.conf_int()


def profile(
    fit: MixedModelFit,
    level: float = 0.95,
    parameters: str | Collection[str] | None = None,
    *,
    progress: bool | str = "auto",
) -> Profile:
    r"""Profile-likelihood limits of fixed effects and variance parameters.

    The limits of a parameter are where the log-likelihood, all other parameters at
    their best, has fallen by half a chi-squared quantile:

    .. math:: 2 (\hat\ell - \max_{\text{others}} \ell) = \chi^2_{1, level}.

    A limit that would lie beyond a boundary is the boundary (a standard deviation of
    0, a correlation of -1 or 1), and the note says so.

    Parameters
    ----------
    fit
        A fitted model without networks. After REML the likelihood that is profiled is
        the unrestricted one, as in lme4.
    level
        Confidence level.
    parameters
        Names as in `MixedModelFit.conf_int`, one or several; None for all.
    progress
        As in `ngmm.fit`.

    Returns
    -------
    Profile
        The limits, one row a parameter, and the curves they were read from.

    Raises
    ------
    OptionError
        If level is not between 0 and 1, or a name is unknown.
    NotSupportedError
        If the model has networks.

    Warns
    -----
    ConvergenceWarning
        If a point of a profile has a higher likelihood than the fit.

    References
    ----------
    Bates, Maechler, Bolker & Walker (2015), J. Stat. Softw. 67(1), sec. 5.1; Venzon &
    Moolgavkar (1988), Appl. Stat. 37, 87-94.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> found = ngmm.intervals.profile(fit, parameters="sd(Intercept | Batch)")
    >>> found.limits[["conf_low", "conf_high"]].round(3).iloc[0].tolist()
    [12.197, 84.063]
    """
    target = float(critical(check_level(level)))
    check_progress(progress)
    _refuse(fit)
    table = wald(fit, level)
    at = chosen(table.index, parameters)
    space = _space(fit)
    records, curves, deepest = [], [], space.missed
    with ProgressLine(progress, "profile") as line:
        for i, found in enumerate(space.targets()):
            if i not in at:
                continue
            name, estimate = table.index[i], float(table["estimate"].iloc[i])
            line.update(len(records), len(at), str(name))
            if found.coordinate is None:
                records.append((name, estimate, np.nan, np.nan, UNDEFINED))
                continue
            low, high = (
                search(found.coordinate, space.least, target, sign)
                for sign in (-1.0, 1.0)
            )
            deepest = max(deepest, low.deepest, high.deepest)
            ends = _limits(found, low, high)
            records.append((name, estimate, *ends, _note(low, high)))
            curves.append(_curve(name, found, low, high))
    if deepest > HIGHER:
        _warn(deepest)
    columns = ["parameter", "estimate", "conf_low", "conf_high", "note"]
    limits = pd.DataFrame(records, columns=pd.Index(columns)).set_index("parameter")
    limits.index.name = None
    curve = pd.concat(curves, ignore_index=True) if curves else _no_curve()
    return Profile(float(level), limits, curve, _caption(fit))


def _refuse(fit: MixedModelFit) -> None:
    if fit.is_neural:
        raise NotSupportedError(
            "a profile refits the model at every point, and the networks with it: "
            'not offered. Use conf_int(method="bootstrap") for all parameters, or '
            'method="wald", whose intervals of the fixed effects allow for the networks'
        )


def _space(fit: MixedModelFit) -> GaussianSpace | GeneralizedSpace:
    model, estimate = fit.model, fit.estimate
    if model.reml:
        model = replace(model, reml=False)
        estimate = model.maximise(fit.theta)
    analysis = analyse(model, estimate)
    if isinstance(analysis, GaussianAnalysis):
        return GaussianSpace(analysis)
    return GeneralizedSpace(analysis)


def _limits(found: Target, low: Side, high: Side) -> tuple[float, float]:
    values = [
        found.to_user(s.limit) if np.isfinite(s.limit) else np.nan for s in (low, high)
    ]
    return values[0], values[1]


def _note(low: Side, high: Side) -> str:
    if low.note == high.note == BOUNDARY:
        return "both limits at the boundary"
    texts = [
        NOTES[side.note].format(side=word)
        for side, word in ((low, "lower"), (high, "upper"))
        if side.note
    ]
    return "; ".join(texts)


def _curve(name: str, found: Target, low: Side, high: Side) -> pd.DataFrame:
    below = [(found.to_user(p.value), -p.zeta) for p in low.points]
    above = [(found.to_user(p.value), p.zeta) for p in high.points[1:]]
    frame = pd.DataFrame(below + above, columns=pd.Index(["value", "zeta"]))
    frame = frame.sort_values("value", ignore_index=True)
    frame.insert(0, "parameter", name)
    return frame


def _no_curve() -> pd.DataFrame:
    return pd.DataFrame({"parameter": [], "value": [], "zeta": []})


def _warn(deepest: float) -> None:
    warn(
        f"the profile met a log-likelihood {0.5 * deepest:.3g} above that of the fit, "
        "whose estimates are therefore not the maximum; the limits refer to the fit. "
        "Look at fit.check(), and fit again from other starting values",
        ConvergenceWarning,
    )


def _caption(fit: MixedModelFit) -> str:
    if not fit.reml:
        return "profile likelihood"
    return (
        "profile of the ML likelihood; the estimates are REML, and need not be where "
        "it is highest"
    )
