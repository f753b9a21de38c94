"""Fits of hard data sets beside brute force: ``python benchmarks/hard_data.py``.

Every data set (`hard_sets.py`) is fitted with default settings. Then log-likelihood,
gradient and Hessian at the estimate are computed anew, on dense fixed lattices
(`brute_force.py`), and searches from there and from other standard deviations look for
a better point. What `fit.check()` tags as [OK] must have a gain below 1e-6 and a
log-likelihood within the error that the fit reports; a warning about a maximum that
exists and was well found is a false alarm. The exit status is 1 if an [OK] is false::

    python benchmarks/hard_data.py                 # all 200, some minutes
    python benchmarks/hard_data.py --only 3 17     # these two, with their messages
    python benchmarks/hard_data.py --seed 2        # 200 others
    python benchmarks/hard_data.py --write         # keep all numbers
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brute_force import BruteForce, climb, newton_gain
from hard_sets import N_SETS, SEED, HardSet, brute_force, hard_set
from records import keep

Vector = NDArray[np.float64]

# A gain worth a warning, as `fit.check()` has it.
LARGEST_GAIN = 1e-6
# A higher log-likelihood elsewhere that is not the errors of two quadratures.
ELSEWHERE = 1e-4
# Lowest relative curvature of a maximum, above what differences of scores leave.
FLAT = 1e-6
# Standard deviations to search from, on the scale of the linear predictor.
STARTS = (0.0, 0.5, 2.0, 6.0)


@dataclass(frozen=True)
class Judgement:
    """A fit beside brute force.

    Attributes
    ----------
    number, title
        The data set.
    tag, status, messages
        The verdict of the fit: its tag, how the search ended, what it warns of.
    loglik, error, gain, n_steps, n_nodes
        What the fit reports.
    beta, sds
        Fixed effects and standard deviations of the fit.
    true_error, true_gain, curvature
        By brute force at the estimate: difference of the log-likelihoods, gain of a
        Newton step, lowest relative curvature (negative at a saddle).
    rise
        What a search from the estimate adds to the log-likelihood.
    elsewhere
        What searches from other standard deviations add beyond that.
    separated
        Whether a linear program finds a direction that separates the responses.
    seconds
        Time of the fit, with compilation where there was any.
    """

    number: int
    title: str
    tag: str
    status: str
    messages: tuple[str, ...]
    loglik: float
    error: float
    gain: float
    n_steps: int
    n_nodes: int
    beta: tuple[float, ...]
    sds: tuple[float, ...]
    true_error: float
    true_gain: float
    curvature: float
    rise: float
    elsewhere: float
    separated: bool
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the fit says that all is well."""
        return self.tag == "[OK]"

    @property
    def wrong(self) -> tuple[str, ...]:
        """What brute force has against the estimate, whatever the fit says of it."""
        largest = max(self.gain, self.true_gain, self.rise)
        return tuple(
            name
            for name, yes in (
                ("gain", not largest < LARGEST_GAIN),
                ("error", not self.true_error <= self.error),
                ("elsewhere", self.elsewhere > ELSEWHERE),
                ("saddle", self.curvature < -FLAT),
                ("separated", self.separated),
            )
            if yes
        )

    @property
    def false_ok(self) -> bool:
        """Whether the fit says that all is well and it is not."""
        return self.ok and bool(self.wrong)

    @property
    def false_alarm(self) -> bool:
        """Whether the fit warns of a maximum that exists and was well found."""
        return not self.ok and not self.wrong and self.curvature > FLAT


def judge(hard: HardSet) -> Judgement:
    """Fit a data set and compare with brute force."""
    import ngmm
    from ngmm.errors import NgmmWarning
    from ngmm.model import GeneralizedEstimate

    family = hard.shape.family
    trials = "trials" if family == "binomial" else None
    begin = time.perf_counter()
    with warnings.catch_warnings():
        # The verdict repeats what is warned of.
        warnings.simplefilter("ignore", NgmmWarning)
        fit = ngmm.fit(hard.formula, hard.data, family=family, trials=trials)
        verdict = fit.check()
    seconds = time.perf_counter() - begin
    e = fit.estimate
    assert isinstance(e, GeneralizedEstimate)
    error = np.nan if e.integral.error is None else e.integral.error
    model = brute_force(hard)
    psi = np.concatenate([e.beta, e.theta, [] if e.phi is None else [np.log(e.phi)]])
    value, gradient, hessian = model.slopes(psi)
    gain, curvature = newton_gain(gradient, hessian)
    # The lattice of two dimensions is expensive: two steps show what is to be had.
    top = climb(model, psi, steps=30 if model.q == 1 else 2)[1]
    _, lam, _ = model.split(psi)
    return Judgement(
        number=hard.number,
        title=hard.title,
        tag=verdict.tag,
        status=e.status.name,
        messages=tuple(m.text for m in verdict.messages),
        loglik=e.loglik,
        error=float(error),
        gain=float(e.gain),
        n_steps=e.n_steps,
        n_nodes=e.integral.n_nodes,
        beta=tuple(float(b) for b in e.beta),
        sds=tuple(float(v) for v in np.sqrt((lam * lam).sum(1))),
        true_error=abs(e.loglik - model.loglik(psi)),
        true_gain=gain,
        curvature=curvature,
        rise=max(0.0, top - value),
        elsewhere=max(0.0, _elsewhere(model, psi) - max(top, value)),
        separated=is_separated(model),
        seconds=seconds,
    )


def _elsewhere(model: BruteForce, psi: Vector) -> float:
    """The best end of searches from other standard deviations; one dimension only."""
    if model.q > 1:
        return -np.inf
    p = model.X.shape[1]
    found = -np.inf
    for sd in STARTS:
        start = psi.copy()
        if model.family in {"bernoulli", "binomial"}:
            # Coefficients grow with the standard deviation: Zeger, Liang & Albert
            # (1988), Biometrics 44, 1049-1060.
            start[:p] *= np.sqrt((1.0 + 0.35 * sd**2) / (1.0 + 0.35 * psi[p] ** 2))
        start[p] = sd
        found = max(found, climb(model, start)[1])
    return found


def is_separated(model: BruteForce) -> bool:
    """Whether some direction of the fixed effects never lowers the likelihood."""
    from scipy.optimize import linprog

    bounded = model.family in {"bernoulli", "binomial"}
    low = model.y == 0
    high = (model.y == model.trials) & bounded
    sign = np.where(high, 1.0, -1.0)[:, None] * model.X
    free = low | high
    fixed = model.X[~free]
    found = linprog(
        -sign[free].sum(0),
        A_ub=-sign[free],
        b_ub=np.zeros(free.sum()),
        A_eq=fixed if len(fixed) else None,
        b_eq=np.zeros(len(fixed)) if len(fixed) else None,
        bounds=(-1.0, 1.0),
    )
    return bool(-found.fun > 1e-6)


COLUMNS = (
    f"{'no.':>3s} {'data set':57s} {'tag':8s} {'status':9s} {'steps':>5s} "
    f"{'nodes':>5s} {'gain':>8s} {'true':>8s} {'rise':>8s} {'else':>8s} "
    f"{'error':>8s} {'true':>8s} {'s':>5s} {'sd':11s} verdict"
)


def line(j: Judgement) -> str:
    """A judgement as a line of the table."""
    mark = "false alarm: " * j.false_alarm
    if j.false_ok:
        mark = f"FALSE OK ({', '.join(j.wrong)})"
    return (
        f"{j.number:3d} {j.title:57s} {j.tag:8s} {j.status:9s} {j.n_steps:5d} "
        f"{j.n_nodes:5d} {j.gain:8.1e} {j.true_gain:8.1e} {j.rise:8.1e} "
        f"{j.elsewhere:8.1e} {j.error:8.1e} {j.true_error:8.1e} {j.seconds:5.1f} "
        f"{'/'.join(f'{s:.3g}' for s in j.sds):11s} {mark}"
        + "; ".join(text[:50] for text in j.messages)
    )


def _record(j: Judgement) -> dict[str, Any]:
    verdicts = {"false_ok": j.false_ok, "false_alarm": j.false_alarm}
    # Minus infinity where no other search was made has no place in JSON.
    return {k: v for k, v in (asdict(j) | verdicts).items() if _finite(v)}


def _finite(value: Any) -> bool:
    return not isinstance(value, float) or bool(np.isfinite(value))


def summary(found: Sequence[Judgement]) -> str:
    """Counts of verdicts, and the numbers of those that are false."""
    n_ok = sum(j.ok for j in found)
    false_ok = [j.number for j in found if j.false_ok]
    alarms = [j.number for j in found if j.false_alarm]
    return (
        f"{len(found)} data sets: {n_ok} [OK], {len(false_ok)} of them false "
        f"{false_ok}; {len(found) - n_ok} [WARN], {len(alarms)} of them false alarms "
        f"{alarms}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Judge the data sets, print a table and the counts."""
    parser = argparse.ArgumentParser(description="Fits of hard data sets, judged.")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of data sets")
    parser.add_argument("--seed", type=int, default=SEED, help="other data sets")
    parser.add_argument("--write", action="store_true", help="keep all numbers")
    options = parser.parse_args(argv)
    print(COLUMNS)
    found = []
    for number in options.only or range(N_SETS):
        found.append(judge(hard_set(number, options.seed)))
        print(line(found[-1]), flush=True)
        if options.only:
            print(*found[-1].messages, np.round(found[-1].beta, 4), sep="\n")
    if options.write:
        print(keep("hard_data", [_record(j) for j in found]))
    print(summary(found))
    return 1 if any(j.false_ok for j in found) else 0


if __name__ == "__main__":
    sys.exit(main())
