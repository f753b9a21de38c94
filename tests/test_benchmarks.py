"""The benchmark commands run, also where no other program is installed."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"

# A finder that hides the peers from every child process.
HIDE_PEERS = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        hidden = {"mixedlm", "statsmodels", "gpboost", "catboost", "sklearn"}
        if name.partition(".")[0] in hidden:
            raise ImportError(name)

sys.meta_path.insert(0, Hide())
"""


def alone(
    tmp_path: Path, script: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a script where no other program is installed."""
    (tmp_path / "sitecustomize.py").write_text(HIDE_PEERS)
    paths = [str(tmp_path), str(FOLDER.parent)]
    return subprocess.run(
        [sys.executable, str(FOLDER / script), *arguments],
        cwd=FOLDER.parent,
        # Without a search path there is no Rscript.
        env={**os.environ, "PATH": "", "PYTHONPATH": os.pathsep.join(paths)},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module", autouse=True)
def on_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield


def test_missing_peers_are_reported(tmp_path: Path) -> None:
    run = alone(tmp_path, "run.py", "--problems", "sleepstudy", "--repeats", "1")
    assert run.returncode == 0, run.stderr
    rows = [line.split("|") for line in run.stdout.splitlines() if "|" in line]
    header = [cell.strip() for cell in rows[0]]
    cells = {
        row[2].split()[0]: dict(zip(header, map(str.strip, row), strict=True))
        for row in rows[2:]
    }
    assert cells["ngmm"]["log-likelihood"] == "-875.9697"
    assert cells["ngmm"]["agrees"] == "yes"
    for peer in ("lme4", "glmmTMB", "mixedlm", "statsmodels", "gpboost"):
        assert cells[peer]["integral"] == "not installed"


@pytest.fixture
def table() -> ModuleType:
    import table

    return table


def measured(
    adapter: str, loglik: float, later: tuple[float, ...] = (), kind: str = "exact"
) -> Any:
    from measurement import Measurement

    return Measurement("p", adapter, "ok", "1", 2.0, later, loglik, 100.0, kind)


def cells_of(text: str) -> list[list[str]]:
    lines = text.splitlines()[2:]
    return [[c.strip() for c in line.split("|")[1:-1]] for line in lines]


def test_ratios_and_agreement(table: Any) -> None:
    measurements = [
        measured("ngmm", -10.0, (0.5, 0.25, 1.0)),
        measured("lme4", -10.0005, (4.0, 5.0, 6.0)),
        measured("mixedlm", -10.5),
    ]
    rows = cells_of(table.comparison(measurements))
    assert rows[0][3:8] == ["2", "0.5", "0.4", "0.1", "100"]
    assert rows[0][9] == "yes"
    assert rows[1][9] == "yes"
    assert rows[2][9] == "no: 0.5 lower"


def test_integrals_of_one_kind_are_compared(table: Any) -> None:
    measurements = [
        measured("ngmm", -10.0, (1.0,), "quadrature"),
        measured("lme4-quadrature", -10.02, (8.0,), "quadrature"),
        measured("ngmm-laplace", -12.0, (1.0,), "laplace"),
        measured("lme4", -12.0, (4.0,), "laplace"),
        measured("glmmTMB", -12.0, (2.0,), "laplace"),
    ]
    rows = cells_of(table.comparison(measurements, {"p": -10.0}))
    # Quadrature is compared, and timed, with quadrature, Laplace with Laplace.
    verdicts = ["yes", "no: 0.02 lower", "yes", "yes", "yes"]
    assert [row[9] for row in rows] == verdicts
    assert [row[6] for row in rows] == ["0.12", "1", "0.25", "1", "0.5"]
    assert [row[10] for row in rows] == ["+0", "-0.02", "-2", "-2", "-2"]


def test_approximate_log_likelihoods_are_compared_with_none(table: Any) -> None:
    measurements = [
        measured("ngmm-laplace", -890.2713, (1.0,), "laplace"),
        measured("gpboost-cholesky", -890.2713, (1.0,), "laplace"),
        # Above the maximum, as iterative solvers may report it.
        measured("gpboost", -888.7116, (1.0,), "iterative"),
    ]
    rows = cells_of(table.comparison(measurements))
    assert [row[9] for row in rows] == ["yes", "yes", "not compared"]
    assert table.agrees(measurements[0], measurements)
    # A better value of the same kind is held against a program, whoever found it.
    better = [*measurements, measured("glmmTMB", -890.0, (1.0,), "laplace")]
    assert not table.agrees(measurements[0], better)


def test_every_script_is_a_comparison_or_a_helper() -> None:
    from comparisons import COMPARISONS, HELPERS, parts

    main = 'if __name__ == "__main__"'
    scripts = {
        path.relative_to(FOLDER).as_posix()
        for path in FOLDER.rglob("*.py")
        if main in path.read_text()
    }
    run = {
        parts(command)[0]
        for each in COMPARISONS.values()
        for command in (*each.commands, *each.small)
    }
    assert run | set(HELPERS) == scripts
    assert not run & set(HELPERS)
    for each in COMPARISONS.values():
        # A small run shows that the scripts of the whole one work.
        whole = {parts(command)[0] for command in each.commands}
        assert {parts(command)[0] for command in each.small} == whole


def test_records_belong_to_a_comparison() -> None:
    from comparisons import COMPARISONS
    from records import COMMITTED

    named = {name for each in COMPARISONS.values() for name in each.records}
    assert {path.stem for path in COMMITTED.glob("*.json")} <= named


def test_every_file_of_records_has_its_table() -> None:
    import json

    from records import COMMITTED, tidy

    for path in COMMITTED.glob("*.json"):
        made: Any = tidy(json.loads(path.read_text()))
        found: Any = pd.read_csv(path.with_suffix(".csv"))
        assert list(found) == list(made), path
        assert len(found) == len(made), path
        last = "difference" if "difference" in found else "value"
        # Twelve digits are written; differences may be rounding alone.
        pd.testing.assert_series_equal(
            found[last], made[last], rtol=1e-11, atol=1e-15, check_dtype=False
        )


def test_one_row_a_figure() -> None:
    from records import tidy

    content = [
        {
            "cell": "a",
            "sets": 20,
            "why": ["x"],
            "rates": {"t": {"rate": 0.05, "error": 0.01}},
            "seconds": 2,
        },
    ]
    assert tidy(content).to_dict("records")[0] == {
        "cell": "a",
        "sets": 20,
        "quantity": "t",
        "value": 0.05,
        "error": 0.01,
    }
    parts = {"x": {"version": "1", "rows": [{"m": 1.0}, {"m": 2.0}]}}
    assert tidy(parts).to_dict("records")[1] == {
        "part": "x",
        "version": "1",
        "replicate": 1,
        "quantity": "m",
        "value": 2.0,
    }


def test_list_names_what_is_missing(tmp_path: Path) -> None:
    from comparisons import COMPARISONS

    run = alone(tmp_path, "all.py", "--list")
    assert run.returncode == 0, run.stderr
    for name, each in COMPARISONS.items():
        (line,) = (li for li in run.stdout.splitlines() if li.startswith(f"{name} "))
        assert each.shows in line
        assert all(f"{peer} missing" in line for peer in (*each.peers, *each.needs))
    assert "missing: gpboost, pip install gpboost" in run.stdout
    assert "missing: lme4, install R" in run.stdout
    (speed,) = (li for li in run.stdout.splitlines() if li.startswith("speed "))
    assert "2026-" in speed


def test_small_run_keeps_its_figures_elsewhere(tmp_path: Path) -> None:
    from records import COMMITTED

    before = {p: p.stat().st_mtime_ns for p in COMMITTED.iterdir()}
    folder = tmp_path / "records"
    small = ("--only", "agreement", "--small", "--output", str(folder))
    run = alone(tmp_path, "all.py", *small)
    assert run.returncode == 0, run.stdout + run.stderr
    found = pd.read_csv(folder / "agreement.csv")
    columns = ["model", "program", "family", "quantity", "term", "ngmm"]
    assert list(found) == [*columns, "reference", "difference", "relative", "allowed"]
    loglik = found[(found["model"] == "lmm_sleep_corr_ml")].iloc[0]
    assert loglik["quantity"] == "loglik"
    # The stored log-likelihood of lme4, good to 1e-9.
    assert loglik["ngmm"] == pytest.approx(-875.969672231599, rel=0, abs=1e-8)
    assert loglik["difference"] == pytest.approx(0.0, abs=1e-8)
    with (folder / "runs.csv").open() as file:
        assert [row["comparison"] for row in csv.DictReader(file)] == ["agreement"]
    assert (folder / "figures" / "agreement.png").stat().st_size > 0
    assert {p: p.stat().st_mtime_ns for p in COMMITTED.iterdir()} == before


def test_small_runs_never_replace_the_committed_figures() -> None:
    from records import COMMITTED

    run = subprocess.run(
        [sys.executable, str(FOLDER / "all.py"), "--small", "--output", COMMITTED],
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert "name another folder" in run.stderr


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The command, with three comparisons of which the first fails."""
    import importlib

    from comparisons import Comparison

    command = importlib.import_module("all")
    (tmp_path / "good.py").write_text("")
    (tmp_path / "bad.py").write_text("raise SystemExit(3)")

    def entry(name: str, script: str, *needs: str) -> Comparison:
        script = str(tmp_path / script)
        return Comparison(name, "", (script,), (script,), (), 0, needs=needs)

    made = (
        entry("first", "bad.py"),
        entry("second", "good.py"),
        entry("third", "good.py", "nowhere"),
    )
    known = {each.name: each for each in made}
    monkeypatch.setattr(command, "COMPARISONS", known)
    absent = command.Peer("nowhere", None, "pip install nowhere")
    peers = {name: command.Peer(name, None, "") for name in ("matplotlib",)}
    monkeypatch.setattr(command, "probe", lambda: {**peers, "nowhere": absent})
    return command


def test_a_failure_ends_the_run_or_is_told_at_its_end(
    runner: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--output", str(tmp_path / "out")]
    assert runner.main(output) == 1
    assert "second" not in capsys.readouterr().out
    assert runner.main([*output, "--keep-going"]) == 1
    told = capsys.readouterr().out
    assert told.endswith("failed: first\n")
    assert "third: left out, nowhere missing: pip install nowhere" in told
    with (tmp_path / "out" / "runs.csv").open() as file:
        assert [row["comparison"] for row in csv.DictReader(file)] == ["second"]
    assert runner.main([*output, "--only", "second"]) == 0
