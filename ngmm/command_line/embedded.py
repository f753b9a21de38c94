"""`ngmm demo` and `ngmm datasets`: the data that come with the package."""

from __future__ import annotations

import argparse
from pathlib import Path

import ngmm
from ngmm import datasets
from ngmm.command_line.options import FILE, Commands, add_formats
from ngmm.command_line.report import report
from ngmm.command_line.tables import check_output, write_table
from ngmm.errors import OptionError

DEMO = "sleepstudy"


def add_demo(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser("demo", help=f"fit the embedded data set {DEMO}")
    parser.set_defaults(command=_demo)
    add_formats(parser)


def add_datasets(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "datasets", help="list or describe the embedded data, or write them to a file"
    )
    parser.set_defaults(command=_datasets)
    parser.add_argument("name", nargs="?", help="data set to describe")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help=f"{FILE} to write the data to"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the file if it is there"
    )


def _demo(options: argparse.Namespace) -> str:
    """Fit the model that comes with the embedded data set."""
    formula = datasets.describe(DEMO).formula
    return report(ngmm.fit(formula, datasets.load(DEMO)), options)


def _datasets(options: argparse.Namespace) -> str | None:
    """List the data sets, or describe or write one."""
    check_output(options.output, overwrite=options.overwrite)
    if options.output is not None:
        if options.name is None:
            raise OptionError("--output writes one data set: name it")
        data = datasets.load(options.name)
        return write_table(data, options.output, overwrite=options.overwrite)
    if options.name is not None:
        return str(datasets.describe(options.name))
    about = [datasets.describe(name) for name in datasets.names()]
    width = max(len(entry.name) for entry in about)
    return "\n".join(f"{e.name:<{width}}  {e.rows:>6} rows  {e.title}" for e in about)
