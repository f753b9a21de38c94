"""Random-effects terms simplified in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ngmm.comparison.lrt import lrt
from ngmm.errors import NotSupportedError, OptionError, did_you_mean
from ngmm.results.columns import Column, Count, Label, Number, PValue, Text
from ngmm.results.table import Table

if TYPE_CHECKING:
    from ngmm.design import RandomDesign
    from ngmm.formula import RandomTerm
    from ngmm.results.fit import MixedModelFit

METHODS = ("auto", "exact", "chibar", "chi2", "bootstrap")

# Share of a vector's length outside of a space that is rounding.
_OUTSIDE = 1e-8


def ranova(fit: MixedModelFit, *, method: str = "auto", **options: Any) -> Table:
    """Each random-effects term simplified in turn, by likelihood-ratio tests.

    ``(x + z | g)`` becomes ``(z | g)`` and ``(x | g)``, ``(x | g)`` becomes
    ``(1 | g)``, and ``(1 | g)`` is left out; a factor without intercept,
    ``(0 + f | g)``, becomes ``(1 | g)``; of ``(x || g)`` each column is left out.

    Parameters
    ----------
    fit
        A fitted model without networks.
    method
        Of `ngmm.lrt`: ``"auto"``, ``"exact"``, ``"chibar"``, ``"chi2"`` or
        ``"bootstrap"``. A variance of zero is on the edge of what it can be, so that
        p-values of ``"chi2"``, which other programs print, are too large.
    **options
        Of `ngmm.lrt`: ``n``, ``seed``, ``progress``.

    Returns
    -------
    Table
        A row for the whole model and one for each simplification. Columns npar, loglik,
        aic, statistic, df (parameters fewer), p_value, std_error (Monte Carlo, where
        something was simulated) and method.

    Raises
    ------
    OptionError
        If there is no such method, or not for one of the terms.
    NotSupportedError
        If the model has networks; `ngmm.lrt` compares those.

    Notes
    -----
    Restricted likelihoods are kept: the models have the same fixed effects. A model
    that loses its last random effect is compared with the (generalized) linear model.

    References
    ----------
    Self & Liang (1987), JASA 82, 605-610; Stram & Lee (1994), Biometrics 50,
    1171-1177; Kuznetsova, Brockhoff & Christensen (2017), J. Stat. Softw. 82(13).

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> row = fit.ranova().to_frame().iloc[1]
    >>> print(f"{row['statistic']:.3f}, {row['df']:.0f} df, p {row['p_value']:.2e}")
    42.139, 2 df, p 3.96e-10
    """
    if method not in METHODS:
        raise OptionError(
            f"method must be one of {', '.join(map(repr, METHODS))}; got {method!r}"
            f"{did_you_mean(method, METHODS)}"
        )
    if fit.is_neural:
        raise NotSupportedError(
            "ranova() is for models without networks; fit the model without the random "
            'effect and compare: ngmm.lrt(smaller, fit, method="bootstrap")'
        )
    steps = [s for at in range(len(fit.design.random)) for s in _steps(fit, at)]
    found = [_compared(fit, step, method, options) for step in steps]
    whole = {"npar": fit.model.df, "loglik": fit.loglik, "aic": fit.aic}
    index = pd.Index(["<none>", *(step.label for step in steps)], dtype=object)
    frame = pd.DataFrame([whole, *(f.row for f in found)], index=index)
    kind = "restricted likelihood" if fit.reml else "likelihood"
    said = [f"{s.label}: {f.sentence}" for s, f in zip(steps, found, strict=True)]
    return Table(
        frame, "\n".join([f"{kind}-ratio tests", *said]), _columns(), "Without"
    )


@dataclass(frozen=True, eq=False)
class _Step:
    """A simplification of one term: what the random effects then are."""

    label: str
    random: tuple[RandomDesign, ...]
    terms: tuple[RandomTerm, ...]


@dataclass(frozen=True, eq=False)
class _Row:
    """A comparison with the whole model, and what was done."""

    row: dict[str, Any]
    sentence: str


def _steps(fit: MixedModelFit, at: int) -> list[_Step]:
    """What one random-effects term is reduced to."""
    matrix, term = fit.spec.random[at].matrix, fit.design.random[at]
    written = fit.terms.random[at]
    found: list[_Step] = []
    for part in _droppable(fit, at):
        keep = [j for j, owner in enumerate(matrix.column_terms) if owner != part]
        smaller = _reduced(term, keep)
        if smaller is None:
            found.append(_replaced(fit, at, str(written), None, None))
            continue
        parts = list(dict.fromkeys(matrix.column_terms[j] for j in keep))
        has_constant = "Intercept" in smaller.names
        texts = ["1" if has_constant else "0", *(p for p in parts if p != "Intercept")]
        shown = replace(written, expr=" + ".join(texts))
        name = "1" if part == "Intercept" else part
        found.append(_replaced(fit, at, f"{name} in {written}", smaller, shown))
    # An intercept alone has no part that can be left out but itself.
    return found or [_replaced(fit, at, str(written), None, None)]


def _droppable(fit: MixedModelFit, at: int) -> list[str]:
    """The parts of a random-effects term that no other part contains."""
    matrix = fit.spec.random[at].matrix
    parts = list(dict.fromkeys(matrix.column_terms))
    if not fit.design.random[at].correlated:
        # Independent effects: each is a term of its own, the intercept among them.
        return parts
    variables = dict(zip(matrix.column_terms, matrix.column_variables, strict=True))
    used = [set(variables[part]) for part in parts]
    return [
        part
        for part in parts
        if part != "Intercept" and not any(set(variables[part]) < u for u in used)
    ]


def _replaced(
    fit: MixedModelFit,
    at: int,
    label: str,
    smaller: RandomDesign | None,
    shown: RandomTerm | None,
) -> _Step:
    random, terms = fit.design.random, fit.terms.random
    new = () if smaller is None else (smaller,)
    text = () if shown is None else (shown,)
    return _Step(
        label,
        (*random[:at], *new, *random[at + 1 :]),
        (*terms[:at], *text, *terms[at + 1 :]),
    )


def _reduced(term: RandomDesign, keep: Sequence[int]) -> RandomDesign | None:
    """The term with some of its columns, and a constant if it has had one."""
    Z = term.Z[:, keep]
    names = tuple(term.names[j] for j in keep)
    one = np.ones((len(Z), 1))
    if term.correlated and _spans(term.Z, one) and not _spans(Z, one):
        Z, names = np.column_stack([one, Z]), ("Intercept", *names)
    if not names:
        return None
    return replace(term, Z=np.ascontiguousarray(Z), names=names)


def _spans(Z: np.ndarray, one: np.ndarray) -> bool:
    if not Z.shape[1]:
        return False
    q = np.linalg.qr(Z)[0]
    rest = one - q @ (q.T @ one)
    return bool(np.linalg.norm(rest) <= _OUTSIDE * np.linalg.norm(one))


def _compared(
    fit: MixedModelFit, step: _Step, method: str, options: dict[str, Any]
) -> _Row:
    terms = replace(fit.terms, random=step.terms, text="")
    smaller: MixedModelFit | str = str(terms)
    if step.random:
        design = replace(fit.design, random=step.random)
        model = replace(fit.model, design=design)
        found = replace(fit, terms=terms, model=model, estimate=model.maximise())
        smaller = found
        if not found.converged:
            row = _numbers(fit, found.loglik, model.df)
            return _Row(row, f"no test: {found.estimate.status.sentence}")
    table = lrt(smaller, fit, method=method, **options)
    tested = table.to_frame()
    row = _numbers(fit, float(tested["loglik"].iloc[0]), int(tested["df"].iloc[0]))
    row["p_value"] = float(tested["p_value"].iloc[1])
    row["std_error"] = float(tested["std_error"].iloc[1])
    row["method"] = str(tested["method"].iloc[1])
    return _Row(row, sentences_of(table))


def sentences_of(table: Table) -> str:
    """What a table of two models says of their test, without the models themselves."""
    models = {f"{name}: {text}" for name, text in table.frame["model"].items()}
    lines = [
        line.removeprefix("m1: ")
        for line in table.caption.splitlines()
        if line.startswith(("m1: ", "WARNING")) and line not in models
    ]
    return " ".join(lines)


def _numbers(fit: MixedModelFit, loglik: float, npar: int) -> dict[str, Any]:
    return {
        "npar": npar,
        "loglik": loglik,
        "aic": -2.0 * loglik + 2.0 * npar,
        "statistic": max(2.0 * (fit.loglik - loglik), 0.0),
        "df": fit.model.df - npar,
        "p_value": np.nan,
        "std_error": np.nan,
        "method": "none",
    }


def _columns() -> tuple[Column, ...]:
    return (
        Label(),
        Count("npar", "npar"),
        Number("loglik", "loglik", decimals=2),
        Number("aic", "AIC", decimals=1),
        Number("statistic", "LRT", decimals=2),
        Count("df", "df"),
        PValue("p_value"),
        Text("method", "method"),
    )
