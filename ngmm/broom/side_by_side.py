"""Several fits in one table, a column each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ngmm.broom.cells import STATISTICS, Style, stack_cells
from ngmm.broom.parameters import variance_parameters
from ngmm.broom.tidy import tidy
from ngmm.errors import OptionError, did_you_mean
from ngmm.inference.quantiles import check_level
from ngmm.results import MixedModelFit
from ngmm.results.columns import Column, Label, Text
from ngmm.results.headings import headings
from ngmm.results.table import Table, Tabled

Values = dict[tuple[str, str], dict[str, float]]
PARTS = ("fixed", "random", "residual", "networks", "size", "fit")
VALUES = ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high")


@dataclass(frozen=True, eq=False, repr=False)
class SideBySide(Tabled):
    r"""Estimates of several fits, a column each. Made by `ngmm.side_by_side`.

    Attributes
    ----------
    frame
        Index: ``part`` (``"fixed"``, ``"random"``, ``"residual"``, ``"networks"``,
        ``"size"``, ``"fit"``) and ``term``. Columns: name of the fit, and ``estimate``,
        ``std_error``, ``statistic``, ``p_value``, ``conf_low``, ``conf_high``. Missing
        where a fit has no such term, or the term no such value.
    style
        What stands below an estimate, and whether stars mark small p-values.
    caption
        What the fits are, and what cannot be compared.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> both = ngmm.side_by_side(fit, fit.update(reml=True), names=["ml", "reml"])
    >>> both.to_frame()[("ml", "estimate")].round(2).iloc[:3].tolist()
    [1527.5, 37.26, 49.51]
    >>> print(both.to_table().to_text().splitlines()[0])
    Models                         ml      reml
    >>> both.to_markdown().splitlines()[0], both.to_html()[:6], both.to_latex()[:13]
    ('**Models**', '<table', '\\begin{table}')
    """

    frame: pd.DataFrame
    style: Style
    caption: str

    def to_frame(self) -> pd.DataFrame:
        """The numbers at full precision, as a copy that is yours to change.

        Returns
        -------
        DataFrame
            A row for each parameter and a group of columns for each fit, as ``frame``.
        """
        return self.frame.copy()

    def to_table(self) -> Table:
        """The table as printed.

        Returns
        -------
        Table
            A column for each fit, with standard errors in rows of their own.
        """
        names = list(dict.fromkeys(self.frame.columns.get_level_values(0)))
        cells = stack_cells(self.frame, names, self.style)
        columns: tuple[Column, ...] = (
            Label(),
            *(Text(str(name), str(name), align="right") for name in names),
        )
        return Table(cells, self.caption, columns, "Models")

    def to_markdown(self) -> str:
        """The table in Markdown.

        Returns
        -------
        str
            Lines of a table, the caption behind it.
        """
        return self.to_table().to_markdown()

    def to_html(self) -> str:
        """The table in HTML.

        Returns
        -------
        str
            One element, everything escaped.
        """
        return self.to_table().to_html()

    def to_latex(self, label: str | None = None) -> str:
        r"""The table in LaTeX, see `ngmm.results.table.Table.to_latex`.

        Parameters
        ----------
        label
            What ``\ref`` calls it; None for no label.

        Returns
        -------
        str
            A ``table`` environment; the document needs the package booktabs.
        """
        return self.to_table().to_latex(label)


def side_by_side(
    *fits: MixedModelFit,
    names: Sequence[str] | None = None,
    statistic: str | None = "std_error",
    level: float = 0.95,
    stars: bool = False,
    exponentiate: bool = False,
) -> SideBySide:
    """Coefficients, variance parameters and fit of several models in one table.

    Parameters
    ----------
    *fits
        Fitted models, one or more.
    names
        Their headings; None for m0, m1, ...
    statistic
        What stands below each coefficient: ``"std_error"`` or ``"statistic"`` in
        parentheses, ``"p_value"``, ``"conf_int"`` (Wald intervals, also of standard
        deviations and correlations), or None for nothing.
    level
        Confidence level.
    stars
        Whether to mark p-values below 0.05, 0.01 and 0.001.
    exponentiate
        Give fixed effects as ratios, see `tidy`.

    Returns
    -------
    SideBySide
        Printable; `to_frame`, `to_markdown`, `to_html`, `to_latex`.

    Raises
    ------
    OptionError
        If something given is no fit, the names do not match the fits, or there is no
        such statistic.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> m0 = ngmm.fit("Reaction ~ Days + (1 | Subject)", data)
    >>> m1 = m0.update(". ~ . - (1 | Subject) + (Days | Subject)")
    >>> both = ngmm.side_by_side(m0, m1)
    >>> errors = both.to_frame().xs("std_error", axis=1, level="value")
    >>> errors.loc[("fixed", "Days")].round(3).to_dict()
    {'m0': 0.802, 'm1': 1.502}
    """
    _check_fits(fits)
    heads = headings(names, [f"m{i}" for i in range(len(fits))])
    if statistic is not None and statistic not in STATISTICS:
        hint = did_you_mean(statistic, STATISTICS) or "."
        raise OptionError(
            f"there is no statistic {statistic!r}{hint} statistic= is None or one of "
            f"{', '.join(map(repr, STATISTICS))}"
        )
    check_level(level)
    found = {
        name: _values(fit, level, exponentiate=exponentiate)
        for name, fit in zip(heads, fits, strict=True)
    }
    style = Style(statistic, stars)
    caption = [style.caption(level, exponentiate=exponentiate)]
    caption += [_described(name, f) for name, f in zip(heads, fits, strict=True)]
    caption += _differences(fits)
    return SideBySide(_frame(found), style, "\n".join(filter(None, caption)))


def _check_fits(fits: tuple[Any, ...]) -> None:
    for fit in fits:
        if not isinstance(fit, MixedModelFit):
            raise OptionError(
                f"side_by_side takes fits of ngmm.fit; got {type(fit).__name__}: "
                "ngmm.side_by_side(m0, m1)"
            )
    if not fits:
        raise OptionError("side_by_side takes one fit or more: ngmm.side_by_side(m0)")


def _values(fit: MixedModelFit, level: float, *, exponentiate: bool) -> Values:
    """What one fit has to show, by part and term."""
    frame = tidy(fit, conf_int=True, conf_level=level, exponentiate=exponentiate)
    frame.columns = [str(name).replace(".", "_") for name in frame.columns]
    rows = [
        {name: float(row[name]) for name in VALUES if name in row}
        for row in frame.to_dict("records")
    ]
    keys = [("fixed", str(name)) for name in fit.fixef.index]
    keys += [
        ("residual" if p.is_residual else "random", p.label)
        for p in variance_parameters(fit)
    ]
    return dict(zip(keys, rows, strict=True)) | _sizes(fit)


def _sizes(fit: MixedModelFit) -> Values:
    """Effective sizes of networks, sizes of the data, and measures of fit."""
    numbers: dict[tuple[str, str], float] = {}
    if fit.is_neural:
        edf = fit.nn_table().frame["edf"]
        for term, value in zip(edf.index, edf.tolist(), strict=True):
            numbers["networks", f"edf of {term}"] = value
    numbers["size", "rows"] = fit.nobs
    numbers |= {("size", f"levels of {g}"): n for g, n in fit.n_levels.items()}
    measures = {"loglik": fit.loglik, "df": fit.df_model, "AIC": fit.aic}
    measures["BIC"] = fit.bic
    numbers |= {("fit", name): value for name, value in measures.items()}
    return {key: {"estimate": float(value)} for key, value in numbers.items()}


def _frame(found: dict[str, Values]) -> pd.DataFrame:
    """One frame of all fits, terms of a part in the order of their first appearance."""
    keys = list(dict.fromkeys(key for values in found.values() for key in values))
    keys.sort(key=lambda key: PARTS.index(key[0]))
    columns = pd.MultiIndex.from_product([list(found), VALUES], names=["fit", "value"])
    data = [
        [
            values.get(key, {}).get(v, np.nan)
            for values in found.values()
            for v in VALUES
        ]
        for key in keys
    ]
    index = pd.MultiIndex.from_tuples(keys, names=["part", "term"])
    return pd.DataFrame(data, index=index, columns=columns)


def _described(name: str, fit: MixedModelFit) -> str:
    family = "" if fit.model.family.has_residual else f", {fit.family}({fit.link})"
    return f"{name}: {fit.formula}{family}{', REML' * fit.reml}"


def _differences(fits: Sequence[MixedModelFit]) -> list[str]:
    """Why log-likelihoods are not comparable, if they are not."""
    out = []
    if not all(_same_rows(a, b) for a, b in pairwise(fits)):
        out.append(
            "The fits are of different rows or responses: their loglik, AIC and BIC "
            "do not compare."
        )
    if len({fit.reml for fit in fits}) > 1:
        out.append("Restricted and full likelihoods do not compare.")
    elif fits[0].reml and len({tuple(fit.fixef.index) for fit in fits}) > 1:
        out.append(
            "Restricted likelihoods compare only where the fixed effects are the same."
        )
    return out


def _same_rows(a: MixedModelFit, b: MixedModelFit) -> bool:
    if a.nobs != b.nobs or a.response_name != b.response_name:
        return False
    labels = a.design.index, b.design.index
    # A fit that was saved without its data does not know the labels of its rows.
    known = all(isinstance(index, pd.Index) for index in labels)
    return not known or labels[0].equals(labels[1])
