"""Published data sets that come with the package.

Each is a small table of facts with its publication, a description of its columns and a
model to try. `names` lists them, `load` gives the data, `describe` says what they are.
"""

from __future__ import annotations

import textwrap
import tomllib
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pandas as pd

from ngmm.clustered_digits import Digits, digits
from ngmm.errors import OptionError, did_you_mean
from ngmm.spirals import Spirals, spirals

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Column",
    "Dataset",
    "Digits",
    "Spirals",
    "describe",
    "digits",
    "load",
    "names",
    "spirals",
]


@dataclass(frozen=True)
class Column:
    """One column of a data set.

    Attributes
    ----------
    name
        Name in the data frame.
    kind
        ``"factor"``, ``"integer"`` or ``"number"``.
    text
        What it measures.
    unit
        Unit of measurement, empty if there is none.
    levels
        Order of a factor's labels: a tuple, or ``"numeric"`` or ``"alphabetic"``.

    Examples
    --------
    >>> import ngmm
    >>> column = ngmm.datasets.describe("sleepstudy").columns[0]
    >>> column.name, column.kind, column.unit
    ('Reaction', 'number', 'ms')
    """

    name: str
    kind: str
    text: str
    unit: str = ""
    levels: tuple[str, ...] | str = ()


@dataclass(frozen=True)
class Dataset:
    """What a data set is; printing it gives a description.

    Attributes
    ----------
    name, title, note
        Name for `load`, one line, and what is worth knowing.
    source
        Publication of the numbers.
    rows
        Number of rows.
    formula, family
        A model to try.
    columns
        The columns in order.
    file
        Name of the file inside the package.

    Examples
    --------
    >>> import ngmm
    >>> dataset = ngmm.datasets.describe("Dyestuff")
    >>> dataset.rows, dataset.formula, dataset.family
    (30, 'Yield ~ 1 + (1 | Batch)', 'gaussian')
    """

    name: str
    title: str
    source: str
    note: str
    rows: int
    formula: str
    family: str
    columns: tuple[Column, ...]
    file: str

    def __str__(self) -> str:
        width = max(len(column.name) for column in self.columns)
        call = f'ngmm.fit("{self.formula}", data'
        call += ")" if self.family == "gaussian" else f', family="{self.family}")'
        return "\n".join(
            [
                f"{self.name}: {self.title}",
                "",
                *textwrap.wrap(self.note, 80),
                "",
                f"{self.rows} rows",
                *(f"  {c.name:<{width}}  {_about(c)}" for c in self.columns),
                "",
                *textwrap.wrap(f"Source: {self.source}", 80),
                "",
                f"Try: {call}",
            ]
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def names() -> list[str]:
    """Names of the embedded data sets.

    Returns
    -------
    list of str
        What `load` and `describe` accept.

    Examples
    --------
    >>> from ngmm import datasets
    >>> datasets.names()[:3]
    ['sleepstudy', 'Penicillin', 'Pastes']
    """
    return list(_catalogue())


def describe(name: str) -> Dataset:
    """Title, publication, columns and a model to try.

    Parameters
    ----------
    name
        One of `names`.

    Returns
    -------
    Dataset
        A record that prints as a description.

    Raises
    ------
    OptionError
        If there is no such data set.

    Examples
    --------
    >>> from ngmm import datasets
    >>> datasets.describe("sleepstudy").formula
    'Reaction ~ Days + (1 + Days | Subject)'
    """
    catalogue = _catalogue()
    if name not in catalogue:
        hint = did_you_mean(name, catalogue) or "."
        raise OptionError(
            f'there is no data set "{name}"{hint} Data sets: {", ".join(catalogue)}.'
        )
    return catalogue[name]


def load(name: str) -> pd.DataFrame:
    """Read a data set.

    Parameters
    ----------
    name
        One of `names`.

    Returns
    -------
    DataFrame
        A new frame with a row for each observation. Factors are categorical with labels
        of text, the reference level first; counts are integers and measurements floats.

    Raises
    ------
    OptionError
        If there is no such data set.

    Examples
    --------
    >>> from ngmm import datasets
    >>> data = datasets.load("sleepstudy")
    >>> data.shape
    (180, 3)
    >>> data["Subject"].cat.categories[0]
    '308'
    """
    dataset = describe(name)
    with (files("ngmm") / "data" / dataset.file).open("rb") as file:
        # Labels such as "NA" are text here, so pandas must not guess what is missing.
        text = pd.read_csv(
            file,
            dtype=str,
            keep_default_na=False,
            compression="gzip" if dataset.file.endswith(".gz") else None,
        )
    columns = dataset.columns
    return pd.DataFrame({c.name: _decode(text[c.name].to_numpy(), c) for c in columns})


@cache
def _catalogue() -> dict[str, Dataset]:
    """Every description, read from the package once."""
    text = (files("ngmm") / "data" / "datasets.toml").read_text(encoding="utf-8")
    return {name: _dataset(name, entry) for name, entry in tomllib.loads(text).items()}


def _dataset(name: str, entry: dict[str, Any]) -> Dataset:
    """One table of the catalogue as a record."""
    columns = tuple(_column(column) for column in entry["columns"])
    return Dataset(name=name, **{**entry, "columns": columns})


def _column(entry: dict[str, Any]) -> Column:
    """One column of the catalogue as a record."""
    levels = entry.get("levels", ())
    levels = tuple(levels) if isinstance(levels, list) else levels
    return Column(**{**entry, "levels": levels})


def _decode(text: NDArray[Any], column: Column) -> pd.Categorical | NDArray[Any]:
    """A column of text as a factor, integers or floats."""
    if column.kind == "factor":
        return pd.Categorical(text, categories=_levels(text, column))
    return text.astype("int64" if column.kind == "integer" else "float64")


def _levels(text: NDArray[Any], column: Column) -> list[str]:
    """Labels of a factor in the order of its levels."""
    if isinstance(column.levels, tuple):
        return list(column.levels)
    return sorted(set(text), key=float if column.levels == "numeric" else None)


def _about(column: Column) -> str:
    """Kind, unit, meaning and levels of a column, on one line."""
    kind = f"{column.kind}, {column.unit}" if column.unit else column.kind
    few = isinstance(column.levels, tuple) and 0 < len(column.levels) <= 6
    levels = f" [{', '.join(column.levels)}]" if few else ""
    return f"{column.text} ({kind}){levels}"
