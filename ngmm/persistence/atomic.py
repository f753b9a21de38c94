"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from ngmm.errors import SavedFitError

__all__ = ["write_atomically"]


def write_atomically(path: Path, contents: bytes, *, overwrite: bool) -> None:
    """Write a file so that a failure at any moment leaves what was there before.

    The bytes go to a temporary file in the same folder, which takes the place of the
    old one once they are on the disk.

    Parameters
    ----------
    path
        Where to.
    contents
        What.
    overwrite
        Whether it may take the place of a file.

    Raises
    ------
    SavedFitError
        If there is a file and ``overwrite`` is False, or the path is a folder.
    OSError
        If the folder does not exist or cannot be written to, or the disk is full.
    """
    # A link stays a link: the file that it points to is replaced.
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise SavedFitError(
            f"{path} is a folder; give the name of a file: "
            f'fit.save("{path / "fit.ngmm"}")'
        )
    if not overwrite and path.exists():
        raise SavedFitError(
            f"{path} is there already; give another name, or let it be replaced: "
            "fit.save(path, overwrite=True)"
        )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        _write(temporary, contents)
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o7777)
        temporary.replace(path)
    # KeyboardInterrupt as well: nothing half-written stays behind.
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _settle(path.parent)


def _write(path: Path, contents: bytes) -> None:
    with path.open("xb") as file:
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """Ask for the new name to be on the disk too, where a system knows how."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
