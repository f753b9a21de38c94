"""`ngmm simulate`: responses drawn from a saved fit."""

from __future__ import annotations

import argparse
from pathlib import Path

import ngmm
from ngmm.command_line.options import Commands, add_seed, add_table_output
from ngmm.command_line.predict import MODEL
from ngmm.command_line.rows import check_digits, rows_of_fit, write_rows
from ngmm.command_line.tables import check_output


def add_simulate(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "simulate", help="draw responses from a saved fit, with new random effects"
    )
    parser.set_defaults(command=_run)
    parser.add_argument("model", type=Path, help=f"{MODEL}, with its data")
    parser.add_argument(
        "-n", type=int, default=1, help="number of draws, a column each; default: 1"
    )
    add_seed(parser, "seed of the draws")
    add_table_output(parser)


def _run(options: argparse.Namespace) -> str | None:
    """Simulate and write."""
    check_output(options.output, overwrite=options.overwrite)
    check_digits(options.digits)
    fit = ngmm.load(options.model)
    drawn = fit.simulate(options.n, options.seed)
    drawn = drawn.rename(columns=lambda number: f"sim_{int(number) + 1}")
    return write_rows(rows_of_fit(fit), drawn, options)
