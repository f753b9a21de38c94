"""The container of a file: a zip of named members, with checksums.

Members are stored, not compressed: a file cannot grow in memory when it is read, and
whoever has neither this package nor Python can still unpack it. ``SHA256SUMS`` lists
the checksum of every other member in the format of ``sha256sum``. Order and dates are
fixed, so that the same contents are the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping

from ngmm.errors import SavedFitError

__all__ = ["SUMS", "pack", "unpack"]

SUMS = "SHA256SUMS"

# The earliest date that a zip can hold.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644 << 16


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a file with these members, in this order.

    Parameters
    ----------
    members
        Name -> contents.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        for name, contents in {**members, SUMS: _sums(members)}.items():
            info = zipfile.ZipInfo(name, _DATE)
            # Otherwise the system that writes stands in the file.
            info.create_system = 3
            info.external_attr = _MODE
            file.writestr(info, contents)
    return out.getvalue()


def unpack(raw: bytes, name: str) -> dict[str, bytes]:
    """Return the members of a file whose checksums are right.

    Parameters
    ----------
    raw
        The bytes of the file.
    name
        What messages call it.

    Raises
    ------
    SavedFitError
        If it is not such a file, or any of it was changed or cut off.
    """
    if not raw:
        raise SavedFitError(f"{name} is empty: it holds no fit")
    try:
        members = _members(raw)
    except SavedFitError:
        raise
    # zipfile reports damage by a dozen kinds of exceptions.
    except Exception as cause:
        raise SavedFitError(_not_a_fit(raw, name)) from cause
    if SUMS not in members:
        raise SavedFitError(
            f"{name} is a zip archive, but no fit: it has no {SUMS}. Load what "
            "fit.save(path) wrote"
        )
    if members.pop(SUMS) != _sums(members):
        raise SavedFitError(damaged(name, "its contents do not match their checksums"))
    return members


def damaged(name: str, why: str) -> str:
    """Return the message for a file that is not as it was written."""
    return (
        f"{name} is damaged: {why}. Copy it again from where it was written, or fit "
        "the model again and save it"
    )


def _members(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as file:
        infos = file.infolist()
        for info in infos:
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1:
                raise zipfile.BadZipFile("a member is compressed or encrypted")
        # Members that overlap could fill the memory from a small file.
        if sum(info.file_size for info in infos) > len(raw):
            raise zipfile.BadZipFile("the members are larger than the file")
        if len({info.filename for info in infos}) < len(infos):
            raise zipfile.BadZipFile("two members have one name")
        return {info.filename: file.read(info) for info in infos}


def _sums(members: Mapping[str, bytes]) -> bytes:
    lines = (
        f"{hashlib.sha256(contents).hexdigest()}  {name}\n"
        for name, contents in members.items()
    )
    return "".join(lines).encode()


def _not_a_fit(raw: bytes, name: str) -> str:
    if raw.startswith(b"PK"):
        return damaged(name, "it was cut off or changed after it was written")
    if raw.startswith(b"\x80"):
        return (
            f"{name} looks like a pickle, which can run any code when it is read; "
            "ngmm.load reads what fit.save(path) wrote"
        )
    return f"{name} is not a saved fit; ngmm.load reads what fit.save(path) wrote"
