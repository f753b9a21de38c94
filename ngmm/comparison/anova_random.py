"""Random-effects terms simplified in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ngmm.covariance import pattern
from ngmm.errors import NotSupportedError, OptionError, did_you_mean
from ngmm.estimation.glm import fit_glm
from ngmm.estimation.status import Status
from ngmm.results.columns import Column, Count, Label, Number, PValue, Text
from ngmm.results.table import Table

if TYPE_CHECKING:
    from ngmm.design import Design, RandomDesign
    from ngmm.model import Model
    from ngmm.results.fit import MixedModelFit

METHODS = ("auto", "chibar", "chi2")

# Share of a vector's length outside of a space that is rounding.
_OUTSIDE = 1e-8
# A statistic this small is the rounding error of two log-likelihoods.
_ZERO = 1e-7


def ranova(fit: MixedModelFit, *, method: str = "auto") -> Table:
    """Each random-effects term simplified in turn, by likelihood-ratio tests.

    ``(x + z | g)`` becomes ``(z | g)`` and ``(x | g)``, ``(x | g)`` becomes
    ``(1 | g)``, and ``(1 | g)`` is left out; a factor without intercept, ``(0 + f | g)``,
    becomes ``(1 | g)``; of ``(x || g)`` each column is left out.

    Parameters
    ----------
    fit
        A fitted model without networks.
    method
        ``"chi2"``: p-values from chi-square with as many degrees of freedom as there
        are parameters fewer. A variance of zero is on the edge of what it can be, so
        they are too large. ``"chibar"``: from a half-and-half mixture of chi-squares
        with d - 1 and d degrees of freedom where one column is left out. ``"auto"``:
        chibar for one column, chi2 for more, and the column ``method`` says which.

    Returns
    -------
    Table
        A row for the whole model and one for each simplification. Columns npar, loglik,
        aic, statistic, df, p_value, method.

    Raises
    ------
    OptionError
        If there is no such method.
    NotSupportedError
        If the model has networks; `ngmm.lrt` compares those.

    Notes
    -----
    Restricted likelihoods are kept: the models have the same fixed effects. A model
    that loses its last random effect is compared with the (generalized) linear model.
    The mixture takes the other variances as positive.

    References
    ----------
    Self & Liang (1987), JASA 82, 605-610, cases 5 and 6; Stram & Lee (1994),
    Biometrics 50, 1171-1177.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> row = fit.ranova().to_frame().iloc[1]
    >>> round(row["statistic"], 3), row["df"], f"{row['p_value']:.2e}"
    (42.139, 2.0, '3.96e-10')
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
    steps = [
        step
        for at in range(len(fit.design.random))
        for step in _simplifications(fit, at)
    ]
    rows = [_whole(fit), *(_compared(fit, step, method) for step in steps)]
    index = pd.Index(["<none>", *(step.label for step in steps)], dtype=object)
    frame = pd.DataFrame(rows, index=index)
    failed = frame.pop("failed")
    return Table(frame, _caption(fit, frame, failed), _columns(), "Without")


@dataclass(frozen=True, eq=False)
class _Step:
    """A simplification of one term."""

    label: str
    random: tuple[RandomDesign, ...]
    n_columns: int  # by which the term has fewer


def _simplifications(fit: MixedModelFit, at: int) -> list[_Step]:
    """What one random-effects term is reduced to."""
    design, matrix = fit.design, fit.spec.random[at].matrix
    term = design.random[at]
    shown = str(fit.terms.random[at])
    parts = dict.fromkeys(matrix.column_terms)
    variables = dict(zip(matrix.column_terms, matrix.column_variables, strict=True))
    droppable = [
        part
        for part in parts
        if (part != "Intercept" or not term.correlated)
        and not any(
            set(variables[part]) < set(variables[o]) for o in parts if o != part
        )
    ]
    if not term.correlated:
        # Independent effects: each is a term of its own, the intercept among them.
        droppable = list(parts)
    if not droppable:
        return [_without(design, at, shown)]
    found: list[_Step] = []
    for part in droppable:
        keep = [j for j, owner in enumerate(matrix.column_terms) if owner != part]
        smaller = _reduced(term, keep)
        if smaller is None:
            found.append(_without(design, at, shown))
            continue
        random = (*design.random[:at], smaller, *design.random[at + 1 :])
        fewer = len(term.names) - len(smaller.names)
        name = "1" if part == "Intercept" else part
        found.append(_Step(f"{name} in {shown}", random, fewer))
    return found


def _without(design: Design, at: int, shown: str) -> _Step:
    random = (*design.random[:at], *design.random[at + 1 :])
    return _Step(shown, random, len(design.random[at].names))


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


def _whole(fit: MixedModelFit) -> dict[str, object]:
    missing = {"statistic": np.nan, "df": np.nan, "p_value": np.nan}
    return {
        "npar": fit.model.df,
        "loglik": fit.loglik,
        "aic": fit.aic,
        **missing,
        "method": None,
        "failed": "",
    }


def _compared(fit: MixedModelFit, step: _Step, method: str) -> dict[str, object]:
    loglik, status = _maximum(fit.model, step.random)
    fewer = fit.model.n_theta - _n_theta(step.random)
    npar = fit.model.df - fewer
    statistic = max(2.0 * (fit.loglik - loglik), 0.0)
    mixed = step.n_columns == 1 and method != "chi2"
    if status is not Status.CONVERGED:
        p, name = np.nan, "none"
    elif mixed:
        p, name = mixture_tail(statistic, fewer), "chibar"
    elif method == "chibar":
        p, name = np.nan, "none: more than one column"
    else:
        p, name = chi2_tail(statistic, fewer), "chi2, conservative"
    return {
        "npar": npar,
        "loglik": loglik,
        "aic": -2.0 * loglik + 2.0 * npar,
        "statistic": statistic,
        "df": fewer,
        "p_value": p,
        "method": name,
        "failed": "" if status is Status.CONVERGED else status.sentence,
    }


def mixture_tail(statistic: float, df: int) -> float:
    """P-value of leaving out one column of a covariance matrix with df parameters.

    Examples
    --------
    >>> f"{mixture_tail(42.139, 2):.2e}"
    '3.96e-10'
    """
    return 0.5 * (chi2_tail(statistic, df - 1) + chi2_tail(statistic, df))


def chi2_tail(statistic: float, df: int) -> float:
    """P(chi-square >= statistic); a chi-square without degrees of freedom is zero."""
    from scipy.special import chdtrc

    if df == 0:
        return float(statistic < _ZERO)
    return float(chdtrc(df, statistic))


def _maximum(model: Model, random: tuple[RandomDesign, ...]) -> tuple[float, Status]:
    """Largest log-likelihood with these random effects, and how it was reached."""
    if random:
        design = replace(model.design, random=random)
        found = replace(model, design=design).maximise()
        return found.loglik, found.status
    if model.is_gaussian:
        return model.loglik(np.zeros(model.n_theta)), Status.CONVERGED
    d = model.design
    glm = fit_glm(d.X, d.y, model.family, d.offset, d.weights, d.trials)
    return glm.loglik, glm.status


def _n_theta(random: Sequence[RandomDesign]) -> int:
    return sum(pattern([(len(t.names), t.correlated)]).n_theta for t in random)


def _caption(fit: MixedModelFit, frame: pd.DataFrame, failed: pd.Series) -> str:
    used = set(frame["method"].dropna())
    kind = "restricted likelihood" if fit.reml else "likelihood"
    sentences = [f"{kind}-ratio tests"]
    if "chibar" in used:
        sentences[0] += "; chibar: half chi-square with df, half with df - 1"
    if "chi2, conservative" in used:
        sentences[0] += "; chi2: p-values are too large, since a variance cannot be < 0"
    if fit.is_singular and "chibar" in used:
        sentences.append(
            "The fit is singular: with other variances at zero the mixture is only "
            'approximate; ngmm.lrt(method="bootstrap") is not.'
        )
    sentences += [
        f"The fit without {label} {text}: its row is not a test."
        for label, text in failed.items()
        if text
    ]
    return "\n".join(sentences)


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
