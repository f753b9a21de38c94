"""`fit.save` and `ngmm.load`: one file, checked before anything is made of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ngmm.errors import NgmmError, OptionError, SavedFitError
from ngmm.persistence.archive import damaged, pack, unpack
from ngmm.persistence.atomic import write_atomically
from ngmm.persistence.document import Document, from_document, to_document
from ngmm.persistence.networks import check_described, given_networks
from ngmm.results import MixedModelFit

__all__ = ["FORMAT", "VERSION", "from_bytes", "load", "save", "to_bytes"]

FORMAT = "ngmm fit"
# Raised whenever what an older ngmm reads in a file would be wrong or not enough.
VERSION = 1

_HEADER, _MANIFEST, _ARRAY = "format.json", "manifest.json", "arrays/{}.npy"


def save(
    fit: MixedModelFit,
    path: str | os.PathLike[str],
    *,
    data: bool = True,
    overwrite: bool = True,
) -> None:
    """Write a fit to one file; see `MixedModelFit.save`.

    Parameters
    ----------
    fit
        The fit.
    path
        Where to write it.
    data
        Whether the file holds the rows, see `MixedModelFit.save`.
    overwrite
        Whether a file of that name is replaced.

    Raises
    ------
    OptionError
        If ``path`` is not the name of a file, or a flag neither True nor False.
    SavedFitError
        If there is such a file and ``overwrite`` is False, or something in the fit can
        be no part of a file.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> import pathlib, tempfile
    >>> from ngmm.persistence import save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "sleep.ngmm")
    ...     save(fit, path)
    ...     path.stat().st_size > 1000
    True
    """
    for name, value in (("data", data), ("overwrite", overwrite)):
        if not isinstance(value, bool):
            raise OptionError(f"{name} must be True or False, got {value!r}")
    write_atomically(_path(path), to_bytes(fit, data=data), overwrite=overwrite)


def load(
    path: str | os.PathLike[str], *, networks: Mapping[str, Any] | None = None
) -> MixedModelFit:
    """Return the fit that `MixedModelFit.save` wrote.

    Nothing in the file is run, and no class is looked up by what the file says: it
    holds numbers, text and the names of ngmm's own records.

    Parameters
    ----------
    path
        The file.
    networks
        Name -> network, for networks of your own, ``nn(x, net=name)``, of equinox, flax
        or plain functions: a file holds their weights but no code. The architecture has
        to be the same; the weights that these networks have do not matter.

    Returns
    -------
    MixedModelFit
        Its predictions and tables are those of the fit that was saved, to the last bit
        on the same machine with the same versions of numpy and jax.

    Raises
    ------
    SavedFitError
        If the file is not one of `MixedModelFit.save`, is damaged, or was written by a
        newer ngmm; if a network is missing or of another architecture.
    OptionError
        If ``path`` is not the name of a file.
    OSError
        If there is no such file, or it cannot be read.

    Examples
    --------
    >>> import tempfile, pathlib, ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "sleep.ngmm")
    ...     fit.save(path)
    ...     again = ngmm.load(path)
    >>> again.predict().equals(fit.predict())
    True
    """
    file = _path(path)
    return from_bytes(file.read_bytes(), networks, name=str(file))


def to_bytes(fit: MixedModelFit, *, data: bool = True) -> bytes:
    """Return the contents of the file of a fit.

    Parameters
    ----------
    fit
        The fit.
    data
        Whether the rows are among them.

    Returns
    -------
    bytes
        What `save` writes: an archive without code.

    Raises
    ------
    SavedFitError
        If it holds something that a file cannot.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> from ngmm.persistence import to_bytes
    >>> len(to_bytes(fit, data=False)) < len(to_bytes(fit))
    True
    """
    document = to_document(fit, data=data)
    header = {"format": FORMAT, "version": VERSION, "ngmm": _version()}
    manifest = {**document.tree, "arrays": len(document.arrays)}
    members = {_HEADER: _json(header), _MANIFEST: _json(manifest)}
    for number, contents in enumerate(document.arrays):
        members[_ARRAY.format(number)] = contents
    return pack(members)


def from_bytes(
    raw: bytes, networks: Mapping[str, Any] | None = None, *, name: str = "the file"
) -> MixedModelFit:
    """Return the fit of the contents of a file, as `load` does.

    Parameters
    ----------
    raw
        The contents.
    networks
        As for `load`.
    name
        What messages call the file.

    Returns
    -------
    MixedModelFit
        As from `load`.

    Raises
    ------
    SavedFitError
        As from `load`.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> from ngmm.persistence import from_bytes, to_bytes
    >>> from_bytes(to_bytes(fit)).loglik == fit.loglik
    True
    """
    members = unpack(raw, name)
    _check_header(members.get(_HEADER, b""), name)
    try:
        tree = json.loads(members[_MANIFEST])
        arrays = [members[_ARRAY.format(i)] for i in range(tree["arrays"])]
        described = check_described(tree["networks"])
    # Of many kinds, as below.
    except Exception as cause:
        raise SavedFitError(damaged(name, _reason(cause))) from cause
    given = given_networks(described, networks, name)
    try:
        return from_document(Document(tree, arrays), given)
    except SavedFitError:
        raise
    # The checksums are right, so someone wrote these contents on purpose: whatever is
    # wrong with them, the answer is the same.
    except Exception as cause:
        why = str(cause) if isinstance(cause, NgmmError) else _reason(cause)
        raise SavedFitError(damaged(name, why)) from cause


def _check_header(contents: bytes, name: str) -> None:
    """Refuse other formats, and those of a later version."""
    try:
        header = json.loads(contents)
        fine = header["format"] == FORMAT and type(header["version"]) is int
    except (ValueError, LookupError, TypeError, RecursionError):
        fine = False
        header = {}
    if not fine:
        raise SavedFitError(
            f"{name} is not a saved fit; ngmm.load reads what fit.save(path) wrote"
        )
    if header["version"] > VERSION:
        raise SavedFitError(
            f"{name} was written by ngmm {header.get('ngmm')} in version "
            f"{header['version']} of its format; this is ngmm {_version()}, which "
            f"reads versions up to {VERSION}: type pip install --upgrade ngmm"
        )


def _path(path: Any) -> Path:
    try:
        return Path(os.fspath(path))
    except TypeError:
        raise OptionError(
            f'path must be the name of a file, such as "fit.ngmm"; got {path!r}'
        ) from None


def _json(tree: Any) -> bytes:
    return json.dumps(tree, allow_nan=False, separators=(",", ":")).encode()


def _reason(cause: BaseException) -> str:
    return f"{type(cause).__name__} ({cause})" if str(cause) else type(cause).__name__


def _version() -> str:
    from ngmm import __version__

    return __version__
