"""The progress line in a notebook: shown in the cell's output, and nowhere else."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ngmm.progress import CellScreen, ProgressLine, notebook_screen


class Cell:
    """What a kernel does with an output: its text, and every change of it."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def display(self, content: Any, *, raw: bool, display_id: bool) -> Cell:
        assert raw
        assert display_id
        return self.update(content, raw=raw)

    def update(self, content: Any, *, raw: bool) -> Cell:
        assert raw
        self.texts.append(content["text/plain"])
        return self


def ticking(*seconds: float) -> Callable[[], float]:
    times = iter(seconds)
    return lambda: next(times)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """A process that looks as one does in which a notebook runs."""
    found = Cell()
    package, display = ModuleType("IPython"), ModuleType("IPython.display")
    shell = SimpleNamespace(kernel=object())
    vars(package)["get_ipython"] = lambda: shell
    vars(display)["display"] = found.display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return found


@pytest.mark.parametrize("progress", ["auto", True])
def test_a_cell_shows_one_output_that_changes(
    progress: bool | str, cell: Cell, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = ticking(0, 1.9, 3, 3.01, 5)
    with ProgressLine(progress, "networks", clock=clock) as line:
        line.update(1, 10, "before two seconds")
        line.update(2, 10, "searches")
        line.update(3, 10, "too soon after the last")
        line.update(10, 10)
    assert cell.texts == [
        "networks 2/10  searches  about 12 s left",
        "networks 10/10",
        "",
    ]
    assert capsys.readouterr() == ("", "")


def test_a_short_computation_leaves_no_output(cell: Cell) -> None:
    with ProgressLine("auto", "networks", clock=ticking(0, 1)) as line:
        line.update(1, 2)
    with ProgressLine(False, "networks", clock=ticking(0, 9)) as line:
        line.update(1, 2)
    assert cell.texts == []


def test_a_stream_that_is_given_comes_first(cell: Cell) -> None:
    out = io.StringIO()
    with ProgressLine(True, "x", stream=out, clock=ticking(0, 9)) as line:
        line.update(1, 2)
    assert "x 1/2" in out.getvalue()
    assert cell.texts == []


def test_ipython_in_a_terminal_is_no_notebook(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for shell in (None, SimpleNamespace(), SimpleNamespace(kernel=None)):
        monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda s=shell: s)
        assert notebook_screen() is None
    assert cell.texts == []


def test_ipython_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert notebook_screen() is None
    assert "IPython" not in sys.modules


def test_a_process_without_streams_shows_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    monkeypatch.setattr(sys, "stderr", None)
    with ProgressLine(True, "x", clock=ticking(0, 9)) as line:
        line.update(1, 2)


CODE = """
import itertools
from ngmm.progress import ProgressLine
seconds = itertools.chain([0.0, 3.0, 5.0])
with ProgressLine("auto", "training", clock=lambda: next(seconds)) as line:
    line.update(1, 3)
    line.update(2, 3)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of jupyter_client about its own loops
def test_in_a_kernel() -> None:
    manager = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    kernel, client = manager.start_new_kernel(kernel_name="python3")
    sent: list[dict[str, Any]] = []
    try:
        reply = client.execute_interactive(CODE, timeout=60, output_hook=sent.append)
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok"
    shown = [m for m in sent if m["msg_type"].endswith("display_data")]
    assert [m["msg_type"] for m in shown] == [
        "display_data",
        "update_display_data",
        "update_display_data",
    ]
    texts = [m["content"]["data"]["text/plain"] for m in shown]
    assert texts == [
        "training 1/3  about 6 s left",
        "training 2/3  about 2 s left",
        "",
    ]
    # One output: all three have its identifier.
    assert len({m["content"]["transient"]["display_id"] for m in shown}) == 1
    assert not [m for m in sent if m["msg_type"] == "stream"]


def test_wiping_needs_an_output() -> None:
    cell = Cell()
    screen = CellScreen(cell.display)
    screen.show("a")
    screen.wipe()
    assert cell.texts == ["a", ""]
