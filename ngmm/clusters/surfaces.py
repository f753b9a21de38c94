"""Means over a grid of two inputs as a record: frame, table and panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.drawing import panels
from ngmm.effects.estimates import value_text
from ngmm.results.columns import Label, Percent
from ngmm.results.table import Table, Tabled

Vector = NDArray[np.float64]

POPULATION = "population"


@dataclass(frozen=True, eq=False, repr=False)
class Boundaries(Tabled):
    """Predicted means over a grid of two inputs, for the population and for levels.

    Attributes
    ----------
    names
        The two inputs.
    x1, x2
        (n,) their values.
    group
        The grouping factor.
    levels
        Labels of the levels.
    population
        (n, n) means with random effects zero; x1 varies along the first axis.
    means
        (levels, n, n) means under each level.
    held
        Other inputs -> their values.
    threshold
        Where the boundary is.
    rows
        Frame of the rows of the fit: x1, x2, y and level.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy").assign(x=lambda d: d["Days"] % 3)
    >>> fit = ngmm.fit("Reaction ~ Days + x + (Days | Subject)", data)
    >>> found = ngmm.clusters.boundaries(fit, "Days", "x", levels=["308"], n=5)
    >>> found.means.shape, found.to_frame().shape
    ((1, 5, 5), (50, 4))
    >>> found.to_table().to_frame().columns.tolist()
    ['level', 'above', 'other_side']
    >>> axes = found.plot()
    >>> len(axes)
    2
    >>> plt.close("all")
    """

    names: tuple[str, str]
    x1: Vector
    x2: Vector
    group: str
    levels: pd.Index
    population: NDArray[np.float64]
    means: NDArray[np.float64]
    held: Mapping[str, Any]
    threshold: float
    rows: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """A row each point of each panel: level, the two inputs, mean.

        Returns
        -------
        DataFrame
            One row for each point. The level of the population is missing.
        """
        first, second = np.meshgrid(self.x1, self.x2, indexing="ij")
        n, k = first.size, 1 + len(self.levels)
        means = np.concatenate([self.population[None], self.means])
        return pd.DataFrame(
            {
                self.group: np.repeat(np.array([None, *self.levels], dtype=object), n),
                self.names[0]: np.tile(first.ravel(), k),
                self.names[1]: np.tile(second.ravel(), k),
                "mean": means.ravel(),
            }
        )

    def to_table(self) -> Table:
        """How much of the grid is above the threshold, and how much moves across it.

        Returns
        -------
        Table
            A row for the population and one for each level. Columns level, above,
            other_side: shares of the grid.
        """
        base = self.population > self.threshold
        above = [base, *(self.means > self.threshold)]
        frame = pd.DataFrame(
            {
                "level": [POPULATION, *map(str, self.levels)],
                "above": [a.mean() for a in above],
                "other_side": [np.nan, *((a != base).mean() for a in above[1:])],
            }
        )
        columns = (
            Label("level", self.group),
            Percent("above", f"above {self.threshold:g}"),
            Percent("other_side", "other side"),
        )
        caption = (
            f"shares of a grid of {self.names[0]} and {self.names[1]}; other side: of "
            "the threshold than the population"
        )
        if self.held:
            at = ", ".join(f"{k} = {value_text(v)}" for k, v in self.held.items())
            caption += f"\nat {at}"
        return Table(frame, caption, columns, "Boundaries")

    def plot(self, ax: Any = None, *, rows: bool = False) -> Any:
        """Draw the means, and the boundary as a line, a panel each.

        Parameters
        ----------
        ax
            Axes to draw on, one for the population and one a level; None for a new
            figure.
        rows
            Whether to show the rows of the level, filled where the response is above
            the threshold; in the panel of the population all rows.

        Returns
        -------
        array of matplotlib.axes.Axes
            The population first, or what was given.
        """
        returned, axes = panels(1 + len(self.levels), ax, sharex=True, sharey=True)
        every = np.concatenate([self.population[None], self.means])
        # White is at the threshold, and the same colour the same mean in all panels.
        reach = float(np.abs(every - self.threshold).max())
        titles = [POPULATION, *(f"{self.group} {level}" for level in self.levels)]
        levels = [None, *self.levels]
        for axis, mean, title, level in zip(axes, every, titles, levels, strict=True):
            self._draw(axis, mean, reach)
            if rows:
                self._scatter(axis, level)
            axis.set_title(title)
            axis.set_xlabel(self.names[0])
            axis.set_ylabel(self.names[1])
        return returned

    def _draw(self, axis: Any, mean: NDArray[np.float64], reach: float) -> None:
        """One panel: colours from `reach` below the threshold to as much above."""
        ends = {"vmin": self.threshold - reach, "vmax": self.threshold + reach}
        axis.pcolormesh(self.x1, self.x2, mean.T, cmap="RdBu_r", alpha=0.6, **ends)
        # matplotlib warns of a line that is nowhere.
        if mean.min() < self.threshold < mean.max():
            axis.contour(self.x1, self.x2, mean.T, levels=[self.threshold], colors="k")

    def _scatter(self, axis: Any, level: Any) -> None:
        part = self.rows
        if level is not None:
            part = part[part["level"] == level]
        above = part["y"] > self.threshold
        for chosen, fill in ((above, "k"), (~above, "none")):
            axis.scatter(
                part["x1"][chosen],
                part["x2"][chosen],
                s=8,
                facecolors=fill,
                edgecolors="k",
                linewidths=0.5,
            )
