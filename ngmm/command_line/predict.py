"""`ngmm predict`: predictions of a saved fit, beside the rows they are for."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import ngmm
from ngmm.command_line.levels import read_new_rows
from ngmm.command_line.options import FILE, Commands, add_table_output
from ngmm.command_line.rows import check_digits, rows_of_fit, write_rows
from ngmm.command_line.tables import check_output
from ngmm.results.request import INTERVALS, KINDS, NEW_LEVELS, RE

MODEL = "a file written by ngmm fit --save, or by fit.save in Python"


def add_predict(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser("predict", help="predict rows by a saved fit")
    parser.set_defaults(command=_run)
    parser.add_argument("model", type=Path, help=MODEL)
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        help=f"{FILE} with new rows; default: the rows of the fit",
    )
    parser.add_argument("--kind", choices=KINDS, default="response")
    parser.add_argument(
        "--re",
        action="append",
        metavar="WHICH",
        help=f"random effects that enter: {', '.join(RE)}, or a grouping factor "
        "(several times for several); default: all",
    )
    parser.add_argument(
        "--new-levels",
        choices=NEW_LEVELS,
        default="error",
        help="what levels that the fit does not know get; default: error",
    )
    parser.add_argument("--se", action="store_true", help="add standard errors")
    parser.add_argument(
        "--interval", choices=[name for name in INTERVALS if name is not None]
    )
    parser.add_argument(
        "--level", type=float, default=0.95, help="of the interval; default: 0.95"
    )
    add_table_output(parser)


def _run(options: argparse.Namespace) -> str | None:
    """Predict and write."""
    check_output(options.output, overwrite=options.overwrite)
    check_digits(options.digits)
    fit = ngmm.load(options.model)
    if options.file is None:
        rows, newdata = rows_of_fit(fit), None
    else:
        rows, newdata = read_new_rows(options.file, fit)
    found = fit.predict(
        newdata,
        kind=options.kind,
        re=_effects(options.re),
        new_levels=options.new_levels,
        se=options.se,
        interval=options.interval,
        level=options.level,
    )
    return write_rows(rows, pd.DataFrame(found), options)


def _effects(chosen: list[str] | None) -> str | list[str]:
    """A word for all effects, or the grouping factors."""
    if chosen is None:
        return "all"
    return chosen[0] if len(chosen) == 1 and chosen[0] in RE else chosen
