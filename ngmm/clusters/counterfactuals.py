"""Rows as they would be predicted in every other group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.clusters.groups import one_group, term_of
from ngmm.clusters.predictor import Predictor
from ngmm.diagnostics.checks import additive
from ngmm.errors import NewDataError
from ngmm.results import MixedModelFit
from ngmm.results.columns import Label, Number, Text
from ngmm.results.formatting import common_decimals
from ngmm.results.rows import unseen_text
from ngmm.results.table import Table, Tabled

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Counterfactuals(Tabled):
    """Predicted means of rows under every level of a grouping factor.

    Attributes
    ----------
    group
        The grouping factor.
    levels
        Its levels.
    index
        Labels of the rows.
    own
        (n,) position of each row's own level; -1 where the fit does not know it.
    population
        (n,) means with the effects of the factor zero.
    means
        (n, levels) means under each level.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> found = ngmm.clusters.counterfactuals(fit, data.iloc[[9, 19]])
    >>> found.means.shape, found.spread.round(1).tolist()
    ((2, 18), [58.4, 58.4])
    >>> found.to_frame().shape, found.to_table().to_frame()["low_in"].tolist()
    ((36, 6), ['309', '309'])
    """

    group: str
    levels: pd.Index
    index: pd.Index
    own: NDArray[np.int32]
    population: NDArray[np.float64]
    means: Matrix

    @property
    def spread(self) -> NDArray[np.float64]:
        """(n,) standard deviation of the means of a row over the levels."""
        return self.means.std(axis=1, ddof=1)

    def to_frame(self) -> pd.DataFrame:
        """A row for each row and level: row, level, own, mean, population, spread.

        Returns
        -------
        DataFrame
            One row for each row and level. ``own`` is true where the level is the
            row's.
        """
        n, k = self.means.shape
        return pd.DataFrame(
            {
                "row": np.repeat(self.index.to_numpy(), k),
                "level": np.tile(self.levels.to_numpy(), n),
                "own": (self.own[:, None] == np.arange(k)).ravel(),
                "mean": self.means.ravel(),
                "population": np.repeat(self.population, k),
                "spread": np.repeat(self.spread, k),
            }
        )

    def to_table(self) -> Table:
        """A line a row: under its own level, without, and the extremes.

        Returns
        -------
        Table
            A row for each row, on the scale of the response.
        """
        at = np.arange(len(self.index))
        known = self.own >= 0
        low, high = self.means.argmin(1), self.means.argmax(1)
        labels = self.levels.to_numpy(dtype=object)
        own = np.where(known, self.means[at, np.maximum(self.own, 0)], np.nan)
        frame = pd.DataFrame(
            {
                "own": [labels[i] if i >= 0 else None for i in self.own],
                "mean": own,
                "population": self.population,
                "lowest": self.means[at, low],
                "low_in": labels[low],
                "highest": self.means[at, high],
                "high_in": labels[high],
                "spread": self.spread,
            },
            index=self.index,
        )
        # Small means of some rows would ask for more decimals than any level needs.
        widest = self.spread.max() or np.abs(self.means).max()
        n = common_decimals([widest])
        columns = (
            Label(header="row"),
            Text("own", self.group),
            Number("mean", "mean", decimals=n),
            Number("population", "population", decimals=n),
            Number("lowest", "lowest", decimals=n),
            Text("low_in", "in"),
            Number("highest", "highest", decimals=n),
            Text("high_in", "in"),
            Number("spread", "spread", decimals=n),
        )
        return Table(frame, self._caption(known), columns, "Counterfactuals")

    def _caption(self, known: NDArray[np.bool_]) -> str:
        text = (
            f"mean under the row's own {self.group}, without its effects, and at the "
            f"lowest and the highest of all {len(self.levels)} levels; spread: sd over "
            "these"
        )
        if not known.all():
            text += f"\na dash where the fit does not know the row's {self.group}"
        return text


def counterfactuals(
    fit: MixedModelFit, rows: Any, group: str | None = None
) -> Counterfactuals:
    """Predicted means of rows under every level of a grouping factor.

    Parameters
    ----------
    fit
        A fit with random effects.
    rows
        A frame with the columns of the formula, the response excepted.
    group
        The grouping factor; None for the only one. Only its random effects change: the
        effects of other factors stay those of the row's levels, and so does what the
        fixed part makes of the row.

    Returns
    -------
    Counterfactuals
        Means on the scale of the response at the conditional modes. Prints as a table
        with a line a row; ``.to_frame()`` has all levels.

    Raises
    ------
    OptionError
        If the model has no such grouping factor.
    NewDataError
        If rows lack a column, have missing values, or levels of another grouping factor
        that the fit does not know.
    NotSupportedError
        If the model has a neural random effect.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> print(ngmm.clusters.counterfactuals(fit, data.iloc[[9, 19]]))
    Counterfactuals  Subject   mean  population  lowest  in   highest  in   spread
      9              308      430.1       345.6   227.8  309    458.0  337    58.4
      19             309      227.8       345.6   227.8  309    458.0  337    58.4
      mean under the row's own Subject, without its effects, and at the lowest and
      the highest of all 18 levels; spread: sd over these
    """
    what = "clusters.counterfactuals"
    name = one_group(fit, group, what)
    analysis = additive(fit, what, "fit.predict() of rows with other levels")
    found = Predictor(fit, analysis)
    new = found.rows(rows, groups=True, levels=True, argument="rows")
    others = [g for g in fit.spec.groups if g != name]
    unseen = {g: counts for g, counts in new.unseen.items() if g != name}
    if unseen:
        raise NewDataError(f"rows: {unseen_text(unseen)} of fit.predict() instead")
    base = found.fixed(new) + found.own(new, others)
    own = next(t for t in new.random if t.group == name).codes
    return Counterfactuals(
        group=name,
        levels=term_of(fit, name).levels,
        index=new.index,
        own=np.asarray(own),
        population=found.mean(base),
        means=found.mean(base[:, None] + found.by_level(new, name)),
    )
