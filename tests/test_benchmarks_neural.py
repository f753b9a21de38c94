"""The simulators have the moments that they promise; scores and rows are kept right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

FOLDER = Path(__file__).parents[1] / "benchmarks" / "neural"

# Standard errors that a mean may be off by: exceeded once in 16,000 correct means, and
# the seeds are fixed.
SIGMAS = 4.0


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    import simulate  # pyright: ignore[reportMissingImports]

    return simulate


def _within(values: Any, mean: float) -> bool:
    error = np.std(values) / np.sqrt(len(values))
    return bool(abs(np.mean(values) - mean) <= SIGMAS * error)


def test_friedman_is_the_published_function(make: Any) -> None:
    # sin(pi/2 * 1) = 1, so the parts are 10, 20 / 4, 10 and 5; the sum is exact but for
    # the rounding of pi.
    value = make.friedman_function(np.array([[0.5, 1.0, 0.0, 1.0, 1.0]]))
    np.testing.assert_allclose(value, [(10 + 5 + 10 + 5) / 5], rtol=1e-15)


def test_friedman_has_unit_variances(make: Any) -> None:
    made = make.friedman(0, groups=4000, rows=5)
    data = made.data
    noise = data["y"] - made.f - made.b[data["g"]]
    assert _within(noise, 0.0)
    assert _within(noise**2, 1.0)
    assert _within(made.b, 0.0)
    assert _within(made.b**2, 1.0)
    # 10 E sin(pi u v) + 20 / 12 + 5 + 2.5, by the midpoint rule on 2000^2 points, whose
    # error of 1e-7 is far below the standard error.
    u = (np.arange(2000) + 0.5) / 2000
    wave = float(np.mean([np.sin(np.pi * u * v).mean() for v in u]))
    assert _within(made.f, (10 * wave + 20 / 12 + 5 + 2.5) / 5)
    assert data["g"].value_counts().eq(5).all()


def test_friedman_is_a_function_of_the_seed(make: Any) -> None:
    first, same, other = (make.friedman(seed) for seed in (3, 3, 4))
    assert first.data.equals(same.data)
    assert not first.data["y"].equals(other.data["y"])
    # The draws of the normal response stay as they are when the response is binary.
    binary = make.friedman_binary(3, groups=50)
    assert binary.data.drop(columns="y").equals(first.data.drop(columns="y"))
    np.testing.assert_array_equal(binary.b, first.b)


@pytest.mark.parametrize("name", ["friedman_binary", "linear_binary"])
def test_binary_responses_follow_their_probabilities(make: Any, name: str) -> None:
    made = getattr(make, name)(1, groups=2000, rows=10)
    eta = made.f + made.b[made.data["g"]]
    p = 1 / (1 + np.exp(-eta))
    y = made.data["y"]
    assert set(y) == {0.0, 1.0}
    # A sum of 20,000 numbers of order 1 rounds to some 1e-16 a row.
    assert abs(made.f.mean()) < 1e-13
    # Right on average, and in proportion to the linear predictor.
    assert _within(y - p, 0.0)
    assert _within((y - p) * eta, 0.0)


def test_linear_has_its_slopes(make: Any) -> None:
    made = make.linear(2, groups=2000, rows=10)
    X = made.data[list(make.UNIFORM_INPUTS)].to_numpy()
    y = made.data["y"] - made.b[made.data["g"]]
    A = np.column_stack([np.ones(len(y)), X])
    slopes = np.linalg.lstsq(A, y, rcond=None)[0][1:]
    # A slope's standard error is sqrt(12 / 20,000) = 0.0245 at noise variance 1.
    np.testing.assert_allclose(slopes, make.SLOPES, atol=SIGMAS * 0.0245)
    # Uniform inputs have variance 1/12.
    centred = (made.f - made.f.mean()) ** 2
    assert _within(centred, float(make.SLOPES @ make.SLOPES) / 12)


def test_xor_takes_pairs_of_inputs(make: Any) -> None:
    made = make.xor(5, 0.3, subjects=2000)
    x = made.data[list(make.BINARY_INPUTS)].to_numpy().astype(bool)
    parts = np.column_stack(
        [x[:, 0] ^ x[:, 1], ~(x[:, 2] ^ x[:, 3]), x[:, 4] ^ x[:, 5]]
    )
    beta, residual, *_ = np.linalg.lstsq(parts.astype(float), made.f, rcond=None)
    # f is those parts times three numbers, to the rounding of 16,000 rows of order 5.
    assert residual[0] < 1e-20
    assert abs(beta - 2).max() < SIGMAS  # drawn from N(2, 1)
    sizes = made.data["g"].value_counts()
    assert sizes.min() >= 2
    assert _within(sizes, 8.0)
    assert _within(made.b**2, 0.3)
    noise = made.data["y"] - made.f - made.b[made.data["g"]]
    assert _within(noise**2, 0.05**2)


def test_xor_linear_truth_has_no_interactions(make: Any) -> None:
    made = make.xor(5, 12.0, binary=True, nonlinear=False, subjects=500)
    x = made.data[list(make.BINARY_INPUTS)].to_numpy()
    beta, residual, *_ = np.linalg.lstsq(x, made.f, rcond=None)
    assert residual[0] < 1e-20  # rounding, as above
    # The second input of each pair plays no part: rounding of numbers of order 3.
    assert abs(beta[1::2]).max() < 1e-12
    assert set(made.data["y"]) == {0.0, 1.0}


def test_last_rows(make: Any) -> None:
    last = make.last_rows([4, 4, 2, 7, 7, 7])
    assert last.tolist() == [False, True, True, False, False, True]
    # One row of each subject is held out, and none loses all its rows.
    g = make.xor(0, 0.3).data["g"]
    assert make.last_rows(g).sum() == 100
    assert (g.value_counts() >= 2).all()


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    import task  # pyright: ignore[reportMissingImports]

    return task


def _asked(task: Any, y: list[float], family: str) -> Any:
    frame = pd.DataFrame({"x": 0.0, "g": 0, "y": y})
    return task.Task(frame, frame, "y", ("x",), "g", family, f=np.array([1.0, 2.0, 4]))


def test_scores_by_hand(task: Any) -> None:
    # Rounding is the only error in all of these.
    p = np.array([0.2, 0.2, 0.9])
    asked = _asked(task, [0.0, 1.0, 1.0], "bernoulli")
    answer = task.Answer("1", p, f=np.array([0.0, 1.0, 3.0]))
    # Of the two pairs of a 1 with the 0, one is a tie and one is right.
    assert task.auc(asked, answer) == 0.75
    expected = -(np.log(0.8) + np.log(0.2) + np.log(0.9)) / 3
    assert task.log_loss(asked, answer) == pytest.approx(expected, rel=1e-14)
    assert task.loglik(asked, answer) == pytest.approx(-expected, rel=1e-14)
    # The two functions differ by a constant, which does not count.
    assert task.function_error(asked, answer) == 0.0
    normal = task.Answer("1", p, sigma2=2.0)
    density = norm.logpdf([0.0, 1.0, 1.0], p, np.sqrt(2.0)).mean()
    found = task.loglik(_asked(task, [0.0, 1.0, 1.0], "gaussian"), normal)
    assert found == pytest.approx(density, rel=1e-14)


def test_rows_replace_those_of_the_same_method_and_replicate(
    task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import experiment  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(experiment, "RESULTS", tmp_path)

    def peer(error: float) -> Any:
        return lambda _, __: task.Answer("1", np.array([error, 0.0, 0.0]))

    def missing(_: Any, __: int) -> Any:
        raise ImportError(name="nowhere")

    def run(error: float, *arguments: str) -> int:
        problem = experiment.Experiment(
            "p",
            lambda _: _asked(task, [0.0, 0.0, 0.0], "gaussian"),
            lambda asked, answer: {"MSE": task.squared_error(asked, answer)},
            2,
            ("gpboost", "linear"),
            overrides={"gpboost": peer(error), "linear": missing},
        )
        return experiment.main([problem], ["--write", *arguments])

    # A method of ours that is missing is a failure; a peer's rows are kept anyway.
    assert run(3.0) == 1
    assert run(6.0, "--methods", "gpboost", "--first", "1", "--seeds", "1") == 0
    rows = experiment.load("p")
    # 3^2 / 3 of the first run, 6^2 / 3 of the second: whole numbers, exact.
    assert [row["scores"]["MSE"] for row in rows] == [3.0, 12.0]
    assert {row["method"] for row in rows} == {"gpboost"}
