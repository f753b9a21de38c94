"""Agreement with the stored numbers of lme4, glmmTMB, GLMMadaptive and exact maxima.

``python benchmarks/agreement.py --write`` fits every model of ``tests/reference`` anew,
by the rule of its reference, and keeps a row for each log-likelihood, estimate and
standard error in ``results/agreement.json`` and ``.csv``. The exit status is 1 if a
log-likelihood is off by more than `ALLOWED`. No other program is needed.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ngmm
from records import keep

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.reference import (
    ReferenceCase,
    case_ids,
    load_entry,
    load_reference_case,
)

PROGRAMS = {"lmer": "lme4", "glmer": "lme4", "oracle": "exact"}
# Of a log-likelihood. GLMMadaptive stops early and says how far it is; the stored exact
# maxima are themselves good to 1e-9, and ngmm reports the error of its own integral.
ALLOWED = {"lmer": 1e-6, "glmer": 1e-4, "glmmTMB": 1e-4}
STORED = 1e-9
# A standard deviation that is zero but for the optimiser of the reference.
ZERO = 1e-3
# At these maxima of Laplace's approximation the likelihood itself is far from its
# maximum: no target, and ngmm warns of them.
SPURIOUS = ("glmm_toenail_slope", "glmm_schizo_slope_laplace")

Row = dict[str, Any]


def compare(case: ReferenceCase) -> list[Row]:
    """Rows of one model: what ngmm gives, what the reference is, how they differ."""
    with warnings.catch_warnings():
        # The rules are those of the reference, however poor.
        warnings.simplefilter("ignore", ngmm.errors.NgmmWarning)
        fit = ngmm.fit(data=case.data, **case.call)
    named = {
        "model": case.id,
        "program": PROGRAMS.get(case.engine, case.engine),
        "family": case.call.get("family", "gaussian"),
    }
    return [
        {
            **named,
            "quantity": quantity,
            "term": term,
            "ngmm": ours,
            "reference": theirs,
            "difference": ours - theirs,
            "relative": abs(ours - theirs) / scale if scale else None,
            "allowed": _allowed(case, fit) if quantity == "loglik" else None,
        }
        for quantity, term, ours, theirs, scale in _pairs(case, fit)
    ]


def _pairs(
    case: ReferenceCase, fit: ngmm.MixedModelFit
) -> Iterator[tuple[str, str, float, float, float | None]]:
    """Quantity, term, our value, theirs, and what a difference is measured by."""
    yield "loglik", "", fit.loglik, case.loglik, None
    se = case.series("se")
    # A coefficient near zero is known to a part of its standard error only.
    yield from _series("fixef", fit.fixef, case.series("fixef"), se)
    yield from _series("se", fit.bse, se, se)
    if case.expected.get("df_satterthwaite"):
        df = case.series("df_satterthwaite")
        ours: Any = fit.coef_table().to_frame()["df"]
        yield from _series("df", ours, df, df)
    frame = fit.varcorr().to_frame()
    table: list[Any] = frame.to_dict("records")
    for quantity, expected in (("sd", _sds(case)), ("corr", _correlations(case))):
        found = _covariances(table, quantity)
        for (group, names), theirs in expected.items():
            if theirs is None or not np.isfinite(found[group, names]):
                continue  # R has no correlation with an effect that does not vary
            term = f"{' '.join(sorted(names))} | {group}"
            scale = 1.0 if quantity == "corr" else theirs if theirs > ZERO else None
            yield quantity, term, found[group, names], theirs, scale
    if case.engine == "lmer":
        sigma = case.expected["sigma"]
        yield "sigma", "", float(fit.sigma), sigma, sigma
    phi = getattr(fit.estimate, "phi", None)
    if phi is not None and case.phi is not None:
        yield "dispersion", "", float(phi), case.phi, case.phi


def _series(
    quantity: str, ours: Any, theirs: Any, scale: Any
) -> Iterator[tuple[str, str, float, float, float]]:
    for name, value in theirs.items():
        term = str(name)
        yield quantity, term, float(ours[term]), float(value), float(scale[term])


Key = tuple[str, frozenset[str]]


def _sds(case: ReferenceCase) -> Mapping[Key, float]:
    return {
        (case.group(term["group"]), frozenset((name,))): sd
        for term in case.expected["varcorr"]
        for name, sd in zip(case.names(term["terms"]), term["sd"], strict=True)
    }


def _correlations(case: ReferenceCase) -> Mapping[Key, float]:
    found = {}
    for term in case.expected["varcorr"]:
        names = case.names(term["terms"])
        for i, j in zip(*np.tril_indices(len(names), -1), strict=True):
            key = case.group(term["group"]), frozenset((names[i], names[j]))
            found[key] = term["corr"][i][j]
    return found


def _covariances(table: Sequence[Row], quantity: str) -> dict[Key, float]:
    """Standard deviations or correlations of a table of variances."""
    pairs = quantity == "corr"
    return {
        (r["group"], frozenset((r["name"], r["name2"]) if pairs else (r["name"],))): r[
            quantity
        ]
        for r in table
        if isinstance(r["name2"], str) is pairs
    }


def _allowed(case: ReferenceCase, fit: ngmm.MixedModelFit) -> float:
    """How far the log-likelihoods may lie apart."""
    if case.engine == "oracle":
        integral = getattr(fit.estimate, "integral", None)
        return (getattr(integral, "error", None) or 0.0) + STORED + ALLOWED["glmer"]
    stops = case.engine == "GLMMadaptive"
    return (
        load_entry(case.id, "glmm")["tol"]["logLik_abs"]
        if stops
        else ALLOWED[case.engine]
    )


def summary(rows: Sequence[Row]) -> str:
    """The largest differences by program and quantity."""
    frame = pd.DataFrame(rows)
    size = frame["relative"].astype(float)
    size = size.where(frame["quantity"] != "loglik", frame["difference"].abs())
    each = frame.assign(size=size).groupby(["quantity", "program"])["size"]
    table = pd.DataFrame({"largest": each.max(), "numbers": each.count()})
    return table.to_string(float_format="{:.1e}".format)


def main(argv: Sequence[str] | None = None) -> int:
    """Fit, print the largest differences, keep the rows."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    known = [i for i in case_ids("models", "more", "glmm") if i not in SPURIOUS]
    parser.add_argument("--models", nargs="+", choices=known, metavar="MODEL")
    parser.add_argument("--write", action="store_true")
    ask = parser.parse_args(argv)
    rows: list[Row] = []
    for name in ask.models or known:
        rows += compare(load_reference_case(name))
        print(f"{name}: {len(rows)} numbers", file=sys.stderr, flush=True)
    print(summary(rows))
    if ask.models is None:
        print(f"left out, spurious maxima: {', '.join(SPURIOUS)}")
    if ask.write:
        print(keep("agreement", rows))
    far = [r for r in rows if r["allowed"] and abs(r["difference"]) > r["allowed"]]
    for r in far:
        print(f"{r['model']}: log-likelihood off by {r['difference']:.2g}")
    return int(bool(far))


if __name__ == "__main__":
    sys.exit(main())
