"""What is said of files that cannot be written, before and after trying."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ngmm.errors import OptionError, SavedFitError


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that could not be written after a long computation either.

    Raises
    ------
    OptionError
        If it is there and may not be replaced, or its folder is not there.
    """
    if path.is_dir():
        raise OptionError(f"{path} is a folder; give the name of a file in it")
    if path.exists() and not overwrite:
        raise OptionError(
            f"{path} is there already; give another name, or --overwrite to replace it"
        )
    if not path.parent.is_dir():
        raise OptionError(f"cannot write {path}: there is no folder {path.parent}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of what goes wrong that it concerns this file.

    Raises
    ------
    OptionError
        If it cannot be written.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OptionError(f"cannot write {path}: {error.strerror or error}") from error
    except SavedFitError as error:
        # Its remedies are calls of Python.
        if path.exists():
            check_writable(path, overwrite=False)
        raise OptionError(f"cannot write {path}: {error}") from error
