"""Measurements as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from measurement import ITERATIVE, Measurement
from startup import Startup

AGREE = 1e-3  # of a log-likelihood: what default optimisers leave open
LME4 = ("lme4", "lme4-quadrature")

HEADER = (
    "problem",
    "program",
    "integral",
    "first fit, s",
    "later fits, s",
    "first / lme4",
    "later / lme4",
    "peak, MB",
    "log-likelihood",
    "agrees",
    "less exact",
)


def best_loglik(measurements: Sequence[Measurement]) -> float | None:
    """The highest log-likelihood that any program reached."""
    return max((m.loglik for m in measurements if m.loglik is not None), default=None)


def agrees(measurement: Measurement, same: Sequence[Measurement]) -> bool:
    """Whether a program reached the best log-likelihood of its kind of integral.

    Different integrals have different maxima: only programs that take the same one
    maximise the same function.
    """
    best = best_loglik([m for m in same if m.kind == measurement.kind])
    if measurement.loglik is None or best is None:
        return False
    return best - measurement.loglik <= AGREE


def ratio_base(
    measurement: Measurement, same: Sequence[Measurement]
) -> Measurement | None:
    """The fit of lme4 to divide by: by the same kind of integral if there is one."""
    theirs = [m for m in same if m.adapter in LME4 and m.repeated is not None]
    alike = [m for m in theirs if m.kind == measurement.kind]
    return next(iter([*alike, *theirs]), None)


def comparison(
    measurements: Sequence[Measurement], exact: Mapping[str, float | None] | None = None
) -> str:
    """One row for each program on each problem; `exact` maxima by problem."""
    rows = [HEADER]
    for problem in dict.fromkeys(m.problem for m in measurements):
        same = [m for m in measurements if m.problem == problem]
        known = (exact or {}).get(problem)
        rows += [_row(m, same, known) for m in same]
    return _markdown(rows)


def startup_table(startup: Startup) -> str:
    """Times of fresh processes."""
    rows = [("fresh process", "s")]
    rows += [(name, f"{value:.2f}") for name, value in startup.seconds.items()]
    ratio = f"{startup.import_ratio:.2f}"
    return _markdown([*rows, ("import ngmm / import jax, pandas", ratio)])


def _row(
    m: Measurement, same: Sequence[Measurement], exact: float | None
) -> tuple[str, ...]:
    program = f"{m.adapter} {m.version}".strip()
    if m.status != "ok" or m.loglik is None:
        return m.problem, program, m.status, *[""] * (len(HEADER) - 3)
    reference = ratio_base(m, same)
    base = reference.repeated if reference else None
    best = best_loglik([other for other in same if other.kind == m.kind])
    verdict = f"no: {(best or m.loglik) - m.loglik:.2g} lower"
    if agrees(m, same):
        verdict = "yes"
    if m.kind == ITERATIVE:
        verdict = "not compared"
    return (
        m.problem,
        program,
        m.kind,
        _number(m.first),
        _number(m.repeated if m.later else None),
        _ratio(m.first, base),
        _ratio(m.repeated if m.later else None, base),
        "" if m.peak_mb is None else f"{m.peak_mb:.0f}",
        f"{m.loglik:.4f}",
        verdict,
        "" if exact is None else f"{m.loglik - exact:+.1g}",
    )


def _number(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3g}"


def _ratio(seconds: float | None, base: float | None) -> str:
    return "" if seconds is None or not base else f"{seconds / base:.2g}"


def _markdown(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
