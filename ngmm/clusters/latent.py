"""How clustered the hidden units of networks are by the levels of a grouping factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.clusters.groups import level_means, one_group, term_of
from ngmm.diagnostics.checks import check_fit
from ngmm.effects.terms import Term, network_term, network_terms
from ngmm.errors import NotSupportedError, OptionError
from ngmm.extras import optional
from ngmm.likelihood.neural.terms import unravel
from ngmm.linalg import precise
from ngmm.networks import Layered
from ngmm.results import MixedModelFit, Table
from ngmm.results.columns import Count, Label, Number

Matrix = NDArray[np.float64]
Codes = NDArray[np.int32]

WHAT = "clusters.latent_scores"
INPUTS = "numeric inputs"
# Relative to the range of the values, what differs by less does not.
ROUNDING = 1e-12
# Rows that go through a network at once.
BLOCK = 65_536


def latent_scores(
    fit: MixedModelFit, group: str | None = None, network: str | None = None
) -> Table:
    """Scores of how far the hidden units of networks tell the levels of a factor apart.

    Parameters
    ----------
    fit
        A fit with networks in the fixed part.
    group
        The grouping factor; None for the only one.
    network
        Text of a network term, ``"nn(x1, x2)"``; None for all of them.

    Returns
    -------
    Table
        A row each network, of its last hidden units over the rows of the fit, and a row
        for the numeric inputs of these networks, with standard deviation one. Columns:
        name, units (their number), davies_bouldin (the average over levels of how much
        a level overlaps with the one it is most like; higher is less clustered) and
        calinski_harabasz (variance between levels over that within them; lower is less
        clustered). Of averaged networks the best one is looked at.

    Raises
    ------
    OptionError
        If there is no such grouping factor or network, or there are not enough rows for
        the levels.
    NotSupportedError
        If the hidden layers of a network cannot be seen, or it has none.
    MissingPackageError
        Without scikit-learn.

    References
    ----------
    Davies & Bouldin (1979), IEEE TPAMI 1, 224-227; Calinski & Harabasz (1974), Commun.
    Stat. 3, 1-27.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy").sample(90, random_state=0)
    >>> formula = "Reaction ~ nn(Days, hidden=(2,)) + (1 | Subject)"
    >>> fit = ngmm.fit(formula, data, estimator=ngmm.Stochastic(epochs=5))
    >>> ngmm.clusters.latent_scores(fit).to_frame()[["name", "units"]].values.tolist()
    [['nn(Days)', 2], ['numeric inputs', 1]]
    """
    name = one_group(check_fit(fit, WHAT), group, WHAT)
    terms = network_terms(fit) if network is None else (network_term(fit, network),)
    term = term_of(fit, name)
    n = fit.nobs
    if not 2 <= term.n_levels < n:
        raise OptionError(
            f"{WHAT}: scores need from 2 levels to fewer levels than rows; {name} has "
            f"{term.n_levels} levels in {n} rows"
        )
    metrics = optional("sklearn.metrics", "images", "latent_scores()")
    rows = [_scores(metrics, t.label, _units(t), term.codes) for t in terms]
    inputs = _inputs(terms)
    if inputs.shape[1]:
        rows.append(_scores(metrics, INPUTS, inputs, term.codes))
    caption = (
        f"how clustered by {name} ({term.n_levels} levels) the last hidden units are: "
        "less with a higher Davies-Bouldin and a lower Calinski-Harabasz score"
    )
    frame = pd.DataFrame(rows)
    if np.isinf(frame["davies_bouldin"]).any():
        caption += "\na dash where two levels have the same mean: it is infinite"
    columns = (
        Label("name"),
        Count("units", "units"),
        Number("davies_bouldin", "Davies-Bouldin"),
        Number("calinski_harabasz", "Calinski-Harabasz"),
    )
    return Table(frame, caption, columns, "Latent scores")


def _scores(metrics: Any, name: str, values: Matrix, codes: Codes) -> dict[str, Any]:
    """One row of the table.

    Raises
    ------
    OptionError
        If no value differs between rows.
    """
    if not (np.ptp(values, axis=0) > 0).any():
        raise OptionError(
            f"{WHAT}: the hidden units of {name} are the same in all rows, which have "
            "no clusters; the network does nothing, see fit.nn_table()"
        )
    overlap = float(metrics.davies_bouldin_score(values, codes))
    ratio = float(metrics.calinski_harabasz_score(values, codes))
    return {
        "name": name,
        "units": values.shape[1],
        # scikit-learn takes levels with one centre for levels far apart.
        "davies_bouldin": np.inf if _same_centres(values, codes) else overlap,
        "calinski_harabasz": ratio if ratio > ROUNDING else 0.0,
    }


def _same_centres(values: Matrix, codes: Codes) -> bool:
    """Whether two levels have the same mean."""
    centres = level_means(codes, int(codes.max()) + 1, values)
    scaled = centres / np.linalg.norm(np.ptp(values, axis=0))
    distances = np.linalg.norm(scaled[:, None] - scaled[None], axis=2)
    return bool(distances[np.triu_indices(len(centres), 1)].min() < ROUNDING)


def _units(term: Term) -> Matrix:
    """(n, width) last hidden units of a network over the rows of the fit."""
    network = term.stack.networks[term.position]
    if not isinstance(network, Layered):
        raise NotSupportedError(
            f"{WHAT}: the hidden layers of {term.label} cannot be seen. A network of "
            "one's own shows them by a method activations(weights, inputs)"
        )
    networks = term.networks
    inputs = jax.tree.map(np.asarray, term.design.inputs)
    part = networks.weights(networks.members[0])[term.weights]
    out = []
    with precise():
        weights = unravel(jnp.asarray(part), network, inputs)  # type: ignore[arg-type]
        for start in range(0, inputs.n_rows, BLOCK):
            rows = jax.tree.map(lambda a: a[start : start + BLOCK], inputs)  # noqa: B023
            layers = network.activations(weights, rows)
            if not layers:
                raise NotSupportedError(
                    f"{WHAT}: {term.label} has no hidden layers; give it some, "
                    "hidden=(8, 8)"
                )
            out.append(np.asarray(layers[-1], dtype=np.float64))
    return np.concatenate(out)


def _inputs(terms: Sequence[Term]) -> Matrix:
    """(n, columns) numeric inputs of networks, each once."""
    found: dict[str, NDArray[Any]] = {}
    for term in terms:
        x = np.asarray(term.design.inputs.x, dtype=np.float64)
        found |= dict(zip(term.design.columns, x.T, strict=True))
    n = terms[0].design.inputs.n_rows
    return np.column_stack(list(found.values())) if found else np.zeros((n, 0))
