"""`ngmm predict`: the numbers of `fit.predict`, beside the rows they are for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import ngmm
from ngmm.command_line import main
from ngmm.command_line.levels import with_levels

# A file holds all digits; pandas may read them to within a unit in the last place.
DIGITS = 1e-15


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with a missing value, and fits to it, with the data and without."""
    path = tmp_path_factory.mktemp("predict")
    data = ngmm.datasets.load("sleepstudy")
    data["Subject"] = data["Subject"].astype(int)
    data.loc[4, "Reaction"] = float("nan")
    data.to_csv(path / "data.csv", index=False)
    fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", pd.read_csv(path / "data.csv"))
    fit.save(path / "model.ngmm")
    fit.save(path / "small.ngmm", data=False)
    new = pd.DataFrame({"Subject": [308, 335], "note": ["a", "b"], "Days": [10.5, 3]})
    new.to_csv(path / "new.csv", index=False)
    return path


@pytest.fixture(scope="module")
def fit(folder: Path) -> ngmm.MixedModelFit:
    return ngmm.load(folder / "model.ngmm")


def predicted(capsys: pytest.CaptureFixture[str], *arguments: object) -> pd.DataFrame:
    """The table that was printed."""
    assert main(["predict", *map(str, arguments)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.endswith("\n")
    assert not printed.out.endswith("\n\n")
    lines = Path("printed.csv")
    lines.write_text(printed.out)
    return pd.read_csv(lines)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_new_rows(
    folder: Path, fit: ngmm.MixedModelFit, capsys: pytest.CaptureFixture[str]
) -> None:
    new = pd.read_csv(folder / "new.csv")
    found = predicted(capsys, folder / "small.ngmm", folder / "new.csv")
    assert list(found.columns) == ["Subject", "note", "Days", "fit"]
    pd.testing.assert_frame_equal(found.loc[:, list(new.columns)], new)
    assert found["fit"].tolist() == pytest.approx(list(fit.predict(new)), rel=DIGITS)


def test_options_are_those_of_the_method(
    folder: Path, fit: ngmm.MixedModelFit, capsys: pytest.CaptureFixture[str]
) -> None:
    new = pd.read_csv(folder / "new.csv")
    model, file = folder / "model.ngmm", folder / "new.csv"
    found = predicted(
        capsys, model, file, "--re", "none", "--se", "--level", "0.5", "--no-data",
        "--interval", "confidence",
    )  # fmt: skip
    expected = fit.predict(new, re="none", se=True, interval="confidence", level=0.5)
    pd.testing.assert_frame_equal(found, pd.DataFrame(expected), rtol=DIGITS)
    found = predicted(capsys, model, file, "--kind", "terms", "--no-data")
    expected = pd.DataFrame(fit.predict(new, kind="terms"))
    pd.testing.assert_frame_equal(found, expected, rtol=DIGITS)
    found = predicted(capsys, model, file, "--re", "Subject", "--prefix", "p.")
    expected = list(fit.predict(new, re=["Subject"]))
    assert found["p.fit"].tolist() == pytest.approx(expected, rel=DIGITS)


def test_rows_of_the_fit(
    folder: Path, fit: ngmm.MixedModelFit, capsys: pytest.CaptureFixture[str]
) -> None:
    found = predicted(capsys, folder / "model.ngmm")
    assert len(found) == 179
    # The row without a response is not among them, in either part of the table.
    used = pd.read_csv(folder / "data.csv").drop(index=4).reset_index(drop=True)
    pd.testing.assert_frame_equal(found.loc[:, list(used.columns)], used)
    assert found["fit"].tolist() == pytest.approx(list(fit.predict()), rel=DIGITS)


def test_levels_are_known_by_their_spelling(
    folder: Path, fit: ngmm.MixedModelFit, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "Days,Subject\n2,308\n2,new\n2,335\n"
    file = Path("mixed.csv")
    file.write_text(rows)
    found = predicted(capsys, folder / "model.ngmm", file, "--new-levels", "population")
    known = fit.predict({"Days": [2, 2], "Subject": [308, 335]})
    zero = fit.predict({"Days": [2], "Subject": [308]}, re="none")
    expected = [known[0], zero[0], known[1]]
    assert found["fit"].tolist() == pytest.approx(expected, rel=DIGITS)
    assert found["Subject"].tolist() == ["308", "new", "335"]


def test_leading_zeros_stay(capsys: pytest.CaptureFixture[str]) -> None:
    data = ngmm.datasets.load("sleepstudy")
    data["Subject"] = "0" + data["Subject"].astype(str)
    fit = ngmm.fit("Reaction ~ Days + (1 | Subject)", data)
    fit.save("model.ngmm")
    Path("new.csv").write_text("Days,Subject\n1,0308\n")
    assert main(["predict", "model.ngmm", "new.csv", "--digits", "5"]) == 0
    expected = fit.predict({"Days": [1], "Subject": ["0308"]})[0]
    printed = capsys.readouterr().out
    assert printed == f"Days,Subject,fit\n1,0308,{expected:.5g}\n"


@pytest.mark.parametrize(
    ("values", "levels", "expected"),
    [
        (["0.50", "1", "x"], [0.5, 1.0], [0.5, 1.0, "x"]),
        (["TRUE", "false"], [False, True], [True, False]),
        ([308.0, 309.0], ["308", "309"], ["308", "309"]),
        (["b", "a"], ["a", "b"], ["b", "a"]),
        ([1, 2], [1, 2], [1, 2]),
        (["a", None], ["a"], ["a", None]),
    ],
)
def test_spellings(values: list, levels: list, expected: list) -> None:
    found = with_levels(pd.Series(values), pd.Index(levels))
    shown = [None if pd.isna(value) else value for value in found]
    assert shown == expected
    assert [type(v) for v in shown] == [type(v) for v in expected]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_files_of_each_kind(ending: str, folder: Path, fit: ngmm.MixedModelFit) -> None:
    pytest.importorskip("pyarrow")
    source = Path("new.parquet")
    new = pd.read_csv(folder / "new.csv")
    new.to_parquet(source)
    target = Path(f"out.{ending}")
    arguments = ["predict", str(folder / "model.ngmm"), str(source)]
    assert main([*arguments, "--output", str(target)]) == 0
    read = pd.read_parquet if ending == "parquet" else pd.read_csv
    found = read(target)
    assert found["fit"].tolist() == pytest.approx(list(fit.predict(new)), rel=DIGITS)
    assert found["note"].tolist() == ["a", "b"]
    before = target.read_bytes()
    assert main([*arguments, "--output", str(target)]) == 2
    assert target.read_bytes() == before
    assert main([*arguments, "--output", str(target), "--overwrite", "--se"]) == 0
    assert list(read(target).columns) == ["Subject", "note", "Days", "fit", "se"]
    # Nothing half-written is left.
    assert sorted(p.name for p in Path().iterdir()) == sorted(
        ["new.parquet", target.name]
    )


BAD = {
    "no model": (["no.ngmm"], "cannot read no.ngmm: No such file"),
    "damaged model": (["{damaged}"], "damaged"),
    "a table as the model": (["{new}"], "is not a saved fit"),
    "no file": (["{model}", "no.csv"], "cannot read no.csv: No such file"),
    "ending": (["{model}", "new.xlsx"], "ends in .csv, .csv.gz or .parquet"),
    "column": (["{model}", "{column}"], '"Days" is not a column of newdata'),
    "level": (["{model}", "{level}"], "1 row has 1 unseen level"),
    "missing value": (["{model}", "{missing}"], "missing"),
    "no rows": (["{model}", "{empty}"], "newdata has no rows"),
    "group": (["{model}", "--re", "Subjct"], "is not a grouping factor"),
    "level of interval": (["{model}", "--level", "95"], "between 0 and 1"),
    "without rows": (["{small}"], "fit.save(path, data=False) left out"),
    "same name": (["{model}", "{same}"], "--prefix"),
    "output ending": (["{model}", "--output", "a.txt"], "what format a.txt"),
    "output folder": (["{model}", "--output", "no/a.csv"], "there is no folder no"),
    "output is a folder": (["{model}", "--output", "{folder}"], "is a folder"),
    "there already": (["{model}", "--output", "{new}"], "--overwrite to replace it"),
    "overwrite nothing": (["{model}", "--overwrite"], "belongs to --output"),
    "digits": (["{model}", "--digits", "0"], "--digits must be 1 or more"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(
    case: str, folder: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = BAD[case]
    files = {
        "column": "Subject\n308\n",
        "level": "Subject,Days\nnew,1\n",
        "missing": "Subject,Days\n308,\n",
        "empty": "Subject,Days\n",
        "same": "Subject,Days,fit\n308,1,2\n",
    }
    paths = {name: here / f"{name}.csv" for name in files}
    for name, text in files.items():
        paths[name].write_text(text)
    paths |= {"folder": here / "folder.csv", "damaged": here / "damaged.ngmm"}
    paths["folder"].mkdir()
    whole = (folder / "model.ngmm").read_bytes()
    paths["damaged"].write_bytes(whole[:2000] + b"\0" * 100 + whole[2100:])
    paths |= {name: folder / f"{name}.ngmm" for name in ("model", "small")}
    paths["new"] = folder / "new.csv"
    assert main(["predict", *(a.format(**paths) for a in arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("ngmm: ")
    assert message in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("where", ["input", "output"])
def test_parquet_without_pyarrow(
    where: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    arguments = {"input": ["a.parquet"], "output": ["--output", "a.parquet"]}[where]
    assert main(["predict", str(folder / "model.ngmm"), *arguments]) == 2
    assert 'type pip install "ngmm[parquet]"' in capsys.readouterr().err


def test_a_column_of_two_kinds_is_refused_by_parquet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("pyarrow")
    frame = ngmm.datasets.load("sleepstudy")
    frame["note"] = pd.Series([1, "a"] * 90, dtype=object)
    fit = ngmm.fit("Reaction ~ Days + (1 | Subject)", frame)
    try:
        fit.save("odd.ngmm")
    except ngmm.errors.SavedFitError:
        pytest.fail("a column of two kinds can be saved")
    assert main(["predict", "odd.ngmm", "--output", "odd.parquet"]) == 2
    assert "can be no part of a Parquet file" in capsys.readouterr().err
