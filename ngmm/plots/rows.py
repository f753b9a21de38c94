"""The columns that predictions are made from, and typical values of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design.frame import read_frame
from ngmm.effects.population import Population
from ngmm.effects.variables import variables_of
from ngmm.errors import OptionError, did_you_mean
from ngmm.results import MixedModelFit


def used_columns(fit: MixedModelFit, what: str) -> pd.DataFrame:
    """Columns of the rows used, without the response: inputs and grouping factors.

    Raises
    ------
    OptionError
        If a network reads arrays, of which there is no typical value.
    """
    spec = fit.spec
    networks = (*spec.networks, *(part.network for part in spec.latent))
    arrays = [name for part in networks for name in part.array_names]
    if arrays:
        raise OptionError(
            f'{what}: "{arrays[0]}" is an array a row and has no typical value; draw '
            "fit.predict() of rows of your own"
        )
    names = [column.name for column in spec.columns]
    names += [name for part in networks for name in part.variables]
    names += [] if spec.offset_column is None else [spec.offset_column]
    names += [c for part in (*spec.random, *spec.latent) for c in part.grouping.columns]
    frame = read_frame(fit.call.data, names)
    return pd.DataFrame(
        {k: v.iloc[fit.design.rows].array for k, v in frame.columns.items()}
    )


def numeric_column(
    fit: MixedModelFit, frame: pd.DataFrame, name: Any, what: str
) -> NDArray[np.float64]:
    """The values of a numeric input, one that is no grouping factor only.

    Raises
    ------
    OptionError
        If there is no such input, or it is a factor.
    """
    inputs = [column.name for column in fit.spec.columns]
    # A number is a factor where the formula has it as C(x).
    factors = variables_of(Population(fit, "all", "link")).levels
    numeric = [
        c for c in inputs if c in frame and c not in factors and _is_number(frame[c])
    ]
    if name not in numeric:
        kind = "a factor" if name in inputs else "not an input of the model"
        raise OptionError(
            f"{what}: {name!r} is {kind}{did_you_mean(name, numeric) or '.'} Numeric "
            f"inputs: {', '.join(numeric) or 'none'}"
        )
    return frame[name].to_numpy(dtype=np.float64)


def typical(frame: pd.DataFrame) -> dict[str, Any]:
    """Column -> a value that rows have: the median of numbers, else the most frequent.

    Of an even number of values the smaller of the two in the middle, so that a number
    that the formula takes as a factor keeps one of its levels.

    Examples
    --------
    >>> typical(pd.DataFrame({"x": [3.0, 1.0, 9.0, 2.0], "f": list("abba")}))
    {'x': 2.0, 'f': 'a'}
    """
    out: dict[str, Any] = {}
    for name in frame:
        values: Any = frame[name]
        if _is_number(values):
            ordered = np.sort(values.to_numpy())
            out[str(name)] = ordered[(len(ordered) - 1) // 2].item()
        else:
            out[str(name)] = values.mode().iloc[0]
    return out


def check_held(
    at: Mapping[str, Any] | None, frame: pd.DataFrame, varied: str, what: str
) -> dict[str, Any]:
    """The argument at=: other inputs and the one value of each.

    Raises
    ------
    OptionError
        If it is no mapping, names what is no input, or gives several values.
    """
    if at is None:
        return {}
    if not isinstance(at, Mapping):
        raise OptionError(f"{what}: at= maps inputs to values; got {at!r}")
    for name, value in at.items():
        if name == varied:
            raise OptionError(f"{what}: {name} varies; leave it out of at=")
        if name not in frame.columns:
            raise OptionError(
                f"{what}: at= has {name!r}, which is not an input of the model"
                f"{did_you_mean(name, frame.columns) or '.'} Inputs: "
                f"{', '.join(map(str, frame.columns))}"
            )
        if np.ndim(value) > 0:
            raise OptionError(f"{what}: at= holds {name} at one value; got {value!r}")
    return dict(at)


def _is_number(values: Any) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(
        values
    )
