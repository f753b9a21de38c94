r"""Which inputs the population part of a model depends on, and whether on probes.

With :math:`\eta_F` the linear predictor where all random effects are zero, and s the
standard deviation of an input over the rows, the importance of input j is

.. math:: I_j = s_j \, \frac1n \sum_i |\partial \eta_F(x_i) / \partial x_{ij}|,

and its share is I_j over the sum of all. A probe, a column that is of no use but to
tell the groups apart, should have a smaller share than any true input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.clusters.groups import one_group, term_of
from ngmm.clusters.paired import Pairs
from ngmm.clusters.predictor import Predictor
from ngmm.clusters.slopes import numeric_inputs, row_slopes
from ngmm.design.frame import read_frame
from ngmm.diagnostics.checks import check_fit
from ngmm.effects.population import SCALES, one_of
from ngmm.effects.variables import as_names
from ngmm.errors import NewDataError, OptionError, did_you_mean
from ngmm.results import MixedModelFit, Table
from ngmm.results.columns import Column, Label, Number, Percent, PValue

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

WHAT = "clusters.importance"


def importance(
    fits: MixedModelFit | Sequence[MixedModelFit],
    probes: str | Sequence[str] = (),
    newdata: Any = None,
    *,
    group: str | None = None,
    scale: str = "link",
) -> Table:
    """Importance of the inputs of the population part, and tests that probes have less.

    Linear terms count as networks do; factors and arrays have no slope and are left
    out.

    Parameters
    ----------
    fits
        A fit; or the fits of one formula to parts of the data, such as the folds of a
        cross-validation.
    probes
        Inputs that are known to be worth nothing in a new group, see `with_probes`.
    newdata
        Rows over which to average; None for those of each fit.
    group
        With one fit, the grouping factor whose levels are the pairs of the tests; None
        for the only one.
    scale
        ``"link"`` for slopes of the linear predictor; ``"response"`` for slopes of the
        mean, which are small where probabilities are close to 0 or 1.

    Returns
    -------
    Table
        A row an input, true inputs first and the most important ones first of each.
        Columns: input, probe (whether it is one), share; of probes the test that the
        least important true input has a larger share: difference, std_error,
        statistic, df and p_value (Student's paired t, one-sided). Shares of several
        fits are averages, and the fits are the pairs. With one fit the levels of the
        grouping factor are: importance is averaged over the rows of each, with the
        standard deviations of the inputs over all rows.

    Raises
    ------
    OptionError
        If a probe is not a numeric input, all inputs are probes, or fits have different
        inputs.
    NewDataError
        If new data lack a column or have missing values.

    Notes
    -----
    Fits to overlapping parts of the data, and levels that share one fit, are not
    independent: the p-values are too small (Nadeau & Bengio 2003, Mach. Learn. 52,
    239-281), and compare models rather than prove anything about one.

    References
    ----------
    Nguyen, Treacher and Montillo (2023), IEEE TPAMI 45, 8081-8093, for probes.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy").assign(half=lambda d: d["Days"] % 2)
    >>> fit = ngmm.fit("Reaction ~ Days + half + (1 | Subject)", data)
    >>> ngmm.clusters.importance(fit).to_frame()["share"].round(2).tolist()
    [0.95, 0.05]
    """
    one_of("scale", scale, SCALES)
    several = _fits(fits)
    names = _inputs(several)
    chosen = _probes(probes, names)
    if len(several) > 1:
        looks = [_Look.of(fit, names, newdata, scale) for fit in several]
        shares = np.stack([_shares(x.importance(None)) for x in looks])
        pairs = Pairs(shares, f"{len(several)} fits")
        overall = pairs.mean()
    else:
        look = _Look.of(several[0], names, newdata, scale)
        overall = _shares(look.importance(None))
        pairs = _level_pairs(look, group) if chosen else Pairs(overall[None], "")
    return _table(names, chosen, overall, pairs, scale)


@dataclass(frozen=True, eq=False)
class _Look:
    """Slopes of one fit over some rows.

    Attributes
    ----------
    fit
        The fit.
    slopes
        (n, inputs) absolute slopes.
    sd
        (inputs,) standard deviations over the rows.
    newdata
        Where the rows are from, None for those of the fit.
    """

    fit: MixedModelFit
    slopes: Matrix
    sd: Vector
    newdata: Any

    @classmethod
    def of(
        cls, fit: MixedModelFit, names: Sequence[str], newdata: Any, scale: str
    ) -> _Look:
        columns, _ = numeric_inputs(fit, list(names), WHAT, random=False)
        data: Mapping[str, Any] = columns.columns
        if newdata is not None:
            frame = read_frame(
                newdata,
                list(data),
                arrays=columns.arrays,
                argument="newdata",
                error=NewDataError,
            )
            data = {**frame.columns, **frame.arrays}
            # Refuses missing values and unknown levels before there are slopes.
            Predictor(fit, fit._analysis, offset=False).rows(
                data, groups=False, levels=False, argument="newdata"
            )
        value = _population(fit, scale)
        slopes = np.abs(row_slopes(value, data, names))
        x = np.column_stack([np.asarray(data[n], dtype=np.float64) for n in names])
        return cls(fit, slopes, x.std(axis=0), newdata)

    def importance(self, rows: NDArray[np.intp] | None) -> Vector:
        """(inputs,) mean absolute slopes in standardised inputs."""
        slopes = self.slopes if rows is None else self.slopes[rows]
        return slopes.mean(axis=0) * self.sd

    def codes(self, group: str) -> NDArray[np.intp]:
        """The level of each row, numbered as they come."""
        if self.newdata is None:
            return np.asarray(term_of(self.fit, group).codes, dtype=np.intp)
        terms = (*self.fit.spec.random, *self.fit.spec.latent)
        columns = next(t.grouping.columns for t in terms if t.grouping.name == group)
        frame = read_frame(
            self.newdata, columns, argument="newdata", error=NewDataError
        )
        values = pd.DataFrame({c: frame.columns[c].to_numpy() for c in columns})
        return values.groupby(list(columns), sort=False).ngroup().to_numpy()


def _population(
    fit: MixedModelFit, scale: str
) -> Callable[[Mapping[str, Any]], Vector]:
    """Linear predictor or mean of rows, random effects zero."""
    predictor = Predictor(fit, fit._analysis, offset=False)

    def link(data: Mapping[str, Any]) -> Vector:
        return predictor.fixed(predictor.rows(data, groups=False, levels=False))

    def response(data: Mapping[str, Any]) -> Vector:
        return fit.predict(data, re="none").to_numpy()

    return link if scale == "link" else response


def _fits(fits: Any) -> list[MixedModelFit]:
    several = list(fits) if isinstance(fits, (list, tuple)) else [fits]
    if not several:
        raise OptionError(f"{WHAT}: the list of fits is empty")
    return [check_fit(fit, WHAT) for fit in several]


def _inputs(fits: Sequence[MixedModelFit]) -> list[str]:
    """Numeric inputs of the fixed part, the same in all fits."""
    found = [numeric_inputs(fit, None, WHAT, random=False)[1] for fit in fits]
    for names in found[1:]:
        if set(names) != set(found[0]):
            raise OptionError(
                f"{WHAT}: fits must have the same inputs; one has "
                f"{', '.join(found[0])}, another {', '.join(names)}"
            )
    return found[0]


def _probes(probes: Any, names: Sequence[str]) -> list[str]:
    chosen = as_names(probes, "probes")
    for name in chosen:
        if name not in names:
            raise OptionError(
                f"{WHAT}: the probe {name!r} is not a numeric input of the fixed part"
                f"{did_you_mean(name, names) or '.'} Inputs: {', '.join(names)}"
            )
    if len(chosen) == len(names):
        raise OptionError(
            f"{WHAT}: all inputs are probes; there is none to compare them with"
        )
    return chosen


def _shares(importance: Vector) -> Vector:
    """Shares of one pair; missing where no input matters at all."""
    total = importance.sum()
    return importance / total if total > 0 else np.full_like(importance, np.nan)


def _level_pairs(look: _Look, group: str | None) -> Pairs:
    """Shares by level of the grouping factor."""
    name = one_group(look.fit, group, WHAT)
    codes = look.codes(name)
    parts = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    shares = np.stack([_shares(look.importance(rows)) for rows in parts])
    return Pairs(shares, f"{len(parts)} levels of {name}")


def _table(
    names: Sequence[str],
    probes: Sequence[str],
    overall: Vector,
    pairs: Pairs,
    scale: str,
) -> Table:
    frame = pd.DataFrame(
        {"input": names, "probe": [n in probes for n in names], "share": overall}
    )
    frame = frame.sort_values(["probe", "share"], ascending=[True, False])
    of = "the linear predictor" if scale == "link" else "the mean"
    caption = f"mean |slope of {of}| times sd, random effects zero, as shares of one"
    if not np.isfinite(overall).all():
        caption += "; missing: no input has a slope"
    columns: list[Column] = [Label("input", "input"), Percent("share", "share")]
    if not probes:
        return Table(frame.reset_index(drop=True), caption, tuple(columns))
    least = str(frame.loc[~frame["probe"], "input"].iloc[-1])
    tests = pairs.tests(list(names), least, probes)
    frame = frame.merge(tests, on="input", how="left")
    total = 100 * frame.loc[frame["probe"], "share"].sum()
    caption += f"\nprobes have {total:.1f} % in all; {pairs.text(least, tests)}"
    columns += [
        Number("difference", "difference", "difference", "std_error"),
        Number("std_error", "se", "difference", "std_error"),
        Number("statistic", "t", decimals=2),
        Number("df", "df", decimals=0),
        PValue("p_value"),
    ]
    return Table(frame, caption, tuple(columns))
