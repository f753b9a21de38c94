"""The benchmark command runs, also where no other program is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"

# A finder that hides the peers from every child process.
HIDE_PEERS = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"mixedlm", "statsmodels"}:
            raise ImportError(name)

sys.meta_path.insert(0, Hide())
"""


def test_missing_peers_are_reported(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDE_PEERS)
    paths = [str(tmp_path), str(FOLDER.parent)]
    run = subprocess.run(
        [sys.executable, "run.py", "--problems", "sleepstudy", "--repeats", "1"],
        cwd=FOLDER,
        # Without a search path there is no Rscript.
        env={**os.environ, "PATH": "", "PYTHONPATH": os.pathsep.join(paths)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    rows = [line.split("|") for line in run.stdout.splitlines() if "|" in line]
    cells = {row[2].split()[0]: [cell.strip() for cell in row] for row in rows[2:]}
    assert cells["ngmm"][8] == "-875.9697"
    assert cells["ngmm"][9] == "yes"
    for peer in ("lme4", "mixedlm", "statsmodels"):
        assert cells[peer][3] == "not installed"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    import table

    return table


def test_ratios_and_agreement(table: Any) -> None:
    from measurement import Measurement

    measurements = [
        Measurement("p", "ngmm", "ok", "1", 2.0, (0.5, 0.25, 1.0), -10.0, 100.0),
        Measurement("p", "lme4", "ok", "1", 4.0, (4.0, 5.0, 6.0), -10.0005, 50.0),
        Measurement("p", "mixedlm", "ok", "1", 1.0, (), -10.5, 50.0),
    ]
    text = table.comparison(measurements)
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()]
    assert rows[2][2:7] == ["2", "0.5", "0.4", "0.1", "100"]
    assert rows[2][8] == "yes"
    assert rows[3][8] == "yes"
    assert rows[4][8] == "no: 0.5 lower"
