"""A file that is not as it was written gives one kind of error, and runs nothing."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ngmm
from ngmm.errors import SavedFitError
from ngmm.persistence import archive, from_bytes, to_bytes
from ngmm.persistence.arrays import array_bytes, array_from
from tests.persistence.fits import made

RUN: list[str] = []


@pytest.fixture(scope="module")
def contents() -> bytes:
    """A small file: nothing of the rows."""
    return to_bytes(made("nested"), data=False)


def outcome(raw: bytes, expected: bytes) -> str:
    """What loading gives; anything but an error of ours or the same fit is raised."""
    try:
        fit = from_bytes(raw)
    except SavedFitError:
        return "refused"
    assert to_bytes(fit) == expected
    return "same"


def changed(contents: bytes, edit: Callable[[dict[str, bytes]], None]) -> bytes:
    """A file with other members and the checksums that belong to them."""
    members = archive.unpack(contents, "file")
    edit(members)
    return archive.pack(members)


def edited(contents: bytes, edit: Callable[[Any], None]) -> bytes:
    """A file with another manifest."""

    def of_manifest(members: dict[str, bytes]) -> None:
        tree = json.loads(members["manifest.json"])
        edit(tree)
        members["manifest.json"] = json.dumps(tree).encode()

    return changed(contents, of_manifest)


def flipped(contents: bytes, at: int) -> bytes:
    return contents[:at] + bytes([contents[at] ^ 0xFF]) + contents[at + 1 :]


def test_some_bytes_flipped_or_cut(contents: bytes) -> None:
    # Every 97th byte, and all of the directory at the end, where a zip is fragile.
    for at in [
        *range(0, len(contents), 97),
        *range(len(contents) - 200, len(contents)),
    ]:
        outcome(flipped(contents, at), contents)
        assert outcome(contents[:at], contents) == "refused"


@pytest.mark.slow
def test_every_byte_flipped_or_cut(contents: bytes) -> None:
    for at in range(len(contents)):
        outcome(flipped(contents, at), contents)
        assert outcome(contents[:at], contents) == "refused"


def test_random_bytes(contents: bytes) -> None:
    rng = np.random.default_rng(0)
    for n in (0, 1, 4, 22, 100, 1000, 10_000):
        noise = rng.bytes(n)
        assert outcome(noise, contents) == "refused"
        # With the first bytes of a zip, or in the middle of a file.
        assert outcome(b"PK\x03\x04" + noise, contents) == "refused"
        at = int(rng.integers(len(contents) - n - 1))
        outcome(contents[:at] + noise + contents[at + n :], contents)


ODD: list[Any] = [
    None,
    -1,
    10**30,
    "x",
    [],
    {},
    {"record": ["os.system", {}]},
    {"record": 3},
    {"array": 9999},
    {"network": "x"},
    {"family": ["poisson", "__class__"]},
]


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every value in a tree, as what holds it and its key."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield node, key
        if isinstance(value, (dict, list)):
            yield from places(value)


def test_other_nodes_with_right_checksums(contents: bytes) -> None:
    """Whoever writes a file on purpose gets no further than whoever damages one."""
    rng = np.random.default_rng(0)
    refused = 0

    def edit(tree: Any) -> None:
        at = list(places(tree))
        node, key = at[rng.integers(len(at))]
        node[key] = ODD[rng.integers(len(ODD))]

    for _ in range(200):
        try:
            fit = from_bytes(edited(contents, edit))
        except SavedFitError:
            refused += 1
        else:
            # A text or a number may stand for another one: then there is a fit.
            assert isinstance(fit, ngmm.MixedModelFit)
    # Most places hold nodes, of which few of the odd ones are any.
    assert refused > 100


@pytest.mark.parametrize(
    "networks", [3, [], {"a": 3}, {"a": {}}, {"a": {"inputs": [[1, "x"]]}}]
)
def test_descriptions_of_networks_that_are_none(contents: bytes, networks: Any) -> None:
    def edit(tree: Any) -> None:
        tree["networks"] = networks

    with pytest.raises(SavedFitError, match="damaged"):
        from_bytes(edited(contents, edit))


class Runs:
    """A pickle of this runs code."""

    def __reduce__(self) -> Any:
        return (RUN.append, ("run",))


def test_nothing_is_ever_unpickled(contents: bytes) -> None:
    with pytest.raises(SavedFitError, match="looks like a pickle"):
        from_bytes(pickle.dumps(Runs()))
    objects = io.BytesIO()
    np.save(objects, np.array([Runs()], dtype=object), allow_pickle=True)

    def edit(members: dict[str, bytes]) -> None:
        for name in members:
            if name.startswith("arrays/"):
                members[name] = objects.getvalue()

    with pytest.raises(SavedFitError, match="damaged"):
        from_bytes(changed(contents, edit))
    assert RUN == []


def test_a_formula_in_a_file_calls_no_more_than_one_that_is_typed() -> None:
    contents = to_bytes(made("transforms"))
    evil = "poly(x, 2) + bs(z, df=4) * c + C(h, contr.sum)"
    for call in (
        "__import__('os').getcwd()",
        "(lambda: 1)()",
        "eval('1')",
        "x.__class__",
    ):

        def edit(members: dict[str, bytes], call: str = call) -> None:
            text = members["manifest.json"].decode()
            assert f'"1 + {evil}"' in text
            swapped = text.replace(f'"1 + {evil}"', json.dumps(f"1 + {call}"))
            members["manifest.json"] = swapped.encode()

        with pytest.raises(SavedFitError, match="damaged"):
            from_bytes(changed(contents, edit))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"3",
        b"{}",
        b'{"format": "other", "version": 1}',
        b'{"format": "ngmm fit", "version": "1"}',
        b"[" * 100_000,
    ],
)
def test_other_formats(contents: bytes, header: bytes) -> None:
    def edit(members: dict[str, bytes]) -> None:
        members["format.json"] = header

    with pytest.raises(SavedFitError, match="is not a saved fit"):
        from_bytes(changed(contents, edit))


def test_a_newer_file_says_what_to_install(contents: bytes) -> None:
    def edit(members: dict[str, bytes]) -> None:
        newer = {"format": "ngmm fit", "version": 2, "ngmm": "9.1"}
        members["format.json"] = json.dumps(newer).encode()

    with pytest.raises(SavedFitError, match=r"ngmm 9\.1 in version 2.*--upgrade ngmm"):
        from_bytes(changed(contents, edit))


def test_a_declared_size_is_believed_only_if_the_bytes_are_there() -> None:
    small = array_bytes(np.zeros(3))
    assert array_from(small).tolist() == [0.0, 0.0, 0.0]
    # As long as the header has it, 8 TB are as quickly written as 24 bytes.
    huge = small.replace(b"(3,), }           ", b"(1000000000000,), }")
    assert len(huge) >= len(small)
    with pytest.raises(ValueError, match="bytes for an array of shape"):
        array_from(huge)


def test_a_compressed_member_is_refused(contents: bytes) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, member in archive.unpack(contents, "file").items():
            file.writestr(name, member)
        # A thousand times as large in memory as it is on the disk.
        file.writestr("arrays/bomb.npy", bytes(10_000_000))
    assert len(out.getvalue()) < 1_000_000
    with pytest.raises(SavedFitError, match="damaged"):
        from_bytes(out.getvalue())


def test_another_zip_archive_is_no_fit(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", "text")
    with pytest.raises(SavedFitError, match=r"other\.zip is a zip archive, but no fit"):
        ngmm.load(path)


def test_the_checksums_are_those_of_sha256sum(contents: bytes) -> None:
    import hashlib

    with zipfile.ZipFile(io.BytesIO(contents)) as file:
        lines = file.read("SHA256SUMS").decode().splitlines()
        listed = {line[66:]: line[:64] for line in lines}
        assert set(listed) == set(file.namelist()) - {"SHA256SUMS"}
        for name, digest in listed.items():
            assert hashlib.sha256(file.read(name)).hexdigest() == digest
