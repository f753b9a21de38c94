"""Command line: ``python -m ngmm fit``, ``demo`` and ``datasets``.

Bad input gives a message on the error stream and exit status 2, never a traceback.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import ngmm
from ngmm import datasets
from ngmm.errors import DataError, NgmmError, NgmmWarning
from ngmm.model import GeneralizedEstimate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ngmm.results import MixedModelFit

DEMO = "sleepstudy"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the name of the program; those of the process if None.

    Returns
    -------
    int
        Exit status: 0, or 2 after a message about bad input.

    Examples
    --------
    >>> main(["datasets", "nothing"])
    2
    """
    options = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], str] = options.command
    try:
        with _warnings_as_lines():
            text = command(options)
        print(text, flush=True)
    except BrokenPipeError:
        # The reader, such as `head`, has gone: keep the interpreter from writing more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except NgmmError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot read {error.filename}: {error.strerror}")
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = argparse.ArgumentParser(
        prog="ngmm", description="Mixed-effects models from lme4-style formulas."
    )
    parser.add_argument("--version", action="version", version=ngmm.__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="fit a model to a file and print the summary")
    fit.set_defaults(command=_fit)
    fit.add_argument("formula", help='such as "Reaction ~ Days + (Days | Subject)"')
    fit.add_argument("file", type=Path, help="a .csv, .csv.gz or .parquet file")
    fit.add_argument("--reml", action="store_true", help="restricted likelihood")
    fit.add_argument("--family", default="gaussian", help="default: gaussian")
    fit.add_argument("--link", help="default: that of the family")
    fit.add_argument("--weights", metavar="COLUMN", help="prior weights")
    fit.add_argument(
        "--trials", metavar="N", help="binomial trials: a column or a whole number"
    )
    fit.add_argument("--offset", metavar="COLUMN", help="known part of the predictor")
    fit.add_argument(
        "--quad",
        default="auto",
        help='how random effects are integrated out: "auto" (default), "laplace" or a '
        "number of adaptive nodes per dimension",
    )
    fit.add_argument(
        "--df",
        default="auto",
        help='degrees of freedom: "auto" (default), "satterthwaite", "kenward-roger" '
        'or "none"',
    )
    _add_formats(fit)

    demo = commands.add_parser("demo", help=f"fit the embedded data set {DEMO}")
    demo.set_defaults(command=_demo)
    _add_formats(demo)

    data = commands.add_parser("datasets", help="list or describe the embedded data")
    data.set_defaults(command=_datasets)
    data.add_argument("name", nargs="?", help="data set to describe")
    return parser


def _add_formats(parser: argparse.ArgumentParser) -> None:
    """Let the user choose how the fit is printed."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--json", action="store_true", help="print one JSON document")
    group.add_argument("--markdown", action="store_true", help="print Markdown")


def _fit(options: argparse.Namespace) -> str:
    """Fit the model of the command line."""
    fit = ngmm.fit(
        options.formula,
        _read_frame(options.file),
        family=options.family,
        link=options.link,
        weights=options.weights,
        trials=_number(options.trials),
        offset=options.offset,
        reml=options.reml,
        quad=_number(options.quad),
        df=options.df,
    )
    return _render(fit, options)


def _number(text: str | None) -> str | int | None:
    """Read a whole number; anything else stays text."""
    return int(text) if text is not None and text.isdecimal() else text


def _demo(options: argparse.Namespace) -> str:
    """Fit the model that comes with the embedded data set."""
    formula = datasets.describe(DEMO).formula
    return _render(ngmm.fit(formula, datasets.load(DEMO)), options)


def _datasets(options: argparse.Namespace) -> str:
    """List the data sets, or describe one."""
    if options.name is not None:
        return str(datasets.describe(options.name))
    about = [datasets.describe(name) for name in datasets.names()]
    width = max(len(entry.name) for entry in about)
    return "\n".join(f"{e.name:<{width}}  {e.rows:>6} rows  {e.title}" for e in about)


def _render(fit: MixedModelFit, options: argparse.Namespace) -> str:
    """Print the fit in the format that was asked for."""
    if options.json:
        return json.dumps(_document(fit), indent=2, allow_nan=False)
    summary = fit.summary()
    return summary.to_markdown() if options.markdown else str(summary)


def _document(fit: MixedModelFit) -> dict[str, Any]:
    """Collect the numbers of a fit in plain containers, ready for JSON."""
    coefficients = fit.coef_table().to_frame().rename_axis("name").reset_index()
    verdict = fit.check()
    return _plain(
        {
            "formula": fit.formula,
            "family": fit.family,
            "link": fit.model.family.link,
            "reml": fit.reml,
            "nobs": fit.nobs,
            "n_levels": fit.n_levels,
            "loglik": fit.loglik,
            "aic": fit.aic,
            "bic": fit.bic,
            "df_model": fit.df_model,
            "sigma": fit.sigma,
            "phi": fit.estimate.phi,
            "integral": _integral(fit),
            "fixef": coefficients.to_dict("records"),
            "varcorr": fit.varcorr().to_frame().to_dict("records"),
            "converged": fit.converged,
            "singular": fit.is_singular,
            "messages": [str(message) for message in verdict.messages],
        }
    )


def _integral(fit: MixedModelFit) -> dict[str, Any] | None:
    """Say how the random effects were integrated out; None for an exact likelihood."""
    if not isinstance(fit.estimate, GeneralizedEstimate):
        return None
    return asdict(fit.estimate.integral)


def _plain(value: Any) -> Any:
    """Turn numpy's numbers into Python's, and what JSON cannot hold into null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, int | float | None) else str(value)


def _read_frame(path: Path) -> pd.DataFrame:
    """Read a table by the ending of its name."""
    if path.name.endswith((".csv", ".csv.gz")):
        read: Callable[[Path], pd.DataFrame] = pd.read_csv
    elif path.suffix in {".parquet", ".pq"}:
        read = pd.read_parquet
    else:
        raise DataError(
            f"cannot tell the format of {path}; "
            "expected a name that ends in .csv, .csv.gz or .parquet."
        )
    try:
        return read(path)
    except OSError as error:
        # Damaged archives raise an OSError without a name or a reason.
        if error.strerror:
            raise
        raise DataError(f"cannot read {path}: {error}") from error
    except (EOFError, ImportError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from error


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print the warnings of ngmm as one line each, without the line of code."""
    show = warnings.showwarning

    def show_line(
        message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any
    ) -> None:
        if issubclass(category, NgmmWarning):
            print(f"ngmm: warning: {message}", file=sys.stderr)
        else:
            show(message, category, *args, **kwargs)

    with warnings.catch_warnings():
        warnings.simplefilter("always", NgmmWarning)
        warnings.showwarning = show_line
        yield


def _fail(message: str) -> int:
    """Print a message and return the exit status of bad input."""
    print(f"ngmm: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
