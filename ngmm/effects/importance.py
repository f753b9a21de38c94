r"""Importance of the inputs of networks, by permutation and by gradient.

References
----------
Breiman (2001), Mach. Learn. 45, 5-32, for permutation; Jansen (1999), Comput. Phys.
Commun. 117, 35-43, eq. (12), for the variance that depends on an input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.design.network_inputs import InputSpec, NumericInput
from ngmm.effects.relevance import effective_weights
from ngmm.effects.rows import Rows, rows_of
from ngmm.effects.terms import Term, network_term, network_terms
from ngmm.errors import OptionError, did_you_mean
from ngmm.formula import columns_of
from ngmm.linalg import precise
from ngmm.results import MixedModelFit, Table
from ngmm.results.columns import Column, Label, Number, Size, floats
from ngmm.results.simulation import check_count, check_seed

Vector = NDArray[np.float64]

METHODS = ("permutation", "gradient")

# Rows that are looked at, at most.
MOST_ROWS = 2_000
# Step of the differences, in standard deviations: small enough for an error of 1e-8
# of a smooth function, large enough for rounding to be no larger.
STEP = 1e-4


def importance(
    fit: MixedModelFit,
    term: str | None = None,
    method: str = "permutation",
    *,
    n: int = 10,
    seed: int | None = None,
) -> Table:
    """Inputs of networks in the order of their importance.

    Parameters
    ----------
    fit
        A fit with network terms.
    term
        The term as in the formula, ``"nn(x1, x2)"``; None for all networks.
    method
        What orders the inputs of a term: ``"permutation"`` or ``"gradient"``.
    n
        Number of permutations.
    seed
        Seed of the permutations; None for that of the fit.

    Returns
    -------
    Table
        A row each input, with columns

        permutation
            Standard deviation of the part of f that depends on the input, alone or with
            others: root of half the mean square change of f when the values of the
            input are exchanged between rows.
        gradient
            Root mean square slope of f in the input, times the standard deviation of
            the input; missing for factors and arrays.
        loglik
            By how much the log-likelihood of the data, at the conditional modes, falls
            when the values are exchanged for this term.
        edf
            Effective number of the weights that read the input: what the evidence left
            of them. Missing for networks of one's own, or fitted by minibatches.

        Of a linear function of independent inputs both importances are the absolute
        coefficient times the standard deviation. Numbers are averages over the rows, or
        over 2,000 of them drawn at random.

    Raises
    ------
    OptionError
        If there is no such term or method, or n or seed is not a whole number.

    References
    ----------
    Breiman (2001), Mach. Learn. 45, 5-32, for permutation; Jansen (1999), Comput. Phys.
    Commun. 117, 35-43, eq. (12), for the variance that depends on an input.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ nn(Days, hidden=()) + (Days | Subject)", data)
    >>> table = ngmm.effects.importance(fit)
    >>> table.to_frame()["gradient"].round(2).tolist()
    [30.06]
    """
    if method not in METHODS:
        raise OptionError(
            f"there is no importance {method!r}{did_you_mean(method, METHODS) or '.'} "
            f"Methods: {', '.join(METHODS)}"
        )
    terms = network_terms(fit) if term is None else (network_term(fit, term),)
    rows = rows_of(fit, MOST_ROWS, fit.seed)
    likelihood = _likelihood(fit, rows)
    count = check_count(n)
    start = fit.seed if seed is None else check_seed(seed)
    frames = []
    for found in terms:
        look = _Look(found, rows, likelihood, count, np.random.default_rng(start))
        frame = look.frame().sort_values(method, ascending=False, kind="stable")
        frames.append(frame)
    return _table(pd.concat(frames, ignore_index=True))


@dataclass(frozen=True, eq=False)
class _Likelihood:
    """Log-density of responses, given a change of their linear predictor."""

    fit: MixedModelFit
    rows: Rows
    eta: Vector

    def drop(self, change: Vector) -> float:
        """By how much the log-likelihood of all rows falls."""
        fit, at = self.fit, self.rows.positions
        design, family = fit.design, fit.model.family
        phi = fit.sigma**2 if family.has_residual else fit.phi
        log_phi = None if phi is None else np.log(phi)
        trials = None if design.trials is None else design.trials[at]
        with precise():
            before, after = (
                family.log_prob(
                    jnp.asarray(design.y[at]),
                    jnp.asarray(eta),
                    log_phi,
                    design.weights[at],
                    trials,
                )
                for eta in (self.eta, self.eta + change)
            )
            return float(jnp.mean(before - after)) * design.n_rows


def _likelihood(fit: MixedModelFit, rows: Rows) -> _Likelihood:
    eta = np.asarray(fit.predict(kind="link"))[rows.positions]
    return _Likelihood(fit, rows, eta)


@dataclass(frozen=True, eq=False)
class _Look:
    """One term, looked at in some rows."""

    term: Term
    rows: Rows
    likelihood: _Likelihood
    n: int
    generator: np.random.Generator

    def frame(self) -> pd.DataFrame:
        """A row each input."""
        f = self._outputs({})
        # The same permutations for all inputs: their importances compare.
        orders = [self.generator.permutation(self.rows.n_rows) for _ in range(self.n)]
        edf = effective_weights(self.term)
        out = []
        for position, part in enumerate(self.term.network_spec.inputs):
            square, drop = self._permuted(part, f, orders)
            out.append(
                {
                    "term": self.term.label,
                    "input": part.text,
                    "permutation": np.sqrt(square / 2.0),
                    "gradient": self._gradient(part, position),
                    "loglik": drop,
                    "edf": edf[position],
                }
            )
        return pd.DataFrame(out)

    def _permuted(
        self, part: InputSpec, f: Vector, orders: list[NDArray[np.intp]]
    ) -> tuple[float, float]:
        """Mean square change of f, and fall of the log-likelihood."""
        squares, drops = [], []
        for order in orders:
            changed = {
                name: np.asarray(self.rows.columns[name])[order]
                for name in columns_of(part.text)
                if name in self.rows.columns
            }
            change = self._outputs(changed) - f
            squares.append(np.mean(change**2))
            drops.append(self.likelihood.drop(change))
        return float(np.mean(squares)), float(np.mean(drops))

    def _gradient(self, part: InputSpec, position: int) -> float:
        """Root mean square slope in the standardised input."""
        columns = columns_of(part.text)
        if not isinstance(part, NumericInput) or len(columns) != 1:
            return np.nan
        name = columns[0]
        if self.rows.levels(name) is not None:
            return np.nan
        values = self.rows.columns[name].to_numpy(dtype=np.float64)
        step = STEP * values.std()
        # Within the range of the data the input is defined.
        low = np.maximum(values - step, values.min())
        high = np.minimum(values + step, values.max())
        at = self.term.design.column_inputs.index(position)
        f_low, z_low = self._output_and_input({name: low}, at)
        f_high, z_high = self._output_and_input({name: high}, at)
        run = z_high - z_low
        moved = run != 0.0
        slope = (f_high - f_low)[moved] / run[moved]
        return float(np.sqrt(np.mean(slope**2))) if moved.any() else 0.0

    def _outputs(self, changed: dict[str, Any]) -> Vector:
        inputs, X = self.rows.read(changed)
        return self.term.networks.outputs(inputs, X)[:, self.term.position]

    def _output_and_input(
        self, changed: dict[str, Any], column: int
    ) -> tuple[Vector, Vector]:
        inputs, X = self.rows.read(changed)
        f = self.term.networks.outputs(inputs, X)[:, self.term.position]
        return f, np.asarray(inputs[self.term.position].x)[:, column]


def _table(frame: pd.DataFrame) -> Table:
    columns: list[Column] = []
    if len(set(frame["term"])) > 1:
        columns.append(Label("term", "term", once=True))
    columns += [
        Label("input", "input"),
        Size("permutation", "permutation"),
        Size("gradient", "gradient"),
        Number("loglik", "loglik", decimals=1),
    ]
    caption = (
        "sd of what depends on an input, by exchanging its values and by slope;\n"
        "loglik: its fall without the input"
    )
    if np.isfinite(floats(frame, "edf")).any():
        columns.append(Number("edf", "edf", decimals=1))
        caption += "; edf: effective weights that read it"
    return Table(frame, caption, tuple(columns), "Importance")
