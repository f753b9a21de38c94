"""`ngmm fit`: a formula and a file to a summary, and to a file of the fit."""

from __future__ import annotations

import argparse
from pathlib import Path

from ngmm.command_line.files import check_writable, writing
from ngmm.command_line.options import (
    FILE,
    Commands,
    add_formats,
    add_model_options,
    fitted,
)
from ngmm.command_line.report import report
from ngmm.command_line.tables import read_table
from ngmm.errors import OptionError


def add_fit(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "fit", help="fit a model to a file and print the summary"
    )
    parser.set_defaults(command=_run)
    parser.add_argument("formula", help='such as "Reaction ~ Days + (Days | Subject)"')
    parser.add_argument("file", type=Path, help=FILE)
    add_model_options(parser)
    group = parser.add_argument_group("saving")
    group.add_argument(
        "--save",
        type=Path,
        metavar="MODEL",
        help="write the fit to this file, which ngmm.load and the other commands read",
    )
    group.add_argument(
        "--no-data",
        dest="data",
        action="store_false",
        help="leave the rows out of it: enough for tables and for predictions of "
        "new data",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace the file if it is there"
    )
    add_formats(parser)


def _run(options: argparse.Namespace) -> str:
    """Fit, save if that is asked for, and print."""
    path: Path | None = options.save
    if path is None and (options.overwrite or not options.data):
        name = "--overwrite" if options.overwrite else "--no-data"
        raise OptionError(f"{name} belongs to --save MODEL, which names a file")
    if path is not None:
        check_writable(path, overwrite=options.overwrite)
    fit = fitted(options.formula, read_table(options.file), options)
    if path is not None:
        with writing(path):
            fit.save(path, data=options.data, overwrite=options.overwrite)
    return report(fit, options)
