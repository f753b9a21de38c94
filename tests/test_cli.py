"""The command line: what it prints, and what it says about bad input."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import ngmm
from ngmm.__main__ import main
from ngmm.errors import RankDeficiencyWarning
from ngmm.model import GeneralizedEstimate

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "sleepstudy.csv"
    ngmm.datasets.load("sleepstudy").to_csv(path, index=False)
    return path


def _constant(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


def run_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    """Run with --json and read the one document that was printed."""
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out, parse_constant=_constant)


def test_fit_prints_the_summary(csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", FORMULA, str(csv)]) == 0
    printed = capsys.readouterr()
    data = pd.read_csv(csv)
    assert printed.out == f"{ngmm.fit(FORMULA, data).summary()}\n"
    assert printed.err == ""


def test_markdown(csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", FORMULA, str(csv), "--markdown"]) == 0
    expected = ngmm.fit(FORMULA, pd.read_csv(csv)).summary().to_markdown()
    assert capsys.readouterr().out == f"{expected}\n"


def test_json(csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = run_json(["fit", FORMULA, str(csv), "--reml"], capsys)
    # lme4's REML fit; tolerances of the tests against it.
    assert document["loglik"] == pytest.approx(-871.814135979, abs=1e-5)
    assert document["nobs"] == 180
    assert document["n_levels"] == {"Subject": 18}
    assert document["reml"] is True
    assert document["converged"] is True
    assert document["messages"] == []
    assert [row["name"] for row in document["fixef"]] == ["Intercept", "Days"]
    assert document["fixef"][1]["estimate"] == pytest.approx(10.4672859, rel=1e-6)
    assert document["varcorr"][-1]["group"] == "Residual"
    assert document["varcorr"][-1]["sd"] == pytest.approx(25.5918, rel=1e-5)


def test_json_has_null_for_what_is_not_a_number(
    csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Without degrees of freedom, and a residual row without a correlation.
    document = run_json(["fit", FORMULA, str(csv), "--df", "none"], capsys)
    assert document["varcorr"][-1]["corr"] is None


def test_columns_for_weights_and_offset(
    csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = pd.read_csv(csv).assign(w=lambda d: 1 + d["Days"] % 3, shift=100.0)
    data.to_csv(csv, index=False)
    arguments = ["fit", FORMULA, str(csv), "--weights", "w"]
    plain = run_json(arguments, capsys)
    shifted = run_json([*arguments, "--offset", "shift"], capsys)
    expected = ngmm.fit(FORMULA, data, weights="w")
    # The same computation.
    assert plain["loglik"] == pytest.approx(expected.loglik, rel=1e-12)
    # A constant offset moves the intercept; the optimiser sees the same problem.
    moved = plain["fixef"][0]["estimate"] - shifted["fixef"][0]["estimate"]
    assert moved == pytest.approx(100, rel=1e-6)


@pytest.fixture
def herds(tmp_path: Path) -> Path:
    path = tmp_path / "cbpp.csv"
    ngmm.datasets.load("cbpp").to_csv(path, index=False)
    return path


def test_a_generalized_model(herds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    formula = "incidence ~ C(period) + (1 | herd)"
    arguments = ["fit", formula, str(herds), "--family", "binomial", "--quad", "9"]
    document = run_json([*arguments, "--trials", "size"], capsys)
    # lme4 with nine nodes and all constants; tolerances of the tests against it.
    assert document["loglik"] == pytest.approx(-91.9833717963, abs=1e-5)
    assert (document["family"], document["link"]) == ("binomial", "logit")
    assert document["phi"] is None
    assert document["integral"]["n_nodes"] == 9
    assert document["varcorr"][0]["sd"] == pytest.approx(0.647517712, rel=1e-4)


def test_link_and_one_number_of_trials(
    herds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    formula = "incidence ~ C(period) + (1 | herd)"
    arguments = ["fit", formula, str(herds), "--family", "binomial", "--trials", "40"]
    document = run_json([*arguments, "--link", "probit"], capsys)
    expected = ngmm.fit(
        formula, pd.read_csv(herds), family="binomial", link="probit", trials=40
    )
    # The same computation.
    assert document["loglik"] == pytest.approx(expected.loglik, rel=1e-12)
    assert isinstance(expected.estimate, GeneralizedEstimate)
    assert document["integral"]["text"] == expected.estimate.integral.text


def test_an_exact_likelihood_has_no_rule(
    csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = run_json(["fit", FORMULA, str(csv)], capsys)
    assert (document["integral"], document["phi"]) == (None, None)


def test_compressed_csv(csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = csv.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(csv.read_bytes()))
    assert main(["fit", FORMULA, str(csv)]) == 0
    plain = capsys.readouterr().out
    assert main(["fit", FORMULA, str(packed)]) == 0
    assert capsys.readouterr().out == plain


def test_parquet(
    csv: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    path = csv.with_suffix(".parquet")
    pd.read_csv(csv).to_parquet(path)
    assert main(["fit", FORMULA, str(csv)]) == 0
    plain = capsys.readouterr().out
    assert main(["fit", FORMULA, str(path)]) == 0
    assert capsys.readouterr().out == plain


def test_warnings_are_lines_of_the_error_stream(
    csv: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import warnings

    fit = ngmm.fit

    def warn(*args: Any, **kwargs: Any) -> ngmm.MixedModelFit:
        warnings.warn("dropped x2", RankDeficiencyWarning, stacklevel=2)
        return fit(*args, **kwargs)

    monkeypatch.setattr(ngmm, "fit", warn)
    assert main(["fit", FORMULA, str(csv)]) == 0
    assert capsys.readouterr().err == "ngmm: warning: dropped x2\n"


def test_interrupted(
    csv: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ngmm, "fit", stop)
    assert main(["fit", FORMULA, str(csv)]) == 130
    assert capsys.readouterr() == ("", "")


def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out
    assert "Reaction ~ " in printed
    assert "Days" in printed


def test_datasets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ngmm.datasets.names()
    assert main(["datasets", "cake"]) == 0
    assert capsys.readouterr().out == f"{ngmm.datasets.describe('cake')}\n"


BAD_INPUT = {
    "formula": (["fit", "Reaction ~ Days + Days | Subject", "{csv}"], "parenthes"),
    "column": (
        ["fit", "Reaction ~ Dyas + (1 | Subject)", "{csv}"],
        'did you mean "Days"?',
    ),
    "weights": (["fit", FORMULA, "{csv}", "--weights", "weight"], '"weight"'),
    "family": (["fit", FORMULA, "{csv}", "--family", "gausian"], "gaussian"),
    "df": (["fit", FORMULA, "{csv}", "--df", "kenwood"], "df must be one of"),
    "quad": (["fit", FORMULA, "{csv}", "--quad", "9"], "leave quad out"),
    "trials": (["fit", FORMULA, "{csv}", "--trials", "9"], "for binomial responses"),
    "link": (["fit", FORMULA, "{csv}", "--link", "log"], "has no link 'log'"),
    "no file": (["fit", FORMULA, "no.csv"], "cannot read no.csv: No such file"),
    "folder": (["fit", FORMULA, "{folder}"], "cannot"),
    "ending": (["fit", FORMULA, "data.xlsx"], "ends in .csv, .csv.gz or .parquet"),
    "empty file": (["fit", FORMULA, "{empty}"], "cannot read"),
    "damaged archive": (["fit", FORMULA, "{damaged}"], "cannot read"),
    "damaged parquet": (["fit", FORMULA, "{parquet}"], "cannot read"),
    "cut archive": (["fit", FORMULA, "{cut}"], "cannot read"),
    "spoilt archive": (["fit", FORMULA, "{spoilt}"], "cannot read"),
    "not text": (["fit", FORMULA, "{binary}"], "cannot read"),
    "data set": (["datasets", "cakes"], 'did you mean "cake"?'),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input(
    case: str, csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = BAD_INPUT[case]
    files = {"empty": "a.csv", "damaged": "b.csv.gz", "parquet": "c.parquet"}
    paths = {name: tmp_path / file for name, file in files.items()}
    paths["empty"].write_text("")
    paths["damaged"].write_bytes(b"not gzip")
    paths["parquet"].write_bytes(b"not parquet")
    paths |= {"binary": tmp_path / "d.csv", "csv": csv, "folder": tmp_path / "e.csv"}
    packed = gzip.compress(csv.read_bytes())
    paths |= {"cut": tmp_path / "f.csv.gz", "spoilt": tmp_path / "g.csv.gz"}
    paths["cut"].write_bytes(packed[:500])
    paths["spoilt"].write_bytes(packed[:300] + b"\xff" * 99 + packed[399:])
    paths["binary"].write_bytes(b"Reaction,Days\n\xff\xfe\xfd,1\n")
    paths["folder"].mkdir()
    assert main([argument.format(**paths) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("ngmm: ")
    assert message in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("arguments", [[], ["fit"], ["fit", FORMULA], ["nothing"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: ngmm" in capsys.readouterr().err


def test_module_and_exit_status() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ngmm", "datasets", "sleep"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith('ngmm: there is no data set "sleep"')
    assert len(run.stderr.splitlines()) == 1
