"""Fits of hard simulated data sets against brute force: ``python benchmarks/hard_data.py``.

Every data set is fitted with default settings; then the log-likelihood, its gradient and
Hessian at the estimate are computed anew (`brute_force.py`), and a search from there
looks for a better point. What `fit.check()` tags as [OK] must have a gain below 1e-6
and a log-likelihood within the error that the fit reports; what it warns of must have a
reason that can be seen in the data. The exit status is 1 if there is a false [OK]::

    python benchmarks/hard_data.py                 # all 200, some minutes
    python benchmarks/hard_data.py --only 3 17     # these two, with their messages
    python benchmarks/hard_data.py --json out.json

A data set depends on its number only. Designs repeat, so that little is compiled.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brute_force import BruteForce, climb, newton_gain

Vector = NDArray[np.float64]

N_SETS = 200
SEED = 20261121
# A gain worth a warning, as `fit.check()` has it.
LARGEST_GAIN = 1e-6
# Standard deviations and coefficients beyond these are infinite for all that 300 rows
# of a binary response can tell.
RUNAWAY = 20.0
SDS = (0.0, 0.3, 1.0, 2.0, 4.0, 7.0, 10.0)
RATES = (0.5, 0.2, 0.05, 0.02, 0.01)
SEPARATIONS = (*["none"] * 6, "near", "near", "quasi", "complete")


@dataclass(frozen=True)
class Shape:
    """Rows, groups and family that many data sets share.

    Attributes
    ----------
    family
        Response distribution.
    n, groups
        Numbers of rows and groups.
    slope
        Whether x has a random slope, correlated with the intercept.
    even
        Whether groups are of equal size.
    copies
        Number of data sets.
    """

    family: str
    n: int
    groups: int
    slope: bool
    even: bool
    copies: int


SHAPES = (
    Shape("bernoulli", 120, 60, False, False, 44),
    Shape("bernoulli", 240, 40, False, True, 40),
    Shape("bernoulli", 200, 5, False, False, 20),
    Shape("bernoulli", 240, 40, True, True, 36),
    Shape("binomial", 90, 30, False, False, 18),
    Shape("poisson", 150, 30, False, False, 16),
    Shape("negative_binomial", 150, 30, False, False, 12),
    Shape("poisson", 120, 20, True, True, 14),
)


@dataclass(frozen=True, eq=False)
class HardSet:
    """A data set: what it is like, and its rows (y, x, t, g and trials)."""

    number: int
    shape: Shape
    sd: float
    rate: float
    separation: str
    data: pd.DataFrame

    @property
    def formula(self) -> str:
        """The model."""
        return f"y ~ x + t + ({'x' if self.shape.slope else '1'} | g)"

    @property
    def title(self) -> str:
        """What it is like, in a few words."""
        s = self.shape
        effects = "(x|g)" if s.slope else "(1|g)"
        return (
            f"{s.family} {effects} n={s.n}/{s.groups} sd={self.sd:g} "
            f"rate={self.rate:g} {self.separation}"
        )


def hard_set(number: int) -> HardSet:
    """Data set of a number from 0 to 199."""
    rng = np.random.default_rng([SEED, number])
    shape = _shape(number)
    sd = float(rng.choice(SDS))
    rate = float(rng.choice(RATES))
    counts = shape.family in {"poisson", "negative_binomial"}
    separation = "none" if counts else str(rng.choice(SEPARATIONS))
    g = _codes(shape, rng)
    x = rng.normal(size=shape.n)
    t = rng.integers(0, 2, shape.groups).astype(float)[g]
    if t.std() == 0.0:
        t[g == 0] = 1.0 - t[0]
    if counts:
        sd = min(sd, 2.0)
    eta = _start(rate, counts, rng) + 0.5 * x - 0.5 * t
    eta = eta + _effects(shape, sd, x, g, rng)
    trials = np.ones(shape.n)
    if shape.family == "binomial":
        trials = rng.integers(1, 21, shape.n).astype(float)
    y = _draw(shape.family, eta, trials, rng)
    y = _separate(separation, y, x, t, trials, rng)
    if np.ptp(y) == 0.0:
        y[rng.integers(shape.n)] = 1.0 - min(y[0], 1.0)
    frame = pd.DataFrame(
        {"y": y.astype(int), "x": x, "t": t, "g": g, "trials": trials.astype(int)}
    )
    return HardSet(number, shape, sd, rate, separation, frame)


def _shape(number: int) -> Shape:
    for shape in SHAPES:
        if number < shape.copies:
            return shape
        number -= shape.copies
    raise IndexError("there are 200 data sets, from 0 to 199")


def _codes(shape: Shape, rng: np.random.Generator) -> NDArray[np.int64]:
    """Group of each row: equal sizes, groups of 1 to 3 rows, or very unequal ones."""
    if shape.even:
        return np.repeat(np.arange(shape.groups), shape.n // shape.groups)
    extra = shape.n - shape.groups
    if extra <= shape.groups:
        sizes = 1 + rng.multivariate_hypergeometric(np.full(shape.groups, 2), extra)
    else:
        share = rng.dirichlet(np.full(shape.groups, 0.7))
        sizes = 1 + rng.multinomial(extra, share)
    return np.repeat(np.arange(shape.groups), sizes)


def _start(rate: float, counts: bool, rng: np.random.Generator) -> float:
    """Intercept: of rare events, or of counts from rare to heavy."""
    if counts:
        return float(rng.choice([np.log(rate), 0.0, 1.5, 4.0]))
    return float(np.log(rate / (1.0 - rate)))


def _effects(
    shape: Shape,
    sd: float,
    x: Vector,
    g: NDArray[np.int64],
    rng: np.random.Generator,
) -> Vector:
    """What the random effects add to the linear predictor."""
    b = sd * rng.normal(size=(shape.groups, 2))
    if not shape.slope:
        return b[g, 0]
    correlation = rng.choice([-1.0, -0.9, 0.0, 0.5, 1.0])
    rest = np.sqrt(1.0 - correlation**2)
    slope = rng.choice([0.3, 1.0]) * (correlation * b[:, 0] + rest * b[:, 1])
    return b[g, 0] + slope[g] * x


def _draw(family: str, eta: Vector, trials: Vector, rng: np.random.Generator) -> Vector:
    if family in {"bernoulli", "binomial"}:
        p = 1.0 / (1.0 + np.exp(-np.clip(eta, -500.0, 500.0)))
        return rng.binomial(trials.astype(int), p).astype(float)
    mu = np.exp(np.minimum(eta, 8.0))
    if family == "negative_binomial":
        size = float(rng.choice([0.3, 2.0, 50.0]))
        mu = mu * rng.gamma(size, 1.0 / size, len(mu))
    return rng.poisson(mu).astype(float)


def _separate(
    kind: str,
    y: Vector,
    x: Vector,
    t: Vector,
    trials: Vector,
    rng: np.random.Generator,
) -> Vector:
    """Let t, or t and x together, predict the response."""
    if kind == "none":
        return y
    if kind == "complete":
        return np.where(x > 0.3, trials, 0.0)
    y = np.where(t == 1.0, trials, y)
    if kind == "near":
        y[rng.choice(np.flatnonzero(t == 1.0))] = 0.0
    return y


@dataclass(frozen=True)
class Judgement:
    """A fit beside brute force.

    Attributes
    ----------
    number, title
        The data set.
    tag, status, reasons
        The verdict of the fit: its tag, how the search ended, first words of messages.
    loglik, error, gain, n_steps, rule
        What the fit reports.
    true_error, true_gain, curvature
        By brute force at the estimate: difference of the log-likelihoods, gain of a
        Newton step, lowest relative curvature (negative at a saddle).
    rise
        What a search from the estimate adds to the log-likelihood.
    elsewhere
        What searches from other starts add; zero if they find nothing better.
    sds, beta, far
        Standard deviations and coefficients of the fit, and of the better point.
    separated
        Whether a linear program finds a direction of separation.
    seconds
        Time of the fit, with compilation where there was any.
    """

    number: int
    title: str
    tag: str
    status: str
    reasons: tuple[str, ...]
    loglik: float
    error: float
    gain: float
    n_steps: int
    rule: str
    true_error: float
    true_gain: float
    curvature: float
    rise: float
    elsewhere: float
    sds: tuple[float, ...]
    beta: tuple[float, ...]
    far: tuple[float, ...]
    separated: bool
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the fit says that all is well."""
        return self.tag == "[OK]"

    @property
    def false_ok(self) -> str:
        """Why an [OK] is false; empty if it is not."""
        if not self.ok:
            return ""
        why = []
        if not self.gain < LARGEST_GAIN or not self.true_gain < LARGEST_GAIN:
            why.append("gain")
        if not self.rise < LARGEST_GAIN:
            why.append("rise")
        if not self.true_error <= self.error:
            why.append("error")
        if not self.elsewhere < 1e-4:
            why.append("elsewhere")
        if self.curvature < -1e-6:
            why.append("saddle")
        if self.separated:
            why.append("separated")
        if max(self.sds) > RUNAWAY and "bernoulli" in self.title:
            why.append("runaway")
        return " ".join(why)

    @property
    def false_alarm(self) -> bool:
        """Whether a warned fit is a proper interior maximum, well found."""
        return not (
            self.ok
            or self.separated
            or max(self.sds) > RUNAWAY
            or max(self.rise, self.elsewhere, self.true_gain) > LARGEST_GAIN
            or self.curvature < -1e-6
        )


def judge(hard: HardSet) -> tuple[Judgement, Any]:
    """Fit a data set and compare with brute force."""
    import ngmm
    from ngmm.errors import NgmmWarning

    s, d = hard.shape, hard.data
    trials = "trials" if s.family == "binomial" else None
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NgmmWarning)
        fit = ngmm.fit(hard.formula, d, family=s.family, trials=trials)
        verdict = fit.check()
    seconds = time.perf_counter() - begin
    e = fit.estimate
    model = brute_force(hard)
    tail = [] if e.phi is None else [np.log(e.phi)]
    psi = np.concatenate([e.beta, e.theta, tail])
    exact = model.loglik(psi)
    value, gradient, hessian = model.slopes(psi)
    gain, curvature = newton_gain(gradient, hessian)
    best, top = climb(model, psi, steps=30 if model.q == 1 else 2)
    other, highest = _elsewhere(model, psi, max(top, value))
    _, lam, _ = model.split(psi)
    found = Judgement(
        number=hard.number,
        title=hard.title,
        tag=verdict.tag,
        status=e.status.name,
        reasons=tuple(m.text[:60] for m in verdict.messages),
        loglik=e.loglik,
        error=float(e.integral.error),
        gain=float(e.gain),
        n_steps=e.n_steps,
        rule=e.integral.text,
        true_error=abs(e.loglik - exact),
        true_gain=gain,
        curvature=curvature,
        rise=max(0.0, top - value),
        elsewhere=max(0.0, highest - max(top, value)),
        sds=tuple(float(v) for v in np.sqrt((lam * lam).sum(1))),
        beta=tuple(float(b) for b in e.beta),
        far=tuple(float(v) for v in (other if highest > top + 1e-6 else best)),
        separated=is_separated(model),
        seconds=seconds,
    )
    return found, fit


def brute_force(hard: HardSet) -> BruteForce:
    """The model of a data set, by brute force."""
    d = hard.data
    one = np.ones(len(d))
    x, t, g, y, m = (d[c].to_numpy(float) for c in ("x", "t", "g", "y", "trials"))
    Z = np.column_stack([one, x]) if hard.shape.slope else one[:, None]
    X = np.column_stack([one, x, t])
    return BruteForce(hard.shape.family, y, m, X, Z, g.astype(np.int64))


def _elsewhere(model: BruteForce, psi: Vector, top: float) -> tuple[Vector, float]:
    """The best end of searches with other standard deviations to start from."""
    best, p = psi, model.X.shape[1]
    if model.q > 1:
        return best, top
    for sd in (0.0, 0.5, 2.0, 6.0):
        start = psi.copy()
        # Coefficients grow with the standard deviation of a logistic model.
        ratio = np.sqrt((1.0 + 0.35 * sd**2) / (1.0 + 0.35 * psi[p] ** 2))
        if model.family in {"bernoulli", "binomial"}:
            start[:p] *= ratio
        start[p] = sd
        end, value = climb(model, start)
        if value > top:
            best, top = end, value
    return best, top


def is_separated(model: BruteForce) -> bool:
    """Whether some direction of the fixed effects never lowers the likelihood."""
    from scipy.optimize import linprog

    bounded = model.family in {"bernoulli", "binomial"}
    low = model.y == 0
    high = (model.y == model.trials) & bounded
    sign = np.where(high & ~low, 1.0, -1.0)[:, None] * model.X
    free = low | high
    found = linprog(
        -sign[free].sum(0),
        A_ub=-sign[free],
        b_ub=np.zeros(free.sum()),
        A_eq=model.X[~free] if not free.all() else None,
        b_eq=np.zeros((~free).sum()) if not free.all() else None,
        bounds=(-1.0, 1.0),
    )
    return bool(-found.fun > 1e-6)


def _line(j: Judgement) -> str:
    sds = "/".join(f"{s:.3g}" for s in j.sds)
    mark = f"FALSE OK {j.false_ok}" if j.false_ok else ""
    mark = "false alarm" if j.false_alarm else mark
    return (
        f"{j.number:3d} {j.title:58s} {j.tag:8s} {j.status:9s} {j.n_steps:3d} "
        f"{j.gain:8.1e} {j.true_gain:8.1e} {j.rise:8.1e} {j.elsewhere:8.1e} "
        f"{j.curvature:8.1e} "
        f"{j.error:8.1e} {j.true_error:8.1e} {j.seconds:5.1f} {sds:12s} {mark} "
        + " | ".join(j.reasons)
    )


HEADER = (
    f"{'no.':3s} {'data set':58s} {'tag':8s} {'status':9s} stp {'gain':8s} "
    f"{'true':8s} {'rise':8s} {'elsewh.':8s} {'curv.':8s} {'error':8s} {'true':8s} "
    f"{'sec':>5s} sd"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Judge the data sets, print a table and a count."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--only", type=int, nargs="*", help="numbers of data sets")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, default=N_SETS - 1)
    parser.add_argument("--json", type=Path, help="where to write all numbers")
    options = parser.parse_args(argv)
    print(HEADER)
    found = []
    for number in options.only or range(options.first, options.last + 1):
        judgement, fit = judge(hard_set(number))
        found.append(judgement)
        print(_line(judgement), flush=True)
        if options.only:
            print(fit.check(), np.asarray(judgement.beta), judgement.rule)
    if options.json:
        options.json.write_text(json.dumps([asdict(j) for j in found], indent=1))
    false_ok = [j.number for j in found if j.false_ok]
    alarms = [j.number for j in found if j.false_alarm]
    n_ok = sum(j.ok for j in found)
    print(f"{len(found)} data sets: {n_ok} [OK], of which false: {false_ok}")
    print(f"{len(found) - n_ok} [WARN], of which false alarms: {alarms}")
    return 1 if false_ok else 0


if __name__ == "__main__":
    sys.exit(main())
