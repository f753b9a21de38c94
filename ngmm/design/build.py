"""Formula and data frame -> design: the steps in their order, no numerics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design._text import listing
from ngmm.design.checks import check_bar_direction
from ngmm.design.coding import Contrast
from ngmm.design.columns import Column, Factor, column_specs, read_columns
from ngmm.design.frame import Frame, read_frame
from ngmm.design.matrix import build_matrix, check_finite
from ngmm.design.missing import CompleteRows, complete_rows
from ngmm.design.network_inputs import array_names
from ngmm.design.network_terms import FixedColumns, build_latent, build_networks
from ngmm.design.random_terms import build_random, level_codes
from ngmm.design.rank import independent_columns, select_columns
from ngmm.design.records import Design
from ngmm.design.response import check_varies, response_values
from ngmm.design.rowvalues import RowValues, row_values
from ngmm.design.spec import DesignSpec, offset_values
from ngmm.design.trials import (
    check_successes,
    successes,
    trial_counts,
    trials_argument,
)
from ngmm.errors import OptionError, did_you_mean
from ngmm.formula import ModelFormula, columns_of

__all__ = ["build_design"]


def build_design(
    terms: ModelFormula,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    trials: Any = None,
    contrasts: Mapping[str, Contrast] | None = None,
    na_action: str = "drop",
    binary_response: bool = False,
) -> tuple[Design, DesignSpec]:
    """Return the arrays of a model, and how to build them again for new data.

    Parameters
    ----------
    terms
        A parsed formula.
    data
        A pandas frame, a mapping from column names to values, or a frame of another
        library that narwhals reads. Only the columns that are used are looked at, and
        names are looked up nowhere else. In a mapping, an input of a network may be an
        array with more than one value a row, such as images of shape (n, 28, 28).
    weights, offset
        Name of a column, or an array with a value for each row of ``data``: prior
        weights, a known part of the linear predictor.
    trials
        Binomial numbers of trials: a column, an array, or one whole number for all
        rows. The response is then the number of successes, or their proportion if any
        value is not whole.
    contrasts
        Column name -> ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"`` or a matrix
        with a row for each level. Without it, ordered categoricals have polynomial
        contrasts and other factors treatment contrasts.
    na_action
        ``"drop"`` leaves out the rows in which a used column is missing; ``"raise"``
        raises if there are any.
    binary_response
        Whether the response may have two labels instead of numbers: the second one, in
        the order of the categories or of the alphabet, counts as 1.

    Returns
    -------
    design
        The arrays.
    spec
        ``spec.apply(newdata)`` gives the matrices for new data.

    Raises
    ------
    FormulaError
        If a part of the formula cannot be read or calls an unknown function.
    DataError
        If the data cannot be used; the message names the column, term and rows.
    DesignError
        If a random-effects term cannot be estimated from the data.
    OptionError
        If ``contrasts`` or ``na_action`` is wrong.

    Notes
    -----
    Cost O(n p^2) for the rank of the fixed part, O(n) for everything else.

    Examples
    --------
    >>> from ngmm import build_design
    >>> import pandas as pd
    >>> from ngmm.formula import parse
    >>> y = [1.0, 2.0, 4.0, None]
    >>> data = pd.DataFrame({"y": y, "x": list("abab"), "g": [1, 1, 2, 2]})
    >>> design, spec = build_design(parse("y ~ x + (1 | g)"), data)
    >>> design.names, design.random[0].codes.tolist(), design.missing
    (('Intercept', 'x[T.b]'), [0, 0, 1], {'y': 1})
    """
    contrasts = dict(contrasts or {})
    arguments = {"weights": weights, "offset": offset}
    named = [g for g in (*arguments.values(), trials) if isinstance(g, str)]
    arrays = array_names(terms).difference(named)
    whole = read_frame(data, [*terms.variables, *named], arrays=arrays)
    labelled = isinstance(data, pd.DataFrame)
    beside = {
        role: row_values(role, given, whole, labelled=labelled)
        for role, given in arguments.items()
    }
    beside["trials"] = trials_argument(trials, whole, labelled=labelled)
    complete = _complete(whole, beside, na_action)
    frame = whole.take(complete.rows) if complete.n_dropped else whole

    columns = read_columns(frame, _expression_columns(terms))
    _check_contrasts(contrasts, columns, terms)
    check_bar_direction(terms.random, columns, frame)
    offsets = _offset(terms, columns, beside["offset"], complete.rows, frame)
    response = response_values(
        terms.response, columns, frame.index, binary=binary_response
    )
    name, y = terms.response.expr, response.y
    counts = trial_counts(response, name, beside["trials"], complete.rows, frame.index)
    if counts is None:
        check_varies(y, name, offsets)
    else:
        y = successes(y, counts, name, frame.index)
        check_successes(y, counts, name)

    X, fixed = build_matrix(terms.fixed, columns, contrasts, frame.n_rows)
    check_finite(X, fixed.names, frame.index)
    kept = independent_columns(X)
    X = select_columns(X, kept)
    groups = level_codes(terms.random, frame)
    names = {name for term in terms.random for name in term.features}
    random, random_specs = build_random(
        terms.random,
        columns,
        groups,
        frame,
        contrasts,
        {name: terms.network_of(name) for name in names},
    )
    within = FixedColumns(X, tuple(fixed.column_variables[column] for column in kept))
    networks, network_specs = build_networks(terms, columns, frame, within)
    latent, latent_specs = build_latent(terms, columns, groups, frame)
    design = Design(
        y=y,
        response_name=name,
        X=X,
        names=tuple(fixed.names[column] for column in kept),
        column_terms=tuple(fixed.column_terms[column] for column in kept),
        offset=offsets,
        weights=_weights(beside["weights"], complete.rows, frame),
        has_weights=weights is not None,
        trials=counts,
        random=random,
        rows=complete.rows,
        index=frame.index,
        missing=complete.missing,
        n_dropped=complete.n_dropped,
        aliased=tuple(
            name for column, name in enumerate(fixed.names) if column not in set(kept)
        ),
        response_levels=response.levels,
        networks=networks,
        latent=latent,
    )
    predictors = _predictor_columns(terms)
    spec = DesignSpec(
        formula=terms,
        fixed=fixed,
        kept=kept,
        random=random_specs,
        networks=network_specs,
        latent=latent_specs,
        columns=column_specs(
            {name: column for name, column in columns.items() if name in predictors}
        ),
        offset_column=offset if isinstance(offset, str) else None,
        offset_is_array=offset is not None and not isinstance(offset, str),
    )
    return design, spec


def _predictor_columns(terms: ModelFormula) -> dict[str, None]:
    """Return the columns of terms and offsets: no response, no grouping factors."""
    latent = [network for term in terms.random for network in term.networks]
    exprs = [
        terms.fixed,
        *(text for term in (*terms.networks, *latent) for text in term.inputs),
        *(term.expr for term in terms.random),
        *terms.offsets,
    ]
    return dict.fromkeys(name for expr in exprs for name in columns_of(expr))


def _expression_columns(terms: ModelFormula) -> list[str]:
    """Return all columns that are evaluated: those of the response as well."""
    response = [name for part in terms.response.parts for name in columns_of(part)]
    return [*response, *_predictor_columns(terms)]


def _complete(
    frame: Frame, beside: Mapping[str, RowValues | None], na_action: str
) -> CompleteRows:
    columns: dict[str, pd.Series | NDArray[Any]] = {**frame.columns, **frame.arrays}
    for given in beside.values():
        if given is not None:
            columns[given.label] = given.values
    return complete_rows(columns, frame.index, na_action)


def _check_contrasts(
    contrasts: Mapping[str, Contrast],
    columns: Mapping[str, Column],
    terms: ModelFormula,
) -> None:
    factors = [name for name, column in columns.items() if isinstance(column, Factor)]
    exprs = [terms.fixed, *(term.expr for term in terms.random)]
    for name in contrasts:
        # A numeric column becomes a factor inside C().
        call = re.compile(rf"\bC\(\s*`?{re.escape(name)}`?\s*[,)]")
        if name in factors or any(call.search(expr) for expr in exprs):
            continue
        if name in columns:
            raise OptionError(
                f'contrasts has "{name}", which is numeric; write C({name}) in the '
                "formula to make it a factor"
            )
        raise OptionError(
            f'contrasts has "{name}", which is not a factor of the formula'
            f"{did_you_mean(name, factors) or '.'} "
            f"Factors: {listing(factors) or 'none'}"
        )


def _weights(
    given: RowValues | None, rows: NDArray[np.int64], frame: Frame
) -> NDArray[np.float64]:
    if given is None:
        return np.ones(frame.n_rows)
    return given.numbers(rows, frame.index, positive=True)


def _offset(
    terms: ModelFormula,
    columns: Mapping[str, Column],
    given: RowValues | None,
    rows: NDArray[np.int64],
    frame: Frame,
) -> NDArray[np.float64]:
    total = offset_values(terms.offsets, columns, frame.index)
    if given is None:
        return total
    return total + given.numbers(rows, frame.index, positive=False)
