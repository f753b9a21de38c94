"""Bootstrap likelihood-ratio test: simulate from one model, fit both again."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.comparison.lrt_base import LinearBase
from ngmm.comparison.nesting import difference
from ngmm.comparison.nesting_data import Comparable, check_same_data
from ngmm.errors import DataError, NgmmError, OptionError
from ngmm.estimation.status import Status
from ngmm.progress import ProgressLine
from ngmm.results import MixedModelFit
from ngmm.results.columns import Count, Label, Number, PValue
from ngmm.results.simulation import check_count, check_seed
from ngmm.results.table import Table, Tabled

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Simulated ratios at least as large as the observed one after which the answer is clear
# (Besag and Clifford 1991).
ENOUGH = 20
# Data sets that are simulated and fitted at once, models with networks apart.
BATCH = 128
N, N_NETWORKS = 999, 199
# What a refit of the larger model may fall below that of the smaller one by rounding.
# Anything more is a search that missed the maximum.
MISSED = 1e-4


@dataclass(frozen=True, eq=False, repr=False)
class BootstrapTest(Tabled):
    """A likelihood-ratio test by simulation.

    Attributes
    ----------
    statistic
        2 (loglik of m1 - loglik of m0) of the data.
    p_value
        (1 + k) / (1 + n) for k of n simulated statistics at least as large; k / n if
        it stopped at the k-th.
    std_error
        Monte Carlo standard error of the p-value.
    n
        Number of simulated data sets that count.
    n_exceeding
        k.
    n_failed
        Number of data sets for which a maximum was not found; they do not count.
    failures
        Why -> how often.
    stopped
        Whether it stopped before all data sets that were asked for.
    null
        (n,) the simulated statistics.
    """

    statistic: float
    p_value: float
    std_error: float
    n: int
    n_exceeding: int
    n_failed: int
    failures: dict[str, int]
    stopped: bool
    null: Vector = field(repr=False)

    @property
    def method(self) -> str:
        """What was done, in a sentence or two."""
        text = (
            f"parametric bootstrap: {self.n_exceeding} of {self.n} statistics "
            "simulated from the smaller model were as large"
        )
        if self.stopped:
            text += f", when it stopped (at {self.n_exceeding}; stop=False goes on)"
        if self.n_failed:
            why = "; ".join(f"{k}: {n}" for k, n in self.failures.items())
            total = self.n + self.n_failed
            text += (
                f". {self.n_failed} of {total} refits failed and do not count ({why})"
            )
        return text

    def to_frame(self) -> pd.DataFrame:
        """The numbers as one row."""
        names = ("statistic", "p_value", "std_error", "n", "n_exceeding", "n_failed")
        row = {name: getattr(self, name) for name in names}
        return pd.DataFrame([row], index=pd.Index(["ratio"], dtype=object))

    def to_table(self) -> Table:
        """The same, printable."""
        columns = (
            Label(),
            Number("statistic", "statistic", decimals=3),
            Count("n", "data sets"),
            Count("n_exceeding", "as large"),
            PValue("p_value"),
        )
        caption = f"{self.method}; Monte Carlo error of p {self.std_error:.2g}"
        return Table(self.to_frame(), caption, columns, "Bootstrap test")


def bootstrap_test(
    m0: Comparable,
    m1: MixedModelFit,
    n: int | None = None,
    seed: int = 0,
    progress: bool | str = "auto",
    *,
    stop: bool = True,
) -> BootstrapTest:
    """Test of m0 against m1 by the likelihood ratio's distribution under m0.

    Responses are simulated from m0 with new random effects, and both models fitted to
    each. Nothing is assumed of the ratio, so that variances may be at a bound, groups
    few, and m1 may have networks: those are fitted again with their architecture and
    their choice of penalties. The log-likelihood of a network is that of a penalised
    fit, which has no chi-square law; its bootstrap is valid all the same.

    Parameters
    ----------
    m0
        The model that is simulated from.
    m1
        The other one.
    n
        Number of simulated data sets; None for 999, or 199 if either has networks.
    seed
        Seed of the simulation.
    progress
        As in `ngmm.fit`.
    stop
        Stop at the 20th simulated ratio that is as large as the observed one: then p
        is 20 over the number of data sets (Besag and Clifford 1991), with a relative
        error of about a fifth, and not small.

    Raises
    ------
    OptionError
        If an argument cannot be used.
    DataError
        If the fits are not to the same responses, or no refit succeeds.

    References
    ----------
    Besag & Clifford (1991), Biometrika 78, 301-304.
    Davison & Hinkley (1997), Bootstrap Methods and their Application, section 4.2.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> m1 = ngmm.fit("Reaction ~ Days + (1 | Subject)", data)
    >>> m0 = m1.update(". ~ . - Days")
    >>> found = bootstrap_test(m0, m1, n=99, seed=1)
    >>> found.n_exceeding, found.p_value
    (0, 0.01)
    """
    check_seed(seed)
    check_same_data(m0, m1)
    if not isinstance(stop, bool):
        raise OptionError(f"stop must be True or False, got {stop!r}")
    slow = any(isinstance(m, MixedModelFit) and m.is_neural for m in (m0, m1))
    ordered = difference(m0, m1).is_nested and not slow
    total = check_count((N_NETWORKS if slow else N) if n is None else n)
    observed = 2.0 * (m1.loglik - m0.loglik)
    # Ratios of zero are as many as half of all; rounding must not part them.
    level = observed - 1e-7 * max(1.0, abs(observed))
    size = 1 if slow else min(BATCH, total)
    null: list[float] = []
    failures: Counter[str] = Counter()
    done = exceeding = 0
    with ProgressLine(progress, "bootstrap") as line:
        while done < total and not (stop and exceeding >= ENOUGH):
            count = min(size, total - done)
            # A seed for each batch: what is drawn does not depend on where it stops.
            Y = m0.simulate(count, _seed_of(seed, done)).to_numpy().T
            for value, why in _ratios(m0, m1, Y, ordered):
                if why:
                    failures[why] += 1
                    continue
                null.append(value)
                exceeding += value >= level
                if stop and exceeding >= ENOUGH:
                    break
            done += count
            line.update(done, total, f"{exceeding} as large")
    return _result(observed, np.array(null), exceeding, failures, total, stop)


def _result(
    observed: float,
    null: Vector,
    exceeding: int,
    failures: Counter[str],
    total: int,
    stop: bool,
) -> BootstrapTest:
    used = len(null)
    failed = sum(failures.values())
    if not used:
        why = "; ".join(f"{k}: {n}" for k, n in failures.most_common())
        raise DataError(
            f"none of {failed} bootstrap refits reached a maximum ({why}). The smaller "
            "model may fit the data too badly to be simulated from: see its check()"
        )
    stopped = stop and exceeding >= ENOUGH and used + failed < total
    p = exceeding / used if stopped else (1 + exceeding) / (1 + used)
    error = np.sqrt(p * (1.0 - p) / (exceeding / p if stopped else used))
    return BootstrapTest(
        statistic=observed,
        p_value=float(p),
        std_error=float(error),
        n=used,
        n_exceeding=int(exceeding),
        n_failed=failed,
        failures=dict(failures.most_common()),
        stopped=bool(stopped),
        null=null,
    )


def _seed_of(seed: int, batch: int) -> int:
    """A seed of its own for each batch."""
    return int(np.random.SeedSequence([seed, batch]).generate_state(1, np.uint64)[0])


def _ratios(
    m0: Comparable, m1: MixedModelFit, Y: Matrix, ordered: bool
) -> list[tuple[float, str]]:
    """The ratio for each response, or why there is none.

    `ordered` says that the larger model contains the smaller one.
    """
    small, why0 = _logliks(m0, Y)
    large, why1 = _logliks(m1, Y)
    out: list[tuple[float, str]] = []
    for a, b, text0, text1 in zip(small, large, why0, why1, strict=True):
        ratio, why = 2.0 * (b - a), text0 or text1
        if not why and ordered and ratio < -MISSED * max(1.0, abs(a) * 1e-4):
            why = "the larger model ended below the smaller one"
        out.append((max(ratio, 0.0) if ordered else ratio, why))
    return out


def _logliks(fit: Comparable, Y: Matrix) -> tuple[Vector, list[str]]:
    """Log-likelihoods of refits, and why one failed (empty if it did not)."""
    if isinstance(fit, LinearBase):
        values, status = fit.logliks(Y)
        return values, _reasons(status)
    if fit.is_neural:
        found = [_refit(fit, y) for y in Y]
        return np.array([v for v, _ in found]), [why for _, why in found]
    found = fit.model.maximise_many(Y, near=fit.estimate)
    status = np.where(np.isfinite(found.loglik), found.status, Status.NOT_FINITE)
    return found.loglik, _reasons(status)


def _reasons(status: NDArray[np.int64]) -> list[str]:
    return [
        "" if s == Status.CONVERGED else Status(int(s)).sentence
        for s in status.tolist()
    ]


def _refit(fit: MixedModelFit, y: Vector) -> tuple[float, str]:
    """The log-likelihood of one refit by itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = fit.refit(y)
    except NgmmError as error:
        return np.nan, str(error).splitlines()[0]
    if not np.isfinite(found.loglik):
        return np.nan, Status.NOT_FINITE.sentence
    if not found.converged:
        return np.nan, found.estimate.status.sentence
    return found.loglik, ""
