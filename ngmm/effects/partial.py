r"""Partial dependence of a network term, with bands.

Over the rows i of the fit, with x the inputs that vary and z the others,

.. math:: \bar f(x) = \frac1n \sum_i f(x, z_i) - \frac1n \sum_i f(x_i, z_i),

whose variance is j'Cj with j the same average of the derivatives of f in the weights
and C their posterior covariance, and the variance between the networks of an average.

References
----------
Friedman (2001), Ann. Statist. 29, 1189-1232, section 8.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.effects.averages import averages
from ngmm.effects.grids import checked, points
from ngmm.effects.rows import Rows, rows_of
from ngmm.effects.terms import Term, network_term
from ngmm.errors import OptionError
from ngmm.inference.quantiles import check_level, critical
from ngmm.results import MixedModelFit, Table
from ngmm.results.columns import Align, Column, Interval, Number
from ngmm.results.formatting import percent

# Rows over which an effect is averaged at most.
MOST_ROWS = 500


def partial(
    fit: MixedModelFit,
    term: str,
    variables: str | Sequence[str] | None = None,
    *,
    grid: int | Mapping[str, Any] = 11,
    at: Mapping[str, Any] | None = None,
    level: float = 0.95,
) -> Table:
    """Partial dependence: the mean of a network as a function of one or two inputs.

    It is on the scale of the linear predictor, and zero is the mean of the network over
    the rows. What linear terms of the same inputs add is not included.

    Parameters
    ----------
    fit
        A fit with network terms.
    term
        The term as in the formula, ``"nn(x1, x2)"``.
    variables
        One or two columns of the data that vary, in their own units; two give the
        interaction. None for every input by itself, one below the other.
    grid
        Number of quantiles, from the smallest to the largest value, at which a numeric
        input is shown; or input -> values. Factors are shown at their levels.
    at
        Input -> value at which it is held; the other inputs keep their values, and the
        effect is averaged over the rows (500 of them at most, drawn by the seed of the
        fit).
    level
        Level of the pointwise bands.

    Returns
    -------
    Table
        Columns: the inputs (``variable`` and ``value`` if ``variables`` is None),
        effect, std_error, conf_low, conf_high. Networks fitted by minibatches have no
        standard errors.

    Raises
    ------
    OptionError
        If there is no such term, input, level or grid.

    References
    ----------
    Friedman (2001), Ann. Statist. 29, 1189-1232, section 8.2.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ nn(Days, hidden=()) + (Days | Subject)", data)
    >>> table = ngmm.effects.partial(fit, "nn(Days)", grid={"Days": [0, 9]})
    >>> table.to_frame()["effect"].round(2).tolist()
    [-47.1, 47.1]
    """
    check_level(level)
    found = network_term(fit, term)
    rows = rows_of(fit, MOST_ROWS, fit.seed)
    held = {found.column(k): checked(k, v, rows) for k, v in (at or {}).items()}
    for name, value in held.items():
        if len(value) > 1:
            raise OptionError(f"at= holds {name} at one value; got {len(value)}")
    chosen = _chosen(variables, found, held)
    if variables is not None:
        frame = _effect(found, rows, points(chosen, grid, found, rows), held, level)
    else:
        frame = _each(found, rows, chosen, grid, held, level)
    return _table(frame, found, held, level)


def _chosen(
    variables: str | Sequence[str] | None, term: Term, held: Mapping[str, Any]
) -> list[str]:
    """The columns that vary."""
    if variables is None:
        names = [name for name in term.columns if name not in held]
        if not names:
            raise OptionError(f"{term.label} has no input left to vary")
        return names
    asked = [variables] if isinstance(variables, str) else list(variables)
    names = list(dict.fromkeys(term.column(name) for name in asked))
    if len(names) not in (1, 2):
        raise OptionError(
            f"variables= takes one input or two; got {len(names)}. Hold others with at="
        )
    for name in names:
        if name in held:
            raise OptionError(f"{name} is in variables= and in at=; leave one out")
    return names


def _each(
    term: Term,
    rows: Rows,
    names: Sequence[str],
    grid: int | Mapping[str, Any],
    held: Mapping[str, Any],
    level: float,
) -> pd.DataFrame:
    """The effect of every input by itself, one below the other."""
    parts = []
    for name in names:
        part = _effect(term, rows, points([name], grid, term, rows), held, level)
        part = part.rename(columns={name: "value"}).astype({"value": object})
        part.insert(0, "variable", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _effect(
    term: Term,
    rows: Rows,
    at_points: Mapping[str, NDArray[Any]],
    held: Mapping[str, NDArray[Any]],
    level: float,
) -> pd.DataFrame:
    """The averaged effect at each point."""
    found = averages(term, rows, at_points, held)
    shares = np.array([m.share for m in term.networks.members])
    effect = shares @ found.values
    variance = np.full(len(effect), np.nan)
    if found.slopes is not None:
        variance = shares @ (found.values - effect) ** 2
        w = term.weights
        at = slice(term.networks.n_beta + w.start, term.networks.n_beta + w.stop)
        for member, j in zip(term.networks.members, found.slopes, strict=True):
            assert member.covariance is not None
            own = member.covariance[at, at]
            variance += member.share * np.einsum("gw,wv,gv->g", j, own, j)
    se = np.sqrt(variance)
    margin = float(critical(level)) * se
    columns = {
        "effect": effect,
        "std_error": se,
        "conf_low": effect - margin,
        "conf_high": effect + margin,
    }
    return pd.DataFrame({**at_points, **columns})


def _table(
    frame: pd.DataFrame, term: Term, held: Mapping[str, NDArray[Any]], level: float
) -> Table:
    names = frame.columns[: list(frame.columns).index("effect")]
    columns: list[Column] = [
        _Value(name, name, once=name == "variable") for name in names
    ]
    columns.append(Number("effect", "effect", "effect", "std_error"))
    if term.networks.has_covariance:
        header = f"{percent(level)} band"
        columns += [
            Number("std_error", "se", "effect", "std_error"),
            Interval("conf_low", "conf_high", "effect", header, "std_error"),
        ]
    caption = f"mean of {term.label} over the rows"
    if held:
        fixed = ", ".join(f"{name} = {_text(v[0])}" for name, v in held.items())
        caption += f" with {fixed}"
    if term.networks.has_covariance:
        caption += "; pointwise bands"
    return Table(frame, caption, tuple(columns))


@dataclass(frozen=True)
class _Value:
    """Values of inputs of any kind; ``once`` leaves out repetitions."""

    name: str
    header: str
    once: bool = False
    align: Align = "left"
    labels_rows: bool = True

    def cells(self, frame: pd.DataFrame) -> list[str]:
        """The values, numbers with four significant digits."""
        texts = [_text(value) for value in frame[self.name]]
        if not self.once:
            return texts
        above = ["", *texts[:-1]]
        return [t if t != a else "" for t, a in zip(texts, above, strict=True)]


def _text(value: Any) -> str:
    if not isinstance(value, (float, np.floating)):
        return str(value)
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
