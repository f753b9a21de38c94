"""Is a network needed: the score test of random weights, without fitting any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ngmm.comparison.score_terms import features_beyond
from ngmm.errors import ConvergenceWarning, OptionError, warn
from ngmm.estimation.status import Status
from ngmm.inference.analysis import analyse
from ngmm.inference.score.kernels import Features, between_share
from ngmm.inference.score.simulation import (
    Simulated,
    gaussian_deviations,
    generalized_deviations,
)
from ngmm.inference.score.statistic import (
    GaussianScore,
    GeneralizedScore,
    Score,
    gaussian_score,
    generalized_engine,
    generalized_score,
)
from ngmm.likelihood.choose import accurate_engine
from ngmm.likelihood.engines import Engine
from ngmm.model import Estimate, GaussianEstimate, Model
from ngmm.progress import ProgressLine, check_progress
from ngmm.results import MixedModelFit
from ngmm.results.columns import Count, Label, Number, PValue
from ngmm.results.simulation import check_count, check_seed, simulate_responses
from ngmm.results.table import Table, Tabled

# Features that a test uses: of a Gaussian model they cost next to nothing; otherwise
# each is a column of derivatives by node. Those beyond hold less than 0.1 % of the
# variance of a random network of two inputs.
MOST_FEATURES = {"gaussian": 128, "other": 64}
# Where much of what a network can do varies between levels and levels are few, the
# mixture rejects too often in generalized models: 8 % instead of 5 % with inputs that
# are constant in 30 groups, 6 % with one of two (docs/tests-of-networks.md).
BETWEEN, FEW_LEVELS = 0.2, 150
CALIBRATIONS = ("auto", "mixture", "simulation")


@dataclass(frozen=True, eq=False, repr=False)
class ScoreResult(Tabled):
    """The score test of networks.

    Attributes
    ----------
    statistic
        The quadratic form of the score, scaled to be compared with a chi-square with
        `df` degrees of freedom.
    df
        Effective degrees of freedom: of the chi-square with the mean and variance of
        the statistic. The p-value comes from the exact mixture.
    p_value
        Probability of a larger statistic where no network is needed.
    n_features
        Number of directions in which the network may move the linear predictor.
    share
        Share of the variance of a random network, beyond the fixed effects, in them.
    calibration
        ``"mixture"`` of chi-squares, or ``"simulation"`` from the null model.
    n_simulated, n_failed
        Simulated responses, and those to which the null model could not be refitted.
    terms
        The networks that are tested.
    null
        Formula of the model without them.
    """

    statistic: float
    df: float
    p_value: float
    n_features: int
    share: float
    calibration: str
    n_simulated: int
    n_failed: int
    terms: tuple[str, ...]
    null: str

    @property
    def std_error(self) -> float:
        """Monte Carlo standard error of the p-value; 0 for a mixture."""
        if not self.n_simulated:
            return 0.0
        n = self.n_simulated - self.n_failed
        return float(np.sqrt(self.p_value * (1.0 - self.p_value) / (n + 1)))

    @property
    def method(self) -> str:
        """What was done, in words."""
        text = f"score test of random weights, {self.n_features} features"
        if self.calibration == "mixture":
            return f"{text}; p from a mixture of chi-squares"
        text = f"{text}; p from {self.n_simulated:,} responses simulated from the null"
        return f"{text}, {self.n_failed} failed" if self.n_failed else text

    def to_frame(self) -> pd.DataFrame:
        """The test as one row."""
        row = {"statistic": self.statistic, "df": self.df, "p_value": self.p_value}
        row["n_features"] = self.n_features
        index = pd.Index([" + ".join(self.terms)], dtype=object)
        return pd.DataFrame([row], index=index)

    def to_table(self) -> Table:
        """The same, printable."""
        columns = (
            Label(),
            Number("statistic", "statistic", decimals=2),
            Number("df", "df", decimals=1),
            PValue("p_value"),
            Count("n_features", "features"),
        )
        caption = f"null model: {self.null}\n{self.method}"
        return Table(self.to_frame(), caption, columns, title="Score test")


def score_test(
    m0: MixedModelFit,
    m1: MixedModelFit | str | Sequence[str],
    *,
    depth: int = 1,
    calibrate: str = "auto",
    n: int = 999,
    seed: int | None = None,
    progress: bool | str = "auto",
) -> ScoreResult:
    r"""Test of networks that m0 lacks; none of them is fitted.

    A network whose weights are drawn at random moves the linear predictor by a Gaussian
    process with a known covariance K, the arc-cosine kernel of its inputs. "No network"
    is a variance of zero of this process, and its score statistic at the fitted null
    model is a quadratic form

    .. math:: Q = U' U = r' P K P r, \qquad U = F' P r, \quad K = F F',

    a mixture of chi-squares if no network is needed. In place of K stands a sum of
    roots of it, which hears of rougher curves too: see `ngmm.inference.score.kernels`.
    Of what a network could do only that counts which the fixed effects of m0 cannot:
    with its inputs among them, it is a test of anything beyond linear.

    Parameters
    ----------
    m0
        The model without the networks.
    m1
        The model with them, of which only the inputs of its networks are looked at; or
        the text of a network, ``"nn(x1, x2)"``, or several. Several are tested jointly,
        with kernels of equal trace.
    depth
        Number of hidden layers of the random networks. Networks written with
        ``hidden=()`` are linear.
    calibrate
        Where p comes from: ``"mixture"``, the distribution in large samples;
        ``"simulation"``, the same statistic of responses simulated from m0, to which m0
        is refitted; ``"auto"`` takes the mixture, but for generalized models with fewer
        than 150 levels of a factor between which a fifth or more of what the network
        can do varies.
    n, seed
        Number of simulated responses, and their seed; None for that of m0.
    progress
        Whether simulation shows how far it is.

    Returns
    -------
    ScoreResult
        With ``statistic``, ``df``, ``p_value``, ``method``; it prints itself.

    Raises
    ------
    OptionError
        If m1 has fixed effects, random effects or data that m0 has not, or no network
        beyond m0; the message names them.
    NotSupportedError
        If a network reads arrays, or m0 has networks of its own: the bootstrap tests
        these.

    Notes
    -----
    Gaussian models are refitted by restricted maximum likelihood. Cost O(n r^2) for r
    features of n rows, r up to 128; of other families O(n r K) for K nodes, r up to 96.

    References
    ----------
    Liu, Lin & Ghosh (2007), Biometrics 63, 1079-1088. Lin (1997), Biometrika 84,
    309-326. Cho & Saul (2009), Advances in Neural Information Processing Systems 22.

    Examples
    --------
    >>> import ngmm
    >>> from ngmm.comparison.score import score_test
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> round(score_test(fit, "nn(Days)").p_value, 3)
    0.452
    """
    if calibrate not in CALIBRATIONS:
        raise OptionError(
            f'calibrate must be "auto", "mixture" or "simulation"; got {calibrate!r}'
        )
    depth = check_count(depth, "depth")
    check_progress(progress)
    n = check_count(n)
    seed = m0.seed if seed is None else check_seed(seed)
    kind = "gaussian" if m0.model.is_gaussian else "other"
    labels, found = features_beyond(m0, m1, depth, MOST_FEATURES[kind])
    null = _null(m0)
    score, engine = _score(null, found)
    if calibrate == "auto":
        calibrate = _calibration(m0, found)
    simulated = None
    if calibrate == "simulation":
        simulated = _simulate(null, engine, found, n, seed, progress)
    return _result(m0, labels, found, score, simulated, n)


@dataclass(frozen=True, eq=False)
class _Null:
    """The null model at its maximum, restricted if it is Gaussian."""

    model: Model
    estimate: Estimate


def _calibration(m0: MixedModelFit, found: Features) -> str:
    """Where the p-value of these features comes from, unless it is said."""
    if m0.model.is_gaussian:
        return "mixture"
    for term in m0.design.random:
        few = term.n_levels < FEW_LEVELS
        if few and between_share(found.columns, term.codes) > BETWEEN:
            return "simulation"
    return "mixture"


def _null(m0: MixedModelFit) -> _Null:
    model, estimate = m0.model, m0.estimate
    if model.is_gaussian and not model.reml:
        model = replace(model, reml=True)
        estimate = model.maximise(m0.theta)
    if estimate.status is not Status.CONVERGED:
        warn(
            "score test: the maximum of the likelihood of the model without networks "
            f"was not found ({estimate.status.sentence}), so its p-value may be wrong",
            ConvergenceWarning,
        )
    return _Null(model, estimate)


def _score(null: _Null, found: Features) -> tuple[Score, Engine | None]:
    model, e = null.model, null.estimate
    if isinstance(e, GaussianEstimate):
        root = np.sqrt(model.design.weights)
        hessian = e.profile.hessian
        columns = found.columns
        score = gaussian_score(model.problem, e.engine_theta, hessian, columns, root)
        return score, None
    problem, rule = model.marginal.problem, model.marginal.rule
    log_phi = None if e.phi is None else float(np.log(e.phi))
    x = problem.to_engine(e.beta, e.theta, log_phi)
    engine = accurate_engine(problem, rule, x)
    wide = generalized_engine(engine, found.columns)
    return generalized_score(wide, x, problem.n_beta, found.n), engine


def _simulate(
    null: _Null,
    engine: Engine | None,
    found: Features,
    n: int,
    seed: int,
    progress: bool | str,
) -> Simulated:
    """The statistics of responses drawn from the null model."""
    model, e = null.model, null.estimate
    Y = simulate_responses(analyse(model, e), n, seed).T
    with ProgressLine(progress, "score test") as line:
        if engine is None:
            refits = model.maximise_many(Y, e, advance=lambda i: line.update(i, n))
            root = np.sqrt(model.design.weights)
            offset = model.design.offset
            return gaussian_deviations(
                model.problem, refits, Y - offset, found.columns, root
            )
        refits = model.maximise_many(Y, e, advance=lambda i: line.update(i, 2 * n))
        return generalized_deviations(
            engine,
            refits,
            Y,
            found.columns,
            lambda i: line.update(n + i, 2 * n),
        )


def _result(
    m0: MixedModelFit,
    labels: tuple[str, ...],
    found: Features,
    score: GaussianScore | GeneralizedScore,
    simulated: Simulated | None,
    n: int,
) -> ScoreResult:
    unit = score.sd**2 / (2.0 * score.mean)
    if simulated is None:
        p, failed = score.p_value(), 0
    else:
        known = replace(score, taken=0.0) if isinstance(score, GaussianScore) else score
        p, failed = simulated.p_value(known.deviation), simulated.n_failed
        if failed == n:
            raise OptionError(
                f"the null model could be fitted to none of {n} simulated responses; "
                'use calibrate="mixture", and see m0.check()'
            )
    return ScoreResult(
        statistic=score.statistic / unit,
        df=score.mean / unit,
        p_value=p,
        n_features=found.n,
        share=found.share,
        calibration="mixture" if simulated is None else "simulation",
        n_simulated=0 if simulated is None else n,
        n_failed=failed,
        terms=labels,
        null=m0.formula,
    )
