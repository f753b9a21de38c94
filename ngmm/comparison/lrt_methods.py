"""The tests that a likelihood ratio can have, each with what to say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngmm.comparison.lrt_base import LinearBase
from ngmm.comparison.nesting import Difference
from ngmm.comparison.nesting_data import Comparable
from ngmm.comparison.resampled import bootstrap_test
from ngmm.comparison.score import score_test
from ngmm.comparison.split import split_test
from ngmm.errors import OptionError
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.ratio.chibar import DRAWS, Tail, chibar_tail
from ngmm.inference.ratio.exact import simulate_ratio, spectrum
from ngmm.inference.ratio.information import (
    Columns,
    Direction,
    efficient_information,
)
from ngmm.inference.working import working
from ngmm.results import MixedModelFit
from ngmm.results.simulation import check_count

Vector = NDArray[np.float64]

EXACT_DRAWS = 100_000
# Levels beyond which the eigenvalues of the exact test cost too much.
MOST_LEVELS = 3000
# Levels below which the mixture for variances rejects too seldom: docs/calibration.md.
FEW_LEVELS = 100
# Rows up to which a thousand refits take seconds.
MOST_ROWS = 10_000


@dataclass(frozen=True)
class Pair:
    """Two models to be compared, and the options of the comparison."""

    m0: Comparable
    m1: MixedModelFit
    differ: Difference
    n: int | None
    seed: int
    progress: bool | str
    options: Mapping[str, Any]

    @property
    def statistic(self) -> float:
        """Twice the difference of the log-likelihoods."""
        return 2.0 * (self.m1.loglik - self.m0.loglik)


@dataclass(frozen=True)
class Outcome:
    """A row of the table.

    Attributes
    ----------
    statistic, df, p_value, std_error
        The test; df is missing where the law has none, std_error is that of a
        simulated p-value.
    method
        Its name.
    sentence
        What was done.
    """

    statistic: float
    df: float
    p_value: float
    std_error: float
    method: str
    sentence: str


def chi2_test(pair: Pair) -> Outcome:
    """The ratio against a chi-square; variances at zero make it conservative."""
    from scipy.special import chdtrc

    differ = pair.differ
    p = float(chdtrc(differ.df, max(pair.statistic, 0.0)))
    text = f"chi-square with {differ.df} df"
    if differ.random.cones:
        tail = _tail(pair)
        text += (
            "; conservative, since variances are tested at zero, the end of their "
            f'range: the mixture of method="chibar" gives p = {tail.p_value:.3g} '
            f"in place of {p:.3g}"
        )
    return Outcome(
        pair.statistic, differ.df, p, np.nan, "chi2", text + _few_groups(pair)
    )


def chibar_test(pair: Pair) -> Outcome:
    """The ratio against a mixture of chi-squares."""
    if not pair.differ.random.cones:
        return chi2_test(pair)
    tail = _tail(pair)
    if tail.weights is not None and tail.dfs is not None:
        parts = zip(tail.weights, tail.dfs, strict=True)
        text = " + ".join(f"{w:.3g} chi2({d:.0f})" for w, d in parts)
        text = f"variance at the end of its range: {text}"
    else:
        text = (
            "variances at the end of their range: chi-bar-square by "
            f"{_draws(pair, DRAWS):,} random projections on the cone, Monte Carlo "
            f"error of p {tail.std_error:.1g}"
        )
    error = tail.std_error or np.nan
    df = pair.differ.df
    few = few_levels(pair)
    if few:
        text += (
            f"; somewhat conservative with {few}, unlike "
            f'method="{"bootstrap" if exact_obstacle(pair) else "exact"}"'
        )
    return Outcome(pair.statistic, df, tail.p_value, error, "chibar", text)


def few_levels(pair: Pair) -> str:
    """The factor whose variances are tested, if its levels are few; else empty."""
    tested = [m.large for m in pair.differ.random.matches if m.n_new]
    fewest = min(tested, key=lambda block: block.n_levels)
    if fewest.n_levels >= FEW_LEVELS:
        return ""
    return f"{fewest.n_levels} levels of {fewest.group}"


def is_refitted_quickly(pair: Pair) -> bool:
    """Whether a thousand refits of both models are a matter of seconds."""
    d = pair.m1.design
    return len(pair.m1.n_levels) == 1 and d.n_rows <= MOST_ROWS


def exact_obstacle(pair: Pair) -> str:
    """Why the exact test does not apply; empty if it does."""
    d = pair.m1.design
    if not pair.m1.model.is_gaussian or pair.m1.is_neural:
        return "the model must be Gaussian, without networks"
    one = len(d.random) == 1 and len(d.random[0].names) == 1
    if not one or not isinstance(pair.m0, LinearBase):
        return (
            "one model must have a single variance beside the residual one, and the "
            'other none: lrt("y ~ x", fit)'
        )
    if d.random[0].n_levels > MOST_LEVELS:
        return f"it is for at most {MOST_LEVELS:,} levels"
    return ""


def exact_test(pair: Pair) -> Outcome:
    """The ratio of a single variance against its law in finite samples."""
    obstacle = exact_obstacle(pair)
    if obstacle:
        raise OptionError(f'method="exact": {obstacle}. Use method="auto"')
    d, reml = pair.m1.design, pair.m1.reml
    law = spectrum(d.X, d.random[0], d.weights, reml=reml, n_tested=pair.differ.n_fixed)
    n = _draws(pair, EXACT_DRAWS)
    draws = simulate_ratio(law, n, pair.seed)
    statistic = max(pair.statistic, 0.0)
    # Ratios of zero are most of all; rounding must not part them.
    count = int((draws >= statistic - 1e-7 * max(1.0, statistic)).sum())
    p = (1 + count) / (1 + n)
    error = float(np.sqrt(p * (1.0 - p) / n))
    kind = "restricted likelihood ratio" if reml else "likelihood ratio"
    text = (
        f"exact law of the {kind} in finite samples (Crainiceanu and Ruppert 2004), "
        f"{n:,} draws, {count:,} as large"
    )
    if not count:
        text += ", so that p is a bound"
    return Outcome(pair.statistic, np.nan, p, error, "exact", text)


def bootstrap(pair: Pair) -> Outcome:
    """The ratio against its values in data simulated from the smaller model."""
    found = bootstrap_test(
        pair.m0,
        pair.m1,
        pair.n,
        pair.seed,
        pair.progress,
        stop=pair.options.get("stop", True),
    )
    text = found.method
    if pair.m1.is_neural:
        text += (
            ". The log-likelihood of a network is that of its penalised fit: its ratio "
            "has no chi-square law"
        )
    if not pair.differ.is_nested:
        text += ". The models are not nested: a small p speaks against the first"
    return Outcome(
        found.statistic, np.nan, found.p_value, found.std_error, "bootstrap", text
    )


def score(pair: Pair) -> Outcome:
    """The score test of networks that the smaller model lacks."""
    if isinstance(pair.m0, LinearBase):
        raise OptionError(
            'method="score" needs a mixed model without the network; fit it with '
            "ngmm.fit"
        )
    options = dict(pair.options)
    if pair.n is not None:
        options["n"] = pair.n
    found = score_test(
        pair.m0, pair.m1, seed=pair.seed, progress=pair.progress, **options
    )
    error = found.std_error or np.nan
    return Outcome(
        found.statistic, found.df, found.p_value, error, "score", found.method
    )


def split(pair: Pair) -> Outcome:
    """The split likelihood-ratio test over groups."""
    if isinstance(pair.m0, LinearBase):
        raise OptionError(
            'method="split" needs two mixed models; fit both with ngmm.fit'
        )
    options = dict(pair.options)
    if pair.n is not None:
        options["n_splits"] = pair.n
    found = split_test(
        pair.m0, pair.m1, seed=pair.seed, progress=pair.progress, **options
    )
    text = f"split likelihood ratio, e-value {found.e_value:.3g}: {found.method}"
    return Outcome(found.e_value, np.nan, found.p_value, np.nan, "split", text)


def _tail(pair: Pair) -> Tail:
    """The chi-bar-square tail at the statistic."""
    cones = pair.differ.random.cones
    needed = len(cones) > 1 or max(cones) > 1
    information = _information(pair) if needed else None
    return chibar_tail(
        pair.statistic,
        pair.differ.n_free,
        cones,
        information,
        n=_draws(pair, DRAWS),
        seed=pair.seed,
    )


def _information(pair: Pair) -> Vector:
    matches = pair.differ.random.matches
    null = [
        (Columns(b.codes, b.n_levels, b.Z), b.covariance)
        for m in matches
        for b in m.small
    ]
    directions = [
        Direction(Columns(m.large.codes, m.large.n_levels, m.basis()), m.n_new)
        for m in matches
        if m.n_new
    ]
    # Terms without new columns are nuisance directions like the old columns of others.
    directions += [
        Direction(Columns(m.large.codes, m.large.n_levels, m.large.Z), 0)
        for m in matches
        if not m.n_new
    ]
    gaussian = pair.m1.model.is_gaussian
    return efficient_information(
        null, directions, _precision(pair.m0), residual=gaussian
    )


def _precision(m0: Comparable) -> Vector:
    """Inverse residual variances of the rows, or working weights."""
    d = m0.design
    if isinstance(m0, LinearBase):
        if m0.family.has_residual:
            return d.weights / m0.dispersion
        eta = d.X @ m0.beta + d.offset
        return working(replace(d, random=()), m0.family, eta, m0.dispersion).weight
    if m0.model.is_gaussian:
        return d.weights / m0.sigma**2
    analysis = m0._analysis
    assert isinstance(analysis, GeneralizedAnalysis)
    return analysis.working.weight


def _few_groups(pair: Pair) -> str:
    """A word on fixed effects of Gaussian models with few groups."""
    if not (pair.differ.n_fixed and pair.m1.model.is_gaussian):
        return ""
    group, n = min(pair.m1.n_levels.items(), key=lambda item: item[1])
    if n >= 30:
        return ""
    return (
        f"; with {n} levels of {group} its p-values of fixed effects are somewhat too "
        'small: the F tests of anova() and method="bootstrap" allow for that'
    )


def _draws(pair: Pair, default: int) -> int:
    return default if pair.n is None else check_count(pair.n)
