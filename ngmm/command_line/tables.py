"""Tables read from files and written to files, by the ending of their names."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Collection, Hashable
from pathlib import Path

import pandas as pd

from ngmm.command_line.files import check_writable, writing
from ngmm.errors import DataError, OptionError
from ngmm.extras import optional
from ngmm.persistence.atomic import write_atomically

ENDINGS = ".csv, .csv.gz or .parquet"


def is_table(path: Path) -> bool:
    """Whether the name of a file ends as that of a table does."""
    return _is_csv(path) or _is_parquet(path)


def read_table(path: Path, text: Collection[str] = ()) -> pd.DataFrame:
    """Read a table.

    Parameters
    ----------
    path
        The file.
    text
        Columns of a CSV file whose values stay as they are spelled: ``007`` is no 7.

    Raises
    ------
    DataError
        If the ending is unknown or the file is damaged.
    MissingPackageError
        If it is a Parquet file and pyarrow is not installed.
    OSError
        If there is no such file, or it cannot be read.
    """
    if _is_csv(path):

        def read() -> pd.DataFrame:
            # The whole column decides its type, not its first part.
            types: dict[Hashable, type[str]] = dict.fromkeys(text, str)
            return pd.read_csv(path, low_memory=False, dtype=types)

    elif _is_parquet(path):
        optional("pyarrow", "parquet", "a Parquet file")

        def read() -> pd.DataFrame:
            return pd.read_parquet(path, engine="pyarrow")

    else:
        raise DataError(
            f"cannot tell the format of {path}; expected a name that ends in {ENDINGS}."
        )
    return _read(path, read)


def _read(path: Path, read: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Read, and say of any damage which file it is in."""
    try:
        return read()
    except OSError as error:
        # Damaged archives raise an OSError without a name or a reason.
        if error.strerror:
            raise
        raise DataError(f"cannot read {path}: {error}") from error
    except (EOFError, ImportError, ValueError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def check_output(path: Path | None, *, overwrite: bool) -> None:
    """Refuse a file for a table that could not be written, before computing it.

    Raises
    ------
    OptionError
        If its ending is unknown, it is there and may not be replaced, or ``overwrite``
        stands without a file.
    MissingPackageError
        If it is a Parquet file and pyarrow is not installed.
    """
    if path is None:
        if overwrite:
            raise OptionError("--overwrite belongs to --output FILE")
        return
    if not is_table(path):
        raise OptionError(
            f"cannot tell what format {path} should have; expected a name that ends "
            f"in {ENDINGS}"
        )
    if _is_parquet(path):
        optional("pyarrow", "parquet", "a Parquet file")
    check_writable(path, overwrite=overwrite)


def write_table(
    frame: pd.DataFrame, path: Path | None, *, overwrite: bool
) -> str | None:
    """Write a table without its index; return it as CSV if there is no file.

    Raises
    ------
    OptionError
        If the file cannot be written, or a column can be no part of a Parquet file.
    """
    if path is None:
        return _csv(frame).removesuffix("\n")
    contents = _parquet(frame) if _is_parquet(path) else _csv(frame).encode()
    if path.suffix.lower() == ".gz":
        # Without the time, equal tables are equal files.
        contents = gzip.compress(contents, mtime=0)
    with writing(path):
        write_atomically(path, contents, overwrite=overwrite)
    return None


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")


def _parquet(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    try:
        frame.to_parquet(out, engine="pyarrow", index=False)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise OptionError(
            f"a column can be no part of a Parquet file ({error}); write a .csv file"
        ) from error
    return out.getvalue()


def _is_csv(path: Path) -> bool:
    return path.name.lower().endswith((".csv", ".csv.gz"))


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in {".parquet", ".pq"}
