"""The commands and their options."""

from __future__ import annotations

import argparse

import ngmm
from ngmm.command_line import compare, embedded, fit, predict, simulate


def make_parser() -> argparse.ArgumentParser:
    """Describe the commands; each is in a file of its own."""
    parser = argparse.ArgumentParser(
        prog="ngmm", description="Mixed-effects models from lme4-style formulas."
    )
    parser.add_argument("--version", action="version", version=ngmm.__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        fit.add_fit,
        predict.add_predict,
        simulate.add_simulate,
        compare.add_compare,
        embedded.add_demo,
        embedded.add_datasets,
    ):
        add(commands)
    return parser
