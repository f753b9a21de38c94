"""A file is whole or not there, whatever happens while it is written."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

import pytest

import ngmm
from ngmm.errors import OptionError, SavedFitError
from ngmm.persistence import atomic, to_bytes
from ngmm.persistence.atomic import write_atomically
from tests.persistence.fits import made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is there before."""
    path = tmp_path / "fit.ngmm"
    path.write_bytes(b"old")
    return path


def test_a_file_is_replaced_and_nothing_else_is_left(path: Path) -> None:
    made("nested").save(path)
    assert path.read_bytes() == to_bytes(made("nested"))
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_not_replaced_if_it_shall_not(path: Path) -> None:
    with pytest.raises(SavedFitError, match="overwrite=True"):
        made("nested").save(path, overwrite=False)
    assert path.read_bytes() == b"old"
    new = path.with_name("new.ngmm")
    made("nested").save(str(new), overwrite=False)
    assert ngmm.load(str(new)).nobs == made("nested").nobs


@pytest.mark.parametrize("what", ["write", "fsync", "replace"])
@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_the_old_file_survives(
    path: Path, monkeypatch: pytest.MonkeyPatch, what: str, failure: BaseException
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    # The system that fails, not what is tested, is replaced.
    if what == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    elif what == "fsync":
        monkeypatch.setattr(atomic.os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(type(failure)):
        write_atomically(path, b"new", overwrite=True)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_full_disk_is_reported_as_such() -> None:
    with pytest.raises(OSError, match="No space left"):
        Path("/dev/full").write_bytes(bytes(100_000))


def test_a_fit_that_cannot_be_saved_leaves_the_old_file(path: Path) -> None:
    data = made("nested").call.data.assign(blob=[{1, 2}] * made("nested").nobs)
    fit = ngmm.fit("y ~ x + offset(w) + (1 | c/h)", data)
    with pytest.raises(SavedFitError, match=r"blob.* is set, .*data=False"):
        fit.save(path)
    assert path.read_bytes() == b"old"
    fit.save(path, data=False)
    assert ngmm.load(path).fixef.equals(fit.fixef)


def test_a_folder_and_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SavedFitError, match=r"is a folder; .*fit\.ngmm"):
        made("nested").save(tmp_path)
    with pytest.raises(FileNotFoundError):
        made("nested").save(tmp_path / "none" / "fit.ngmm")
    with pytest.raises(FileNotFoundError):
        ngmm.load(tmp_path / "none.ngmm")


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes are of Unix")
def test_a_link_and_the_mode_of_the_old_file_stay(path: Path) -> None:
    path.chmod(0o640)
    link = path.with_name("link.ngmm")
    link.symlink_to(path)
    write_atomically(link, b"new", overwrite=True)
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": 3}, "path must be the name of a file"),
        ({"path": "a", "data": "no"}, "data must be True or False"),
        ({"path": "a", "overwrite": None}, "overwrite must be True or False"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        made("nested").save(**arguments)


def test_a_path_to_load_is_the_name_of_a_file() -> None:
    with pytest.raises(OptionError, match="path must be the name of a file"):
        ngmm.load(None)  # type: ignore[arg-type]
