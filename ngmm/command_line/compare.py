"""`ngmm compare`: models beside each other, saved ones or formulas."""

from __future__ import annotations

import argparse
from pathlib import Path

import ngmm
from ngmm.command_line.options import Commands, add_formats, add_model_options, fitted
from ngmm.command_line.report import as_json, records
from ngmm.command_line.tables import is_table, read_table
from ngmm.errors import OptionError
from ngmm.results import MixedModelFit
from ngmm.results.table import Table

# Options of the model, and what they are when nobody has chosen.
MODEL_DEFAULTS: dict[str, object] = {
    "reml": False,
    "family": "gaussian",
    "link": None,
    "weights": None,
    "trials": None,
    "offset": None,
    "quad": "auto",
    "df": "auto",
    "restarts": None,
}


def add_compare(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "compare",
        help="compare models by cross-validation, or by likelihood-ratio tests",
    )
    parser.set_defaults(command=_run)
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="files written by ngmm fit --save; or a file of data and formulas, of "
        "which each has a ~",
    )
    how = parser.add_argument_group("comparison")
    how.add_argument(
        "--test",
        metavar="METHOD",
        help="likelihood-ratio tests: auto, chi2, chibar, exact, bootstrap, score or "
        "split; default: cross-validation",
    )
    how.add_argument("-n", type=int, help="number of simulated statistics of a test")
    how.add_argument("--folds", type=int, help="of the cross-validation; default: 10")
    how.add_argument(
        "--new",
        choices=("groups", "rows"),
        help="what the cross-validation holds out; default: groups",
    )
    how.add_argument("--by", metavar="GROUP", help="grouping factor that it holds out")
    add_model_options(parser, "seed of folds, simulations and starting weights")
    add_formats(parser)


def _run(options: argparse.Namespace) -> str:
    """Fit or load the models, and compare them."""
    _check(options)
    formulas = [text for text in options.models if _is_formula(text)]
    files = [Path(text) for text in options.models if not _is_formula(text)]
    if formulas:
        models = _from_formulas(formulas, files, options)
    else:
        models = _from_files(files, options)
    return _text(_compared(models, options), options)


def _check(options: argparse.Namespace) -> None:
    """Refuse options of the comparison that is not asked for."""
    if options.test is None and options.n is not None:
        raise OptionError("-n belongs to --test METHOD; folds are set by --folds")
    given = {"--folds": options.folds, "--new": options.new, "--by": options.by}
    for name, value in given.items():
        if options.test is not None and value is not None:
            raise OptionError(
                f"{name} belongs to the cross-validation; leave it out, or --test"
            )


def _is_formula(text: str) -> bool:
    """Whether this is a formula; old copies of files may have a ~ in their names."""
    return "~" in text and not Path(text).is_file()


def _from_formulas(
    formulas: list[str], files: list[Path], options: argparse.Namespace
) -> list[MixedModelFit | str]:
    """The models of formulas; those without random effects only a test can read."""
    if len(files) != 1:
        raise OptionError(
            f"expected one file of data beside the formulas, got {len(files)}"
            f"{''.join(f', {path}' for path in files)}"
        )
    data = read_table(files[0])
    linear = [
        options.test is not None and not ngmm.parse(formula).random
        for formula in formulas
    ]
    return [
        formula if simple else fitted(formula, data, options)
        for formula, simple in zip(formulas, linear, strict=True)
    ]


def _from_files(
    files: list[Path], options: argparse.Namespace
) -> list[MixedModelFit | str]:
    """The saved fits, which are what they are."""
    for name, default in MODEL_DEFAULTS.items():
        if getattr(options, name) != default:
            raise OptionError(
                f"--{name} is for formulas; a saved fit keeps what it was fitted with"
            )
    if is_table(files[0]):
        raise OptionError(
            f"{files[0]} is no saved fit but a table; give formulas as well, such as "
            '"y ~ x + (1 | g)"'
        )
    return [ngmm.load(path) for path in files]


def _compared(models: list[MixedModelFit | str], options: argparse.Namespace) -> Table:
    if options.test is not None:
        return ngmm.lrt(*models, method=options.test, n=options.n, seed=options.seed)
    return ngmm.compare(
        *(model for model in models if isinstance(model, MixedModelFit)),
        folds=10 if options.folds is None else options.folds,
        new=options.new or "groups",
        by=options.by,
        seed=options.seed,
    )


def _text(table: Table, options: argparse.Namespace) -> str:
    """The table in the format that was asked for."""
    if options.json:
        rows = records(table, "row" if options.test is not None else "model")
        return as_json({"rows": rows, "caption": table.caption.splitlines()})
    return table.to_markdown() if options.markdown else str(table)
