"""New columns beside the rows that they belong to."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
import pandas as pd

from ngmm.command_line.tables import write_table
from ngmm.errors import OptionError
from ngmm.results import MixedModelFit


def rows_of_fit(fit: MixedModelFit) -> pd.DataFrame:
    """The rows that a loaded model was fitted to, in their order.

    Raises
    ------
    SavedFitError
        If its file has none.
    """
    rows = np.asarray(fit.design.rows[:])
    data = fit.call.data
    if isinstance(data, Mapping):
        # Arrays with more than one value a row have no place in a table.
        data = pd.DataFrame({k: v for k, v in data.items() if np.ndim(v) == 1})
    frame: pd.DataFrame = data.iloc[rows]
    named = [name for name in frame.index.names if name is not None]
    return frame.reset_index(drop=not named)


def check_digits(digits: int | None) -> None:
    """Refuse a number of significant digits that is none."""
    if digits is not None and digits < 1:
        raise OptionError(f"--digits must be 1 or more, got {digits}")


def write_rows(
    rows: pd.DataFrame, new: pd.DataFrame, options: argparse.Namespace
) -> str | None:
    """Write new columns where the options say; return them if that is nowhere.

    Raises
    ------
    OptionError
        If the rows have a column of the name of a new one already.
    """
    new = new.reset_index(drop=True).rename(columns=lambda c: f"{options.prefix}{c}")
    if options.digits is not None:
        new = new.map(lambda value: float(f"{value:.{options.digits}g}"))
    if options.data:
        both = [str(name) for name in new.columns if name in rows.columns]
        if both:
            raise OptionError(
                f'the data have a column "{both[0]}" already: give the new columns '
                "names of their own, such as with --prefix ngmm_, or leave the data "
                "out with --no-data"
            )
        new = pd.concat([rows.reset_index(drop=True), new], axis=1)
    return write_table(new, options.output, overwrite=options.overwrite)
