"""The problems: a name, a formula and the data, the same for every program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Problem:
    """One model on one data set, fitted by maximum likelihood.

    Attributes
    ----------
    name
        Name on the command line and in the table.
    formula
        In lme4's syntax.
    factors
        Columns that are categories although the CSV shows numbers.
    data
        Makes the data frame.
    statsmodels
        The model in the words of ``statsmodels.MixedLM``; None if it cannot be said.
    gpboost
        Fixed effects and grouping factors for ``gpboost.GPModel``, of random intercepts
        only; None if it cannot be said.
    family
        Response distribution, with its usual link.
    counts
        Columns of successes and of trials of a binomial response.
    nodes
        Nodes of adaptive quadrature that ``lme4-quadrature`` is given.
    exact
        Maximum of the likelihood by brute-force integration, where it is known;
        otherwise the highest value that a program reaches counts.
    adapters
        Programs that run it unless the user asks for others.
    """

    name: str
    formula: str
    factors: tuple[str, ...]
    data: Callable[[], pd.DataFrame]
    statsmodels: dict[str, object] | None = None
    gpboost: tuple[str, tuple[str, ...]] | None = None
    family: str = "gaussian"
    counts: tuple[str, str] | None = None
    nodes: int = 1
    exact: float | None = None
    adapters: tuple[str, ...] = (
        "ngmm",
        "lme4",
        "glmmTMB",
        "mixedlm",
        "statsmodels",
        "gpboost",
        "gpboost-cholesky",
    )


def _embedded(name: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        from ngmm import datasets

        return datasets.load(name)

    return load


def _cake() -> pd.DataFrame:
    data = _embedded("cake")()
    mix = data["recipe"].astype(str) + ":" + data["replicate"].astype(str)
    return data.assign(mix=mix)


def _crossed() -> pd.DataFrame:
    # statsmodels has crossed factors only as variance components inside one group.
    return _embedded("Penicillin")().assign(everything=1)


def _million() -> pd.DataFrame:
    """Intercepts and slopes of 100,000 groups, ten rows each."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(20260101)
    n_groups, n_rows = 100_000, 1_000_000
    g = rng.permutation(np.repeat(np.arange(n_groups), n_rows // n_groups))
    x = rng.normal(size=n_rows)
    chol = np.array([[1.0, 0.0], [0.3, 0.5]])
    b = rng.normal(size=(n_groups, 2)) @ chol.T
    y = 1 + 0.5 * x + b[g, 0] + b[g, 1] * x + rng.normal(size=n_rows)
    return pd.DataFrame({"y": y, "x": x, "g": g})


def _binary(name: str, column: str, one: str) -> Callable[[], pd.DataFrame]:
    """A data set whose response is 0 or 1, as all programs read it."""

    def load() -> pd.DataFrame:
        data = _embedded(name)()
        return data.assign(**{column: (data[column] == one).astype(int)})

    return load


def _million_binary() -> pd.DataFrame:
    """Binary responses of 50,000 groups, twenty rows each on average."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(20260102)
    n_groups, n_rows = 50_000, 1_000_000
    g = rng.integers(0, n_groups, n_rows)
    x, z = rng.normal(size=(2, n_rows))
    eta = -1.0 + 0.5 * x - 0.3 * z + rng.normal(size=n_groups)[g]
    y = (rng.random(n_rows) < 1.0 / (1.0 + np.exp(-eta))).astype(int)
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": g})


_SLOPES = ("ngmm", "lme4", "glmmTMB", "mixedlm")
_LAPLACE = ("ngmm-laplace", "lme4", "glmmTMB", "mixedlm", "gpboost")
# One grouping factor: quadrature too. Several: GPBoost's default is another method.
_BOTH = ("ngmm", "lme4-quadrature", *_LAPLACE)
_CROSSED = (*_LAPLACE, "gpboost-cholesky")

_PROBLEMS = (
    Problem(
        "sleepstudy",
        "Reaction ~ Days + (1 + Days | Subject)",
        ("Subject",),
        _embedded("sleepstudy"),
        {"formula": "Reaction ~ Days", "groups": "Subject", "re_formula": "~Days"},
    ),
    Problem(
        "Penicillin",
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        ("plate", "sample"),
        _crossed,
        {
            "formula": "diameter ~ 1",
            "groups": "everything",
            "re_formula": "0",
            "vc_formula": {"plate": "0 + C(plate)", "sample": "0 + C(sample)"},
        },
        ("1", ("plate", "sample")),
    ),
    Problem(
        "Pastes",
        "strength ~ 1 + (1 | batch/cask)",
        ("batch", "cask"),
        _embedded("Pastes"),
        {
            "formula": "strength ~ 1",
            "groups": "batch",
            "re_formula": "1",
            "vc_formula": {"cask": "0 + C(cask)"},
        },
        ("1", ("batch", "batch:cask")),
    ),
    Problem(
        "cake",
        "angle ~ recipe * temperature + (1 | recipe:replicate)",
        ("recipe", "temperature", "replicate"),
        _cake,
        {"formula": "angle ~ recipe * temperature", "groups": "mix"},
        ("recipe * temperature", ("mix",)),
    ),
    Problem(
        "Exam",
        "normexam ~ standLRT * schgend + sex + (1 + standLRT | school)",
        ("schgend", "sex", "school"),
        _embedded("Exam"),
        {
            "formula": "normexam ~ standLRT * schgend + sex",
            "groups": "school",
            "re_formula": "~standLRT",
        },
    ),
    Problem(
        "InstEval",
        "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)",
        ("s", "d", "dept", "service"),
        _embedded("InstEval"),
        gpboost=("service", ("s", "d", "dept:service")),
    ),
    Problem(
        "million",
        "y ~ x + (1 + x | g)",
        ("g",),
        _million,
        adapters=("ngmm",),
    ),
    Problem(
        "toenail",
        "outcome ~ treatment * time + (1 | patientID)",
        ("patientID", "treatment"),
        _binary("toenail", "outcome", "moderate or severe"),
        gpboost=("treatment * time", ("patientID",)),
        family="bernoulli",
        nodes=25,
        exact=-625.397515660,
        adapters=_BOTH,
    ),
    Problem(
        "toenail-slope",
        "outcome ~ treatment * time + (1 + time | patientID)",
        ("patientID", "treatment"),
        _binary("toenail", "outcome", "moderate or severe"),
        family="bernoulli",
        exact=-549.162286420,
        adapters=_SLOPES,
    ),
    Problem(
        "schizophrenia-slope",
        "imps79b ~ TxDrug * SqrtWeek + (1 + SqrtWeek | id)",
        ("id",),
        _embedded("schizophrenia"),
        family="bernoulli",
        exact=-613.704854165,
        adapters=_SLOPES,
    ),
    Problem(
        "Contraception-slope",
        "use ~ age + I(age^2) + urban + livch + (1 + urban | district)",
        ("district", "urban", "livch"),
        _binary("Contraception", "use", "Y"),
        family="bernoulli",
        exact=-1180.007741459,
        adapters=_SLOPES,
    ),
    Problem(
        "VerbAgg",
        "r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
        ("Gender", "btype", "situ", "id", "item"),
        _binary("VerbAgg", "r2", "Y"),
        gpboost=("Anger + Gender + btype + situ", ("id", "item")),
        family="bernoulli",
        adapters=_CROSSED,
    ),
    Problem(
        "cbpp",
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        ("herd", "period"),
        _embedded("cbpp"),
        gpboost=("period", ("herd",)),
        family="binomial",
        counts=("incidence", "size"),
        nodes=25,
        adapters=_BOTH,
    ),
    Problem(
        "Salamanders",
        "count ~ mined + spp + (1 | site)",
        ("mined", "spp", "site"),
        _embedded("Salamanders"),
        gpboost=("mined + spp", ("site",)),
        family="poisson",
        nodes=25,
        adapters=_BOTH,
    ),
    Problem(
        "grouseticks",
        "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)",
        ("YEAR", "BROOD", "INDEX", "LOCATION"),
        _embedded("grouseticks"),
        gpboost=("YEAR + cHEIGHT", ("BROOD", "INDEX", "LOCATION")),
        family="poisson",
        adapters=_CROSSED,
    ),
    Problem(
        "million-binary",
        "y ~ x + z + (1 | g)",
        ("g",),
        _million_binary,
        family="bernoulli",
        adapters=("ngmm",),
    ),
)

PROBLEMS = {problem.name: problem for problem in _PROBLEMS}
