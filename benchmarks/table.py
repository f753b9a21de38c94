"""Measurements as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from measurement import Measurement
from startup import Startup

AGREE = 1e-3  # of a log-likelihood: what default optimisers leave open

HEADER = (
    "problem",
    "program",
    "first fit, s",
    "later fits, s",
    "first / lme4",
    "later / lme4",
    "peak, MB",
    "log-likelihood",
    "agrees",
)


def best_loglik(measurements: Sequence[Measurement]) -> float | None:
    """The highest log-likelihood that any program reached."""
    return max((m.loglik for m in measurements if m.loglik is not None), default=None)


def agrees(
    measurement: Measurement, best: float | None, exact: float | None = None
) -> bool:
    """Whether a program reached the exact maximum, or else the best one found."""
    if measurement.loglik is None or best is None:
        return False
    if exact is not None:
        return abs(measurement.loglik - exact) <= AGREE
    return best - measurement.loglik <= AGREE


def comparison(
    measurements: Sequence[Measurement], exact: Mapping[str, float | None] | None = None
) -> str:
    """One row for each program on each problem; `exact` maxima by problem."""
    rows = [HEADER]
    for problem in dict.fromkeys(m.problem for m in measurements):
        same = [m for m in measurements if m.problem == problem]
        reference = next((m for m in same if m.adapter == "lme4"), None)
        known = (exact or {}).get(problem)
        rows += [_row(m, reference, best_loglik(same), known) for m in same]
    return _markdown(rows)


def startup_table(startup: Startup) -> str:
    """Times of fresh processes."""
    rows = [("fresh process", "s")]
    rows += [(name, f"{value:.2f}") for name, value in startup.seconds.items()]
    ratio = f"{startup.import_ratio:.2f}"
    return _markdown([*rows, ("import ngmm / import jax, pandas", ratio)])


def _row(
    m: Measurement,
    reference: Measurement | None,
    best: float | None,
    exact: float | None,
) -> tuple[str, ...]:
    program = f"{m.adapter} {m.version}".strip()
    if m.status != "ok" or m.loglik is None or best is None:
        return m.problem, program, m.status, *[""] * (len(HEADER) - 3)
    base = reference.repeated if reference else None
    off = f"no: {best - m.loglik:.2g} lower"
    if exact is not None:
        off = f"no: off by {m.loglik - exact:+.2g}"
    verdict = "yes" if agrees(m, best, exact) else off
    return (
        m.problem,
        program,
        _number(m.first),
        _number(m.repeated if m.later else None),
        _ratio(m.first, base),
        _ratio(m.repeated if m.later else None, base),
        "" if m.peak_mb is None else f"{m.peak_mb:.0f}",
        f"{m.loglik:.4f}",
        verdict,
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
