"""What two models differ in, and which pairs are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.comparison.lrt_base import base_model
from ngmm.comparison.nesting import Difference, columns_outside, difference
from ngmm.comparison.nesting_data import check_same_data
from ngmm.comparison.nesting_random import Block, random_difference
from ngmm.design import build_design
from ngmm.errors import DataError, OptionError
from ngmm.results import MixedModelFit


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(12), 6)
    frame = pd.DataFrame(
        {
            "g": g,
            "again": [f"level {i}" for i in g],
            "h": np.tile(np.arange(6), 12),
            "x": rng.normal(size=72),
            "z": rng.normal(size=72),
        }
    )
    frame["y"] = frame["x"] + rng.normal(size=12)[g] + rng.normal(size=72)
    return frame


@pytest.fixture(scope="module")
def plain(data: pd.DataFrame) -> MixedModelFit:
    return ngmm.fit("y ~ x + (1 | g)", data)


def blocks(data: pd.DataFrame, formula: str) -> list[Block]:
    """The random effects of a formula, with identity covariances."""
    design, _ = build_design(ngmm.parse(formula), data)
    out: list[Block] = []
    for t in design.random:
        k = len(t.names)
        for part in (
            [slice(0, k)] if t.correlated else [slice(i, i + 1) for i in range(k)]
        ):
            Z = t.Z[:, part]
            label = f"({'+'.join(t.names[part])}|{t.group})"
            identity = np.eye(Z.shape[1])
            out.append(Block(t.group, label, t.codes, t.n_levels, Z, identity, False))
    return out


@pytest.mark.parametrize(
    ("small", "large", "n_free", "cones"),
    [
        ("(1 | g)", "(x | g)", 1, (1,)),
        ("(1 | g)", "(x || g)", 0, (1,)),
        ("(x || g)", "(x | g)", 1, ()),
        ("(1 | g)", "(x + z | g)", 2, (2,)),
        ("(x || g)", "(x + z | g)", 3, (1,)),
        ("(1 | g)", "(1 | g) + (1 | h)", 0, (1,)),
        ("(1 | g)", "(x || g) + (1 | h)", 0, (1, 1)),
        ("(1 | h)", "(x | g) + (1 | h)", 0, (2,)),
        ("(0 + x | g)", "(x | g)", 1, (1,)),
        ("(1 | again)", "(x | g)", 1, (1,)),
        ("(1 + x | g)", "(1 + scale(x) | g)", 0, ()),
        ("(0 + x | g)", "(0 + I(3 * x) || g)", 0, ()),
        ("(1 | g) + (0 + x + z | g)", "(x + z | g)", 2, ()),
    ],
)
def test_random_effects_that_are_nested(
    data: pd.DataFrame,
    small: str,
    large: str,
    n_free: int,
    cones: tuple[int, ...],
) -> None:
    one, two = (blocks(data, f"y ~ 1 + {r}") for r in (small, large))
    found = random_difference(one, two)
    assert not found.obstacles
    assert (found.n_free, found.cones) == (n_free, cones)
    for match in found.matches:
        # The smaller model's columns lead, and the span stays.
        basis = match.basis()
        assert np.linalg.matrix_rank(basis) == match.large.Z.shape[1]
        whole = np.linalg.matrix_rank(np.hstack([basis, match.large.Z]))
        assert whole == match.large.Z.shape[1]


@pytest.mark.parametrize(
    ("small", "large", "why"),
    [
        ("(x | g)", "(x || g)", "has correlations that the larger model lacks"),
        ("(1 | h)", "(x | g)", "has a grouping factor that the larger model lacks"),
        ("(0 + z | g)", "(x | g)", "is no special case of"),
        ("(0 + scale(x) | g)", "(x || g)", "is no special case of"),
        ("(x + z | g)", "(x | g)", "is no special case of"),
    ],
)
def test_random_effects_that_are_not(
    data: pd.DataFrame, small: str, large: str, why: str
) -> None:
    one, two = (blocks(data, f"y ~ 1 + {r}") for r in (small, large))
    assert why in random_difference(one, two).obstacles[0]


def test_fixed_effects_are_compared_as_spaces(data: pd.DataFrame) -> None:
    def design(fixed: str):
        return build_design(ngmm.parse(f"y ~ {fixed} + (1 | g)"), data)[0]

    assert columns_outside(design("x"), design("scale(x) + z")) == []
    assert columns_outside(design("0 + C(h)"), design("C(h)")) == []
    assert columns_outside(design("x + z"), design("x")) == ["z"]
    assert columns_outside(design("I(x^2)"), design("poly(x, 3)")) == []
    assert columns_outside(design("1"), design("0 + x")) == ["Intercept"]


def test_differences_of_fits(plain: MixedModelFit) -> None:
    base = base_model("y ~ 1", plain, reml=False)
    found: Difference = difference(base, plain)
    assert (found.n_fixed, found.n_free, found.df) == (1, 1, 2)
    assert found.is_nested
    other = plain.update(". ~ . + z")
    assert difference(plain, other).df == 1
    backwards = difference(other, plain)
    assert not backwards.is_nested
    assert "z" in backwards.obstacles[0]


def test_other_rows_are_named(data: pd.DataFrame, plain: MixedModelFit) -> None:
    holes = data.assign(z=data["z"].mask(data.index.isin([3, 10, 70])))
    other = ngmm.fit("y ~ x + z + (1 | g)", holes)
    with pytest.raises(DataError, match=r"3 only in .* \(rows 3, 10, 70\).*z \(3\)"):
        check_same_data(plain, other)
    shuffled = ngmm.fit("y ~ x + (1 | g)", data.sample(frac=1.0, random_state=0))
    with pytest.raises(DataError, match="in another order"):
        check_same_data(plain, shuffled)


def test_other_responses_are_named(data: pd.DataFrame, plain: MixedModelFit) -> None:
    shifted = data.assign(y=data["y"] + 10.0)
    logged = ngmm.fit("log(y) ~ x + (1 | g)", shifted)
    with pytest.raises(DataError, match=r"y in .*, log\(y\) in .*transformed"):
        check_same_data(ngmm.fit("y ~ x + (1 | g)", shifted), logged)
    with pytest.raises(DataError, match="differ in 72 rows"):
        check_same_data(plain, plain.update(data=shifted))


def test_other_weights(plain: MixedModelFit) -> None:
    weighted = plain.update(weights=np.linspace(1.0, 2.0, 72))
    with pytest.raises(DataError, match="the weights of"):
        check_same_data(plain, weighted)


@pytest.mark.slow
def test_other_families_and_rules(data: pd.DataFrame) -> None:
    positive = data.assign(y=np.exp(data["y"]))
    gamma = ngmm.fit("y ~ x + (1 | g)", positive, family="gamma", link="log")
    with pytest.raises(OptionError, match=r"gaussian\(identity\).*gamma\(log\)"):
        check_same_data(ngmm.fit("y ~ x + (1 | g)", positive), gamma)
    with pytest.raises(OptionError, match="quad='laplace'"):
        check_same_data(gamma, gamma.update(quad="laplace"))


def test_a_linear_model_on_the_rows_of_a_mixed_one(data: pd.DataFrame) -> None:
    import scipy.stats

    holes = data.assign(x=data["x"].mask(data.index == 5))
    w = np.linspace(1.0, 2.0, 72)
    fit = ngmm.fit("y ~ x + (1 | g)", holes, weights=w, offset="z")
    base = base_model("y ~ 1", fit, reml=False)
    assert base.design.index.equals(fit.design.index)
    # The density of scipy at the estimates: rounding only.
    y, w = (data["y"] - data["z"]).drop(5), np.delete(w, 5)
    sd = np.sqrt(base.dispersion / w)
    expected = scipy.stats.norm.logpdf(y, base.beta[0], sd).sum()
    assert base.loglik == pytest.approx(expected, abs=1e-9)
    assert base.df_model == 2
    with pytest.raises(DataError, match="are missing in 1 rows"):
        base_model(
            "y ~ q",
            ngmm.fit("y ~ x + (1 | g)", data.assign(q=data["z"].mask(data.index == 7))),
            reml=False,
        )


def test_restricted_likelihoods_of_both_kinds_agree(data: pd.DataFrame) -> None:
    # With a variance of zero a mixed model is the linear one.
    fit = ngmm.fit("y ~ x + (1 | g)", data, reml=True)
    base = base_model("y ~ x", fit, reml=True)
    sigma = float(np.sqrt(base.dispersion))
    assert base.loglik == pytest.approx(fit.model.loglik([0.0], sigma), abs=1e-9)
    ml = fit.update(reml=False)
    base = base_model("y ~ x", ml, reml=False)
    assert base.loglik == pytest.approx(ml.model.loglik([0.0]), abs=1e-9)
