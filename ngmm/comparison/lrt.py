"""Likelihood-ratio tests of nested models, each by a method that is valid for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ngmm.comparison.lrt_base import LinearBase
from ngmm.comparison.lrt_methods import (
    Outcome,
    Pair,
    bootstrap,
    chi2_test,
    chibar_test,
    exact_obstacle,
    exact_test,
    few_levels,
    is_refitted_quickly,
    score,
    split,
)
from ngmm.comparison.lrt_models import ready
from ngmm.comparison.nesting import Difference, difference
from ngmm.comparison.nesting_data import Comparable, same_offset
from ngmm.errors import NotSupportedError, OptionError, did_you_mean
from ngmm.progress import check_progress
from ngmm.results import MixedModelFit
from ngmm.results.columns import Label, Number, PValue, Text
from ngmm.results.formatting import p_value as p_text
from ngmm.results.simulation import check_seed
from ngmm.results.table import Table

METHODS: dict[str, Callable[[Pair], Outcome]] = {
    "chi2": chi2_test,
    "chibar": chibar_test,
    "exact": exact_test,
    "bootstrap": bootstrap,
    "score": score,
    "split": split,
}
# Statistics below this are rounding errors of equal likelihoods.
WORSE = 1e-3
# A conservative p-value below the first says enough, as 999 refits say no more; and one
# above the second is not small by any method.
CLEAR, NOT_SMALL = 1e-3, 0.25


def lrt(
    *fits: MixedModelFit | str,
    method: str = "auto",
    n: int | None = None,
    seed: int = 0,
    progress: bool | str = "auto",
    **options: Any,
) -> Table:
    r"""Likelihood-ratio tests of nested models, each against the one before.

    The statistic is :math:`2 (\ell_1 - \ell_0)`, and the methods differ in what it is
    compared with.

    Parameters
    ----------
    *fits
        Two or more fitted models, in any order; they are sorted by their number of
        parameters. A string is a formula that is fitted to the rows of the others, with
        their family and options: ``"Reaction ~ Days"`` for a (generalized) linear model
        as the smallest one.
    method
        ``"auto"`` takes for each pair the first that is valid, and says which:

        ``"chi2"``
            Fixed effects, and correlations of effects that both models have.
        ``"exact"``
            The only variance of a Gaussian model, beside the residual one: its law in
            finite samples, by simulation from the spectrum (Crainiceanu and Ruppert
            2004).
        ``"chibar"``
            Variances, which are zero in the smaller model, the end of their range: a
            mixture of chi-squares (Self and Liang 1987; Stram and Lee 1994), its
            weights from the information of the variances (Silvapulle and Sen 2005).
        ``"score"``
            Networks that the smaller model lacks: see `ngmm.comparison.score`.
        ``"bootstrap"``
            Everything else: `bootstrap_test`. Also variances beside others that are at
            zero themselves, and variances over fewer than 100 levels where the mixture,
            which is conservative then, gives a p-value that is neither clear (0.001)
            nor large (0.25).

        ``"split"`` is valid in finite samples for any pair, with less power: see
        `ngmm.comparison.split`. ``"chi2"`` for variances is computed when asked for;
        the caption says that it is conservative, and by how much.
    n
        Number of simulated statistics: of ``"bootstrap"`` 999 by default (199 with
        networks), of ``"exact"`` 100,000, of ``"chibar"`` 50,000 where the mixture has
        no closed form; of ``"split"`` the number of splits.
    seed
        Seed of what is simulated.
    progress
        As in `ngmm.fit`.
    **options
        Of the method: ``stop`` of ``"bootstrap"``; those of `score_test` and
        `split_test`.

    Returns
    -------
    Table
        Rows ``m0``, ``m1``, ...; columns of its frame: ``model`` (the formula), ``df``
        (number of parameters), ``loglik``, ``aic``; of the test against the row above
        ``statistic``, ``test_df``, ``p_value``, ``std_error`` (Monte Carlo, of the
        p-value; missing if nothing was simulated) and ``method``. The caption says what
        was done.

    Raises
    ------
    DataError
        If the models are not fitted to the same responses: the rows are named.
    OptionError
        If families differ, models are not nested (it says in what), or an argument
        cannot be used.

    Notes
    -----
    Fits by restricted maximum likelihood are compared as they are if they have the
    same fixed effects; otherwise all are refitted by maximum likelihood, and the
    caption says so.

    References
    ----------
    Self & Liang (1987), J. Am. Stat. Assoc. 82, 605-610. Stram & Lee (1994), Biometrics
    50, 1171-1177. Crainiceanu & Ruppert (2004), J. R. Stat. Soc. B 66, 165-185.
    Silvapulle & Sen (2005), Constrained Statistical Inference, section 3. For networks:
    Lin (1997), Biometrika 84, 309-326; Wasserman, Ramdas & Balakrishnan (2020), PNAS
    117, 16880-16890.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> m1 = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> m0 = ngmm.fit("Reaction ~ Days + (1 | Subject)", data)
    >>> row = ngmm.lrt(m0, m1).to_frame().loc["m1"]
    >>> row["method"], f"{row['statistic']:.3f}", f"{row['p_value']:.3g}"
    ('chibar', '42.139', '3.96e-10')
    """
    _check_method(method)
    check_seed(seed)
    check_progress(progress)
    _check_options(method, options)
    models, notes = ready(fits)
    tests: list[Outcome | None] = [None]
    for i in range(1, len(models)):
        m0, m1 = models[i - 1], models[i]
        assert isinstance(m1, MixedModelFit)
        differ = difference(m0, m1)
        pair = Pair(m0, m1, differ, n, seed, progress, options)
        test, why = _test(pair, method)
        tests.append(test)
        notes.append(f"m{i}: {test.method}{why}. {_capital(test.sentence)}.")
        notes += _cautions(pair, test, i)
    return _table(models, tests, notes)


def _check_method(method: object) -> None:
    if method != "auto" and method not in METHODS:
        names = ("auto", *METHODS)
        raise OptionError(
            f"method must be one of {', '.join(map(repr, names))}; got {method!r}"
            f"{did_you_mean(method, names)}"
        )


def _check_options(method: str, options: dict[str, Any]) -> None:
    """Refuse options that a method does not have; `score` and `split` do it alone."""
    if method in ("score", "split"):
        return
    known = ["stop"] if method in ("auto", "bootstrap") else []
    for name in options:
        if name not in known:
            raise OptionError(
                f'method="{method}" has no option {name}=; it has '
                f"{', '.join(['n', 'seed', 'progress', *known])}"
                f"{did_you_mean(name, ['method', 'n', 'seed', 'progress', *known])}"
            )


def _test(pair: Pair, method: str) -> tuple[Outcome, str]:
    """The test of a pair, and why it was taken if that was left to ngmm."""
    if not same_offset(pair.m0.design, pair.m1.design):
        raise OptionError(
            f"the offsets of {pair.m0.formula} and {pair.m1.formula} differ, so they "
            "are not nested; give both the same, or compare by ngmm.compare(m0, m1)"
        )
    if method in ("chi2", "chibar", "exact"):
        _check_nested(pair, method)
    if method == "auto":
        return _automatic(pair)
    return METHODS[method](pair), ""


def _check_nested(pair: Pair, method: str) -> None:
    differ = pair.differ
    networks = (*differ.networks, *differ.shared_networks)
    if networks:
        raise OptionError(
            f'method="{method}" has no valid p-value beside {", ".join(networks)}, '
            "whose weights are penalised and not identified without it: use "
            'method="score", "bootstrap" or "split"'
        )
    if not differ.is_nested:
        raise OptionError(
            f"{pair.m0.formula} is not nested in {pair.m1.formula}: "
            f"{'; '.join(differ.obstacles)}. Compare them by ngmm.compare(m0, m1), or "
            'by method="bootstrap"'
        )
    if not differ.df:
        raise OptionError(
            f"{pair.m0.formula} and {pair.m1.formula} are one model: there is nothing "
            "to test"
        )


def _automatic(pair: Pair) -> tuple[Outcome, str]:
    """The first valid method for what differs."""
    differ = pair.differ
    if differ.networks and not differ.shared_networks:
        try:
            plain = replace(pair, options={})
            return score(plain), ", for networks that the smaller model lacks"
        except (NotSupportedError, OptionError):
            return bootstrap(pair), _why_bootstrap(differ)
    if differ.networks or differ.shared_networks:
        return bootstrap(pair), _why_bootstrap(differ)
    _check_nested(pair, "auto")
    at_zero = differ.random.singular
    touched = differ.random.cones or differ.random.n_free
    if at_zero and touched:
        return bootstrap(pair), (
            f", since {', '.join(at_zero)} of the smaller model is at a bound itself, "
            "where no mixture is known"
        )
    if not differ.random.cones:
        return chi2_test(pair), ""
    if not exact_obstacle(pair):
        return exact_test(pair), ""
    try:
        found = chibar_test(pair)
    except NotSupportedError:
        return bootstrap(pair), ", since there are too many random effects for chibar"
    few = few_levels(pair)
    if few and CLEAR < found.p_value < NOT_SMALL and is_refitted_quickly(pair):
        return bootstrap(pair), (
            f", since chibar (p {p_text(found.p_value)}) is conservative with {few}"
        )
    return found, ""


def _why_bootstrap(differ: Difference) -> str:
    if differ.networks and not differ.shared_networks:
        return ", since more than networks of the fixed part differ"
    return ", since both models have networks"


def _cautions(pair: Pair, test: Outcome, i: int) -> list[str]:
    """What else the reader must know."""
    out: list[str] = []
    for name, model in ((f"m{i - 1}", pair.m0), (f"m{i}", pair.m1)):
        if isinstance(model, LinearBase):
            text = "" if model.converged else model.status.sentence
        else:
            verdict = model.check()
            text = "" if verdict.ok else verdict.messages[0].text
        if text:
            out.append(f"WARNING: {name}: {text}.")
    ratio = test.method in ("chi2", "chibar", "exact", "bootstrap")
    if ratio and pair.differ.is_nested and pair.statistic < -WORSE:
        out.append(
            f"WARNING: m{i} has a smaller likelihood than m{i - 1}, which it contains: "
            "its maximum was not found, or its penalty is heavy."
        )
    at_zero = pair.differ.random.singular
    if test.method in ("chi2", "chibar") and at_zero and pair.differ.random.cones:
        out.append(
            f"WARNING: {', '.join(at_zero)} of m{i - 1} is at a bound itself, which "
            'the law does not allow for: method="bootstrap" does.'
        )
    return out


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _table(
    models: list[Comparable], tests: list[Outcome | None], notes: list[str]
) -> Table:
    names = [f"m{i}" for i in range(len(models))]
    frame = pd.DataFrame(
        {
            "model": [m.formula for m in models],
            "df": [float(m.df_model) for m in models],
            "loglik": [m.loglik for m in models],
            "aic": [float(m.aic) for m in models],
            "statistic": [np.nan if t is None else t.statistic for t in tests],
            "test_df": [np.nan if t is None else float(t.df) for t in tests],
            "p_value": [np.nan if t is None else t.p_value for t in tests],
            "std_error": [np.nan if t is None else t.std_error for t in tests],
            "method": ["" if t is None else t.method for t in tests],
        },
        index=pd.Index(names, dtype=object),
    )
    whole = all(float(df).is_integer() for df in frame["df"])
    whole_test = all(float(df).is_integer() for df in frame["test_df"].dropna())
    columns = (
        Label(),
        Number("df", "df", decimals=0 if whole else 1),
        Number("loglik", "loglik", decimals=2),
        Number("aic", "AIC", decimals=1),
        Number("statistic", "statistic", decimals=3, missing=""),
        Number("test_df", "test df", decimals=0 if whole_test else 1, missing=""),
        PValue("p_value"),
        Text("method", "method"),
    )
    formulas = [f"{name}: {m.formula}" for name, m in zip(names, models, strict=True)]
    caption = "\n".join([*formulas, *notes])
    return Table(frame, caption, columns, "Models")
