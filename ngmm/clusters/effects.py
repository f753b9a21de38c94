"""The random effects of all levels, with what is not known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.clusters.groups import level_means, one_group, term_of
from ngmm.diagnostics.checks import check_fit
from ngmm.drawing import panels
from ngmm.inference.quantiles import check_level, critical
from ngmm.results import MixedModelFit
from ngmm.results.columns import Column, Count, Interval, Label, Number
from ngmm.results.formatting import percent
from ngmm.results.table import Table, Tabled

Vector = NDArray[np.float64]

# Levels of an effect that are printed; the frame has all.
SHOWN = 30


@dataclass(frozen=True, eq=False, repr=False)
class ClusterEffects(Tabled):
    """Random effects by grouping factor, effect and level.

    Attributes
    ----------
    table
        Frame with columns group, effect, level, estimate, std_error, conf_low,
        conf_high, rows and mean_response; levels in the order of the fit.
    correlations
        Grouping factor -> correlation over levels of the random intercepts with the
        mean responses; without those that have no intercepts, or the same ones.
    level
        Level of the intervals.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> found = ngmm.clusters.effects(fit)
    >>> found.to_frame()["estimate"].round(1).tolist()
    [-16.6, 0.4, 27.0, -21.8, 53.6, -42.5]
    >>> found.to_table().to_frame().shape, round(found.correlations["Batch"], 3)
    ((6, 10), 1.0)
    >>> len(found.plot())
    1
    >>> plt.close("all")
    """

    table: pd.DataFrame
    correlations: Mapping[str, float]
    level: float

    def to_frame(self) -> pd.DataFrame:
        """The random effects, as a copy.

        Returns
        -------
        DataFrame
            A row for each effect of each level, on the scale of the linear predictor.
        """
        return self.table.copy()

    def to_table(self) -> Table:
        """The first levels of each effect.

        Returns
        -------
        Table
            A row for each level shown, with the same columns.
        """
        parts = self.table.groupby(["group", "effect"], sort=False)
        # Factors may have effects of the same name, each of which is to be seen.
        first = parts.cumcount() == 0
        names = self.table["effect"].where(first, "")
        shown = self.table.assign(name=names).loc[parts.cumcount() < SHOWN]
        header = f"{percent(self.level)} CI"
        scale = ("estimate", "std_error")
        columns: tuple[Column, ...] = (
            *([Label("group", "group", once=True)] if self._several else []),
            Label("name", "effect"),
            Label("level", "level"),
            Number("estimate", "estimate", *scale),
            Number("std_error", "se", *scale),
            Interval("conf_low", "conf_high", "estimate", header, "std_error"),
            Count("rows", "rows"),
            Number("mean_response", "mean y"),
        )
        hidden = len(self.table) - len(shown)
        return Table(shown, self._caption(hidden), columns, "Random effects")

    def plot(self, ax: Any = None) -> Any:
        """Draw a panel an effect: its estimates in order, with their intervals.

        Parameters
        ----------
        ax
            Axes to draw on, as many as effects; None for a new figure.

        Returns
        -------
        array of matplotlib.axes.Axes
            One an effect, or what was given.
        """
        parts = [p for _, p in self.table.groupby(["group", "effect"], sort=False)]
        returned, axes = panels(len(parts), ax)
        for axis, part in zip(axes, parts, strict=True):
            _draw(axis, part)
            axis.set_title(str(part["effect"].iloc[0]))
            axis.set_ylabel(str(part["group"].iloc[0]))
        return returned

    @property
    def _several(self) -> bool:
        return len(set(self.table["group"])) > 1

    def _caption(self, hidden: int) -> str:
        what = "conditional modes and standard deviations, parameters given"
        lines = [f"{what}; normal intervals"]
        for group, r in self.correlations.items():
            lines.append(
                f"correlation of the intercepts of {group} with its mean responses "
                f"{r:.2f}"
            )
        if hidden:
            lines.append(f"{hidden:,} more rows in to_frame()")
        return "\n".join(lines)


def effects(
    fit: MixedModelFit, group: str | None = None, level: float = 0.95
) -> ClusterEffects:
    """Random effects of every level of the grouping factors, with intervals.

    Parameters
    ----------
    fit
        A fit with random effects.
    group
        Grouping factor; None for all of them.
    level
        Level of the intervals.

    Returns
    -------
    ClusterEffects
        Prints as a table; ``.plot()`` draws it. Estimates are conditional modes and
        standard errors conditional standard deviations, as of ``fit.ranef``: what is
        not known of the parameters is not allowed for. Of a neural random effect
        posterior means and standard deviations of its latent values. Mean responses
        are those of the rows used, shares of successes where the response counts them.

    Raises
    ------
    OptionError
        If the model has no such grouping factor.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> print(ngmm.clusters.effects(fit))
    Random effects   estimate      se      95% CI       rows   mean y
      Intercept  A     -16.63   19.03   [-53.9, 20.7]      5     1505
                 B       0.37   19.03   [-36.9, 37.7]      5     1528
                 C      26.97   19.03   [-10.3, 64.3]      5     1564
                 D     -21.80   19.03   [-59.1, 15.5]      5     1498
                 E      53.58   19.03   [ 16.3, 90.9]      5     1600
                 F     -42.49   19.03   [-79.8, -5.2]      5     1470
      conditional modes and standard deviations, parameters given; normal intervals
      correlation of the intercepts of Batch with its mean responses 1.00
    """
    check_level(level)
    groups = check_fit(fit, "clusters.effects").spec.groups
    if group is not None:
        groups = (one_group(fit, group, "clusters.effects"),)
    parts, correlations = [], {}
    modes, with_sd = fit.ranef(), fit.ranef(cond_sd=True)
    for name in groups:
        term = term_of(fit, name)
        means = level_means(term.codes, term.n_levels, _responses(fit))
        rows = np.bincount(term.codes, minlength=term.n_levels)
        for effect in modes[name]:
            estimate = modes[name][effect].to_numpy()
            if effect == "Intercept" and _varies(estimate) and _varies(means):
                correlations[name] = float(np.corrcoef(estimate, means)[0, 1])
            se = with_sd[name][f"{effect}_sd"].to_numpy()
            labels = {"group": name, "effect": effect, "level": term.levels}
            numbers = _numbers(estimate, se, level)
            more = {"rows": rows, "mean_response": means}
            parts.append(pd.DataFrame({**labels, **numbers, **more}))
    table = pd.concat(parts, ignore_index=True)
    return ClusterEffects(table, correlations, level)


def _numbers(estimate: Vector, se: Vector, level: float) -> dict[str, Vector]:
    margin = float(critical(level)) * se
    return {
        "estimate": estimate,
        "std_error": se,
        "conf_low": estimate - margin,
        "conf_high": estimate + margin,
    }


def _responses(fit: MixedModelFit) -> Vector:
    """Responses of the rows used, shares where there are trials."""
    design = fit.model.design
    return design.y if design.trials is None else design.y / design.trials


def _varies(values: Vector) -> bool:
    """Whether values differ by more than rounding."""
    return bool(np.ptp(values) > 1e-9 * np.abs(values).max())


def _draw(axis: Any, part: pd.DataFrame) -> None:
    """One effect: levels from the smallest estimate upwards."""
    part = part.sort_values("estimate", kind="stable")
    at = np.arange(len(part))
    margin = part["conf_high"] - part["estimate"]
    axis.axvline(0.0, color="0.7", linewidth=1)
    axis.errorbar(part["estimate"], at, xerr=margin, fmt="o", markersize=3, linewidth=1)
    # Names of more levels than fit on the axis would hide each other.
    if len(part) <= SHOWN:
        axis.set_yticks(at, [str(x) for x in part["level"]], fontsize="small")
    else:
        axis.set_yticks([])
    axis.set_xlabel("effect")
