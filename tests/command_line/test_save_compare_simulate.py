"""`ngmm fit --save`, `compare` and `simulate`: what Python's functions give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import ngmm
from ngmm.command_line import main

SLOPES = "Reaction ~ Days + (Days | Subject)"
LEVELS = "Reaction ~ Days + (1 | Subject)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and two fits that the command line has saved."""
    path = tmp_path_factory.mktemp("saved")
    ngmm.datasets.load("sleepstudy").to_csv(path / "data.csv", index=False)
    for name, formula in (("slopes", SLOPES), ("levels", LEVELS)):
        arguments = [formula, str(path / "data.csv"), "--save", str(path / name)]
        assert main(["fit", *arguments]) == 0
    return path


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([*map(str, arguments)]) == 0
    out = capsys.readouterr()
    assert out.err == ""
    return out.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([*map(str, arguments)]) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.startswith("ngmm: ")
    return out.err


def test_the_saved_fit_is_the_fit(folder: Path) -> None:
    again = ngmm.load(folder / "slopes")
    assert again.seed == 0
    expected = ngmm.fit(SLOPES, pd.read_csv(folder / "data.csv"))
    # The same computation.
    assert again.loglik == expected.loglik
    pd.testing.assert_frame_equal(again.call.data, expected.call.data)


def test_saving_without_the_data_and_over_a_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "model"
    fit = ["fit", LEVELS, folder / "data.csv"]
    printed(capsys, *fit, "--save", target)
    whole = target.stat().st_size
    assert "--overwrite to replace it" in refused(capsys, *fit, "--save", target)
    assert target.stat().st_size == whole
    printed(capsys, *fit, "--save", target, "--overwrite", "--no-data")
    assert target.stat().st_size < whole
    with pytest.raises(ngmm.errors.SavedFitError):
        ngmm.load(target).predict()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--overwrite"], "belongs to --save"),
        (["--no-data"], "belongs to --save"),
        (["--save", "{folder}"], "is a folder"),
        (["--save", "{folder}/none/m"], "there is no folder"),
        (["--restarts", "0"], "restarts must be"),
        (["--seed", "-1"], "seed"),
    ],
)
def test_bad_options_of_fit(
    options: list[str],
    message: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [option.format(folder=folder) for option in options]
    error = refused(capsys, "fit", LEVELS, folder / "data.csv", *given)
    assert message in error


@pytest.mark.slow
def test_networks_in_formulas(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    formula = "Reaction ~ nn(Days, hidden=()) + (1 | Subject)"
    model = tmp_path / "network"
    options = ["--restarts", 1, "--seed", 3, "--save", model, "--json"]
    document = json.loads(
        printed(capsys, "fit", formula, folder / "data.csv", *options)
    )
    expected = ngmm.fit(
        formula,
        pd.read_csv(folder / "data.csv"),
        estimator=ngmm.Evidence(restarts=1),
        seed=3,
    )
    # The same computation.
    assert document["loglik"] == expected.loglik
    (row,) = document["networks"]
    assert (row["name"], row["layout"]) == ("nn(Days)", "1-1")
    text = printed(capsys, "predict", model, "--no-data")
    assert [float(x) for x in text.split()[1:]] == expected.predict().tolist()
    error = refused(capsys, "fit", "Reaction ~ nn(Days, net=a) + (1 | Subject)",
                    folder / "data.csv")  # fmt: skip
    assert 'networks= has no "a"' in error


def test_comparing_saved_fits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fits = [ngmm.load(folder / name) for name in ("levels", "slopes")]
    compare = ["compare", folder / "levels", folder / "slopes"]
    out = printed(capsys, *compare, "--folds", 3, "--new", "rows", "--seed", 5)
    expected = ngmm.compare(*fits, folds=3, new="rows", seed=5)
    assert out == f"{expected}\n"
    out = printed(capsys, *compare, "--test", "chi2", "--markdown")
    assert out == f"{ngmm.lrt(*fits, method='chi2').to_markdown()}\n"


def test_comparing_formulas(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = pd.read_csv(folder / "data.csv")
    compare = ["compare", folder / "data.csv", LEVELS, SLOPES]
    out = printed(capsys, *compare, "--folds", 3, "--reml", "--json")
    document = json.loads(out)
    fits = [ngmm.fit(formula, data, reml=True) for formula in (LEVELS, SLOPES)]
    expected = ngmm.compare(*fits, folds=3).to_frame()
    assert [row["model"] for row in document["rows"]] == list(expected.index)
    assert [row["elpd"] for row in document["rows"]] == expected["elpd"].tolist()
    assert document["caption"][0].startswith("elpd: log predictive density")


def test_a_test_takes_a_linear_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compare = ["compare", folder / "data.csv", "Reaction ~ Days", LEVELS]
    out = printed(capsys, *compare, "--test", "auto", "-n", 1000, "--json")
    rows: list[dict[str, Any]] = json.loads(out)["rows"]
    fit = ngmm.fit(LEVELS, pd.read_csv(folder / "data.csv"))
    expected = ngmm.lrt("Reaction ~ Days", fit, n=1000).to_frame()
    assert [row["row"] for row in rows] == ["m0", "m1"]
    assert rows[1]["method"] == "exact"
    assert rows[1]["p_value"] == expected["p_value"].iloc[1]
    assert rows[0]["p_value"] is None
    assert "no random effect" in refused(capsys, *compare)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{levels}"], "two models or more"),
        (["{levels}", "no"], "cannot read no: No such file"),
        (["{data}"], "is no saved fit but a table"),
        (["{data}", "{levels}", LEVELS, SLOPES], "expected one file of data"),
        ([LEVELS, SLOPES], "expected one file of data beside the formulas, got 0"),
        (["{levels}", "{slopes}", "--reml"], "--reml is for formulas"),
        (["{levels}", "{slopes}", "-n", "9"], "-n belongs to --test"),
        (["{levels}", "{slopes}", "--test", "auto", "--by", "x"], "--by belongs to"),
        (["{levels}", "{slopes}", "--test", "chi"], "method must be one of"),
        (["{levels}", "{slopes}", "--by", "x"], "x"),
        (["{levels}", "{slopes}", "--folds", "1"], "folds must be 2 or more"),
    ],
)
def test_bad_comparisons(
    arguments: list[str],
    message: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = {name: folder / name for name in ("levels", "slopes")}
    paths["data"] = folder / "data.csv"
    given = [argument.format(**paths) for argument in arguments]
    assert message in refused(capsys, "compare", *given)


def test_simulated_responses(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "drawn.csv.gz"
    simulate = ["simulate", folder / "slopes", "-n", 3, "--seed", 7]
    assert printed(capsys, *simulate, "--output", target) == ""
    found = pd.read_csv(target)
    expected = ngmm.load(folder / "slopes").simulate(3, 7)
    assert list(found.columns[:3]) == ["Reaction", "Days", "Subject"]
    assert list(found.columns[3:]) == ["sim_1", "sim_2", "sim_3"]
    # pandas may read the digits to within a unit in the last place.
    drawn = found.iloc[:, 3:].to_numpy()
    assert drawn == pytest.approx(expected.to_numpy(), rel=1e-15)
    alone = printed(capsys, *simulate, "--no-data", "--prefix", "y_")
    assert alone.splitlines()[0] == "y_sim_1,y_sim_2,y_sim_3"
    # Equal tables are equal files: no time of writing is in them.
    before = target.read_bytes()
    printed(capsys, *simulate, "--output", target, "--overwrite")
    assert target.read_bytes() == before
    assert "1 or more" in refused(capsys, *simulate, "--digits", -1)
    assert "n must be" in refused(capsys, "simulate", folder / "slopes", "-n", 0)


def test_writing_the_embedded_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "cake.csv"
    assert printed(capsys, "datasets", "cake", "--output", target) == ""
    assert len(pd.read_csv(target)) == len(ngmm.datasets.load("cake"))
    assert "name it" in refused(capsys, "datasets", "--output", tmp_path / "a.csv")
