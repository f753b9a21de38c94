"""Is a network better than linear terms in its inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ngmm.comparison.resampled import bootstrap_test
from ngmm.comparison.score import score_test
from ngmm.comparison.split import split_test
from ngmm.effects.terms import Term, network_term
from ngmm.errors import OptionError, RankDeficiencyWarning, did_you_mean
from ngmm.results import MixedModelFit
from ngmm.results.columns import Label, Number, PValue, Text
from ngmm.results.table import Table

METHODS = ("auto", "score", "bootstrap", "split")


def test_linear(
    fit: MixedModelFit,
    term: str,
    method: str = "auto",  # noqa: PT028, no test of ours
    **options: Any,
) -> Table:
    """Whether a network is better than linear terms in its inputs.

    The null model has the inputs as they stand in the call in place of the network:
    ``y ~ x1 + log(x2)`` for ``y ~ nn(x1, log(x2))``, factors by their indicators. Those
    that are fixed terms already stay as they are.

    Parameters
    ----------
    fit
        A fit with the network.
    term
        The network as the formula has it, ``"nn(x1, x2)"``.
    method
        ``"score"``: see `ngmm.comparison.score.score_test`; ``"bootstrap"``: the
        likelihood ratio of responses simulated from the null model, to which both are
        fitted; ``"split"``: see `ngmm.comparison.split.split_test`; ``"auto"``: the
        score test, or the bootstrap where the model has other networks.
    **options
        Those of the test: ``calibrate``, ``depth``, ``n``, ``seed`` of the score test;
        ``n``, ``seed``, ``stop`` of the bootstrap; ``n_splits``, ``seed`` of the split
        test; ``progress`` of all.

    Returns
    -------
    Table
        One row with columns ``null``, ``statistic``, ``df``, ``p_value``, ``method``.
        The statistic of the split test is its e-value.

    Raises
    ------
    OptionError
        If there is no such term or method, or the term is linear (``hidden=()``).

    References
    ----------
    Lin (1997), Biometrika 84, 309-326; Zhang & Lin (2003), Biostatistics 4, 57-74, for
    the score test. Wasserman, Ramdas & Balakrishnan (2020), PNAS 117, 16880-16890, for
    the split test.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> formula = "Reaction ~ nn(Days, hidden=(2,)) + (1 | Subject)"
    >>> fit = ngmm.fit(formula, data, estimator=ngmm.Evidence(restarts=1))
    >>> row = fit.test_linear("nn(Days)").to_frame().loc["nn(Days)"]
    >>> row["null"], round(float(row["p_value"]), 2)
    ('Reaction ~ 1 + Days + (1 | Subject)', 0.68)
    """
    found = network_term(fit, term)
    if method not in METHODS:
        raise OptionError(
            f"method must be one of {', '.join(map(repr, METHODS))}; got {method!r}"
            f"{did_you_mean(method, METHODS)}"
        )
    _check_term(found)
    m0 = linear_null(fit, found)
    if method == "auto":
        method = "bootstrap" if m0.is_neural else "score"
    result = _TESTS[method](m0, fit, options)
    row = {"null": m0.formula, **result}
    frame = pd.DataFrame([row], index=pd.Index([found.label], dtype=object))
    frame["method"] = method
    caption = f"null model: {m0.formula}\n{frame.pop('text').iloc[0]}"
    columns = (
        Label(),
        Number("statistic", "statistic", decimals=2),
        Number("df", "df", decimals=1),
        PValue("p_value"),
        Text("method", "method"),
    )
    return Table(frame, caption, columns, title="Beyond linear")


# The name is that of the method of a fit; it is no test of ours.
test_linear.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]


def linear_null(fit: MixedModelFit, term: Term) -> MixedModelFit:
    """The fit with linear terms in the inputs of a network in its place."""
    network = term.network_spec.term
    change = f". ~ . - {network} + {' + '.join(network.inputs)}"
    left = [t for t in fit.terms.networks if t != network]
    arguments: dict[str, Any] = {}
    if left:
        named = {dict(t.options).get("net") for t in left}
        given = fit.call.arguments.get("networks") or {}
        kept = {name: net for name, net in given.items() if name in named}
        arguments["networks"] = kept or None
    else:
        arguments = {"networks": None, "estimator": "auto"}
    with warnings.catch_warnings():
        # An input that spans what is there already adds nothing, and is to add nothing.
        warnings.simplefilter("ignore", RankDeficiencyWarning)
        m0 = fit.update(change, **arguments)
    # After refit(y) the response is not that of the data.
    same = np.array_equal(m0.design.y, fit.design.y)
    return m0 if same else m0.refit(fit.design.y)


def _check_term(term: Term) -> None:
    if term.network_spec.array_names:
        raise OptionError(
            f"{term.label} reads arrays, in which nothing is linear by itself; compare "
            "it with a model of your own by ngmm.lrt(m0, fit)"
        )
    if term.design.options.get("hidden") == ():
        raise OptionError(
            f"{term.label} has no hidden units (hidden=()): it is linear in its inputs"
        )


def _by_score(m0: MixedModelFit, fit: MixedModelFit, options: Any) -> dict[str, Any]:
    found = score_test(m0, fit, **options)
    return {
        "statistic": found.statistic,
        "df": found.df,
        "p_value": found.p_value,
        "text": found.method,
    }


def _by_bootstrap(
    m0: MixedModelFit, fit: MixedModelFit, options: Any
) -> dict[str, Any]:
    found = bootstrap_test(m0, fit, **options)
    return {
        "statistic": found.statistic,
        "df": float("nan"),
        "p_value": found.p_value,
        "text": found.method,
    }


def _by_split(m0: MixedModelFit, fit: MixedModelFit, options: Any) -> dict[str, Any]:
    found = split_test(m0, fit, **options)
    return {
        "statistic": found.e_value,
        "df": float("nan"),
        "p_value": found.p_value,
        "text": f"the statistic is the e-value; {found.method}",
    }


_TESTS: dict[str, Callable[[MixedModelFit, MixedModelFit, Any], dict[str, Any]]] = {
    "score": _by_score,
    "bootstrap": _by_bootstrap,
    "split": _by_split,
}
