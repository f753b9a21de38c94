"""Influence of rows and of levels on the estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.diagnostics.checks import Additive, additive, check_fit
from ngmm.errors import OptionError, did_you_mean
from ngmm.inference.deletion.leverage import leverage
from ngmm.inference.deletion.one_step import Dropped, drop_levels
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.neural import NeuralAnalysis
from ngmm.results import MixedModelFit
from ngmm.results.columns import Count, Label, Number
from ngmm.results.table import Table, Tabled

# Levels that are printed; the frame has all.
SHOWN = 10


@dataclass(frozen=True, eq=False, repr=False)
class Influence(Tabled):
    """What the levels of a grouping factor do to the estimates.

    Attributes
    ----------
    group
        The factor whose levels are left out.
    table
        Frame with a row for each level: rows, cook, and ``dfbetas(name)`` of each fixed
        effect.
    estimates
        Frame with a row for each level: the fixed effects without it, then theta
        (``theta1``, ...) and sigma or the dispersion.
    leverage
        Of each row of the fit: how much its fitted value follows its own response.
    caption
        How they were made.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> found = ngmm.diagnostics.influence(fit)
    >>> found.to_frame().loc["309", ["rows", "cook"]].round(2).tolist()
    [10.0, 0.16]
    >>> found.to_table().to_frame().index[0], found.leverage.shape
    ('309', (180,))
    """

    group: str
    table: pd.DataFrame
    estimates: pd.DataFrame
    leverage: pd.Series
    caption: str

    def to_frame(self) -> pd.DataFrame:
        """Cook's distances and DFBETAS by level, as a copy.

        Returns
        -------
        DataFrame
            A row for each level: rows, cook and dfbetas of each fixed effect.
        """
        return self.table.copy()

    def to_table(self) -> Table:
        """The most influential levels.

        Returns
        -------
        Table
            A row for each level, the largest Cook's distance first.
        """
        shown = self.table.sort_values("cook", ascending=False, kind="stable")
        left_out = len(shown) - SHOWN
        columns = (
            Label(header=self.group),
            Count("rows", "rows"),
            Number("cook", "cook", decimals=3),
            *(
                Number(str(c), str(c), decimals=2)
                for c in self.table.columns
                if str(c).startswith("dfbetas")
            ),
        )
        more = (
            f"{left_out} levels of less influence not shown; " if left_out > 0 else ""
        )
        return Table(shown.head(SHOWN), more + self.caption, columns, "Influence")


def influence(fit: MixedModelFit, by: str | None = None) -> Influence:
    r"""What leaving out a level would do to the estimates, without fitting again.

    The fixed effects, the variance parameters and the residual standard deviation or
    dispersion move by one Newton step on the likelihood of the rows that stay, from the
    score and the observed information of the marginal likelihood. The error is of
    second order: small where a level moves the estimates by a fraction of their
    standard errors, about a tenth of the change where it moves them by one. With
    beta_(g) the estimate without level g,

    .. math:: D_g = (\hat\beta - \beta_{(g)})' V^{-1} (\hat\beta - \beta_{(g)}) / p,
       \qquad \mathrm{DFBETAS}_{gj} = (\hat\beta_j - \beta_{(g)j}) / se(\beta_{(g)j}).

    Parameters
    ----------
    fit
        A fitted model. Networks are held at their fitted outputs.
    by
        Grouping factor whose levels are left out; None for the one with the fewest
        levels.

    Returns
    -------
    Influence
        Cook's distances, DFBETAS and estimates without each level, and leverages.

    Raises
    ------
    OptionError
        If the model has no such grouping factor, or no fixed effects.
    NotSupportedError
        If a random effect is the input of a network, or crossed factors share too many
        random effects.

    Notes
    -----
    Leverage of a row is the derivative of its fitted value, at the conditional modes,
    in its own response (in the working response of a generalized model), at the
    variance parameters of the fit; networks count by their effective weights.

    References
    ----------
    Cook (1977), Technometrics 19, 15-18; Belsley, Kuh & Welsch (1980), Regression
    Diagnostics, eq. 2.7; Pregibon (1981), Ann. Stat. 9, 705-724; Nieuwenhuis, te
    Grotenhuis & Pelzer (2012), R Journal 4(2), 38-47, for groups.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> found = ngmm.diagnostics.influence(fit).to_frame()
    >>> str(found["cook"].idxmax())
    '309'
    """
    check_fit(fit, "influence")
    analysis = additive(fit, "influence", "fit.update(data=...) without the level")
    if not len(analysis.estimate.beta):
        raise OptionError("influence: the model has no fixed effects")
    term = _factor(fit, by)
    given = analysis.given if isinstance(analysis, NeuralAnalysis) else analysis
    dropped = drop_levels(given, term.codes, term.n_levels)
    sizes = np.bincount(term.codes, minlength=term.n_levels)
    return Influence(
        group=term.group,
        table=_distances(fit, dropped, term.levels, sizes),
        estimates=_estimates(fit, dropped, term.levels),
        leverage=pd.Series(leverage(analysis), fit.design.index, name="leverage"),
        caption=_caption(analysis, dropped, term.levels),
    )


def _factor(fit: MixedModelFit, by: str | None):
    """The term whose levels are left out."""
    terms = fit.design.random
    if by is None:
        return min(terms, key=lambda t: t.n_levels)
    for term in terms:
        if term.group == by:
            return term
    raise OptionError(
        f'by="{by}" is not a grouping factor of the model'
        f"{did_you_mean(by, fit.n_levels) or '.'} "
        f"Grouping factors: {', '.join(fit.n_levels)}"
    )


def _distances(
    fit: MixedModelFit, dropped: Dropped, levels: pd.Index, sizes: NDArray[Any]
) -> pd.DataFrame:
    beta, vcov = fit.fixef.to_numpy(), fit.vcov().to_numpy()
    moved = beta - dropped.beta
    cook = np.einsum("gi,gi->g", moved, np.linalg.solve(vcov, moved.T).T) / len(beta)
    se = np.sqrt(np.einsum("gii->gi", dropped.vcov))
    frame = pd.DataFrame({"rows": sizes, "cook": cook}, index=levels)
    for j, name in enumerate(fit.design.names):
        frame[f"dfbetas({name})"] = moved[:, j] / se[:, j]
    return frame


def _estimates(fit: MixedModelFit, dropped: Dropped, levels: pd.Index) -> pd.DataFrame:
    frame = pd.DataFrame(dropped.beta, index=levels, columns=list(fit.design.names))
    for j in range(dropped.theta.shape[1]):
        frame[f"theta{j + 1}"] = dropped.theta[:, j]
    family = fit.model.family
    name = "sigma" if family.has_residual else family.dispersion
    if name is not None:
        frame[name] = dropped.scale
    return frame


def _caption(analysis: Additive, dropped: Dropped, levels: pd.Index) -> str:
    text = "estimates without a level by one Newton step; cook: Cook's distance"
    if isinstance(analysis, NeuralAnalysis):
        text += "; networks held"
    if dropped.held.any():
        held = [str(level) for level in levels[dropped.held][:5]]
        more = ", ..." if dropped.held.sum() > 5 else ""
        text += (
            "\nvariance parameters held without "
            f"{', '.join(held)}{more}: the information of the other rows has no inverse"
        )
    given = analysis.given if isinstance(analysis, NeuralAnalysis) else analysis
    if not isinstance(given, GaussianAnalysis):
        text += "\nleverage: of the working response"
    return text
