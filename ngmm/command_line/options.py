"""Options that several commands have, and what they stand for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, TypeAlias

import ngmm
from ngmm.results import MixedModelFit

# What `add_subparsers` gives, as the type checker knows it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

FILE = "a .csv, .csv.gz or .parquet file"


def add_model_options(
    parser: argparse.ArgumentParser,
    seed_of: str = "seed of the starting weights of networks",
) -> None:
    """Let the user say what model a formula stands for."""
    group = parser.add_argument_group("model")
    group.add_argument("--reml", action="store_true", help="restricted likelihood")
    group.add_argument("--family", default="gaussian", help="default: gaussian")
    group.add_argument("--link", help="default: that of the family")
    group.add_argument("--weights", metavar="COLUMN", help="prior weights")
    group.add_argument(
        "--trials", metavar="N", help="binomial trials: a column or a whole number"
    )
    group.add_argument("--offset", metavar="COLUMN", help="known part of the predictor")
    group.add_argument(
        "--quad",
        default="auto",
        help='how random effects are integrated out: "auto" (default), "laplace" or a '
        "number of adaptive nodes per dimension",
    )
    group.add_argument(
        "--df",
        default="auto",
        help='degrees of freedom: "auto" (default), "satterthwaite", "kenward-roger" '
        'or "none"',
    )
    group.add_argument(
        "--restarts",
        type=int,
        metavar="N",
        help="searches for each width of a network; default: as many as take about "
        "two minutes",
    )
    add_seed(group, seed_of)


def add_seed(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, what: str
) -> None:
    """Let the user choose a seed; what is the same each time needs no choice."""
    parser.add_argument("--seed", type=int, default=0, help=f"{what}; default: 0")


def add_formats(parser: argparse.ArgumentParser) -> None:
    """Let the user choose how a result is printed."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--json", action="store_true", help="print one JSON document")
    group.add_argument("--markdown", action="store_true", help="print Markdown")


def add_table_output(parser: argparse.ArgumentParser) -> None:
    """Let the user choose where new columns go, and beside what."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help=f"{FILE} to write; default: CSV on standard output",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace the file if it is there"
    )
    group.add_argument(
        "--no-data",
        dest="data",
        action="store_false",
        help="write the new columns alone, not beside those of the data",
    )
    group.add_argument(
        "--prefix",
        default="",
        metavar="TEXT",
        help="what the names of the new columns begin with",
    )
    group.add_argument(
        "--digits",
        type=int,
        metavar="N",
        help="significant digits of the new columns; default: all",
    )


def fitted(formula: str, data: Any, options: argparse.Namespace) -> MixedModelFit:
    """Fit a formula as the options say."""
    estimator: Any = "auto"
    if options.restarts is not None:
        estimator = ngmm.Evidence(restarts=options.restarts)
    return ngmm.fit(
        formula,
        data,
        family=options.family,
        link=options.link,
        weights=options.weights,
        trials=number(options.trials),
        offset=options.offset,
        reml=options.reml,
        quad=number(options.quad),
        df=options.df,
        estimator=estimator,
        seed=options.seed,
    )


def number(text: str | None) -> str | int | None:
    """Read a whole number; anything else stays text."""
    return int(text) if text is not None and text.isdecimal() else text
