"""Images as the autoencoder of a fit draws them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.diagnostics.checks import check_fit
from ngmm.effects.terms import Term, network_term, network_terms
from ngmm.errors import NewDataError, NotSupportedError, OptionError
from ngmm.likelihood.neural.terms import unravel
from ngmm.linalg import precise
from ngmm.networks import Inputs, Reconstructing
from ngmm.results import MixedModelFit
from ngmm.results.rows import unseen_text
from ngmm.training.joint.own import Modulation

Matrix = NDArray[np.float64]
Codes = NDArray[np.int32]

WHAT = "clusters.reconstruct"
# Rows that go through a network at once.
BLOCK = 8_192
NEW_LEVELS = ("error", "population", "images")
# Random effects without variance stay zero.
LEAST_SD = 1e-6


def reconstruct(
    fit: MixedModelFit,
    newdata: Any = None,
    *,
    network: str | None = None,
    re: str = "all",
    new_levels: str = "error",
) -> NDArray[np.float64]:
    """Images as the autoencoder of a fit draws them again.

    Parameters
    ----------
    fit
        A fit with an `ngmm.networks.Autoencoder` in the fixed part.
    newdata
        A frame or mapping with the columns of the formula, the response excepted; None
        for the rows of the fit. Rows with another level than their own show how an
        image would look there.
    network
        Text of the network term, ``"nn(image, net=ae)"``; None for the only one that
        draws images.
    re
        ``"all"`` for scale and shift of the row's group, where the formula has them,
        ``(1 + nn(net=ae) | g)``; ``"none"`` without.
    new_levels
        What to do with levels that the fit does not know: ``"error"``; ``"population"``
        for scale and shift of zero; ``"images"`` to find them from the images of the
        level, as those that make images and the random effects' normal distribution
        most probable. No response is needed.

    Returns
    -------
    ndarray
        Images in the units and the shape of the inputs, (n, rows, columns) or (n, rows,
        columns, channels).

    Raises
    ------
    OptionError
        If there is no such network, or an option is not known.
    NewDataError
        If a column is missing, or there are new levels and `new_levels` is
        ``"error"``.
    NotSupportedError
        If no network draws images, or ``"images"`` is asked for where several grouping
        factors have scales and shifts.

    Notes
    -----
    Of a fit such as

    .. code-block:: python

       data = ngmm.datasets.digits(n_clusters=4, n_rows=20).data
       fit = ngmm.fit(
           "y ~ nn(image, net=ae) + (1 | cluster)",
           data,
           family="bernoulli",
           networks={"ae": ngmm.networks.Autoencoder((2,), 2, (2,))},
       )
       images = ngmm.clusters.reconstruct(fit)

    the images are of shape (80, 8, 8).

    Examples
    --------
    A model that does not draw images is refused:

    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> try:
    ...     ngmm.clusters.reconstruct(fit)
    ... except ngmm.errors.NgmmError as error:
    ...     print(type(error).__name__)
    OptionError
    """
    _check_option("re", re, ("all", "none"))
    _check_option("new_levels", new_levels, NEW_LEVELS)
    term = _term(check_fit(fit, WHAT), network)
    found = term.networks.modulations
    modulations = found[term.position] if found and re == "all" else ()
    rows = _rows(fit, newdata, term, modulations, new_levels)
    decoder = _Decoder(term, rows.inputs)
    effects = None
    if modulations:
        effects = sum(
            (m.mean[np.maximum(c, 0)] * (c >= 0)[:, None] for m, c in rows.known),
            start=np.zeros((rows.inputs.n_rows, modulations[0].mean.shape[1])),
        )
        if new_levels == "images" and (rows.new >= 0).any():
            effects = decoder.with_new(effects, rows, modulations[0])
    return decoder.draw(rows.inputs, effects)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows asked for.

    Attributes
    ----------
    inputs
        What the network reads.
    known
        For each term its random effects, and the rows' levels, -1 for a new one.
    new
        (n,) position of each row's new level; -1 where it is known.
    """

    inputs: Inputs
    known: list[tuple[Modulation, Codes]]
    new: NDArray[np.intp]


class _Decoder:
    """The network of a term with its weights."""

    def __init__(self, term: Term, inputs: Inputs) -> None:
        network = term.stack.networks[term.position]
        assert isinstance(network, Reconstructing)
        self.network = network
        part = term.networks.weights(term.networks.members[0])[term.weights]
        with precise():
            self.weights = unravel(jnp.asarray(part), network, inputs)  # type: ignore[arg-type]

    def draw(self, inputs: Inputs, effects: Matrix | None) -> Matrix:
        """Images drawn again, in blocks of rows."""
        out = []
        with precise():
            for start in range(0, inputs.n_rows, BLOCK):
                stop = start + BLOCK
                some = jax.tree.map(lambda a: a[start:stop], inputs)  # noqa: B023
                b = None if effects is None else jnp.asarray(effects[start:stop])
                drawn = self.network.reconstruct(self.weights, some, b)
                out.append(np.asarray(drawn, dtype=np.float64))
        return np.concatenate(out)

    def with_new(self, effects: Matrix, rows: _Rows, of: Modulation) -> Matrix:
        """The same with the most probable random effects in rows of new levels."""
        # Only for new levels: it takes long to import.
        from scipy.optimize import minimize

        own = np.flatnonzero(rows.new >= 0)
        codes, sd = rows.new[own], np.maximum(of.prior_sd, LEAST_SD)
        shape = (int(codes.max()) + 1, len(sd))
        some = jax.tree.map(lambda a: jnp.asarray(a[own]), rows.inputs)

        def loss(v: Array) -> Array:
            b = v.reshape(shape) * sd
            density = self.network.own_loss(self.weights, some, b[codes]).sum()
            return density + 0.5 * (v**2).sum()

        with precise():
            both = jax.jit(jax.value_and_grad(loss))

            def at(v: Matrix) -> tuple[float, Matrix]:
                value, slope = both(jnp.asarray(v))
                return float(value), np.asarray(slope, dtype=np.float64)

            found = minimize(at, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B").x
        effects = effects.copy()
        effects[own] = (found.reshape(shape) * sd)[codes]
        return effects


def _term(fit: MixedModelFit, network: str | None) -> Term:
    """The network that draws images."""
    if network is not None:
        term = network_term(fit, network)
        if not isinstance(term.stack.networks[term.position], Reconstructing):
            raise NotSupportedError(f"{WHAT}: {term.label} draws no images")
        return term
    found = [
        t
        for t in network_terms(fit)
        if isinstance(t.stack.networks[t.position], Reconstructing)
    ]
    if not found:
        raise NotSupportedError(
            f"{WHAT}: no network of the model draws images; use "
            'nn(image, net=ae) and networks={"ae": ngmm.networks.Autoencoder()}'
        )
    if len(found) > 1:
        shown = " or ".join(f'network="{t.label}"' for t in found)
        raise OptionError(f"{WHAT}: several networks draw images; say {shown}")
    return found[0]


def _rows(
    fit: MixedModelFit,
    newdata: Any,
    term: Term,
    modulations: tuple[Modulation, ...],
    new_levels: str,
) -> _Rows:
    """What the network reads of the rows, and their levels."""
    random = fit.model.design.random
    groups = tuple(dict.fromkeys(random[m.term].group for m in modulations))
    if newdata is None:
        known = [(m, np.asarray(random[m.term].codes)) for m in modulations]
        inputs = jax.tree.map(np.asarray, term.design.inputs)
        return _Rows(inputs, known, np.full(inputs.n_rows, -1))
    new = fit.spec.apply(newdata, random=groups, levels=True)
    unseen = {g: counts for g, counts in new.unseen.items() if g in groups}
    if unseen and new_levels == "error":
        raise NewDataError(
            f'{unseen_text(unseen).split("; pass")[0]}; pass new_levels="population" '
            '(scale and shift of zero) or "images" (found from the images)'
        )
    if unseen and new_levels == "images" and len(modulations) > 1:
        raise NotSupportedError(
            f'{WHAT}: new_levels="images" is for one grouping factor with scales and '
            f"shifts; the model has {', '.join(groups)}"
        )
    by_group = {t.group: np.asarray(t.codes) for t in new.random}
    known = [(m, by_group[random[m.term].group]) for m in modulations]
    none = np.full(new.n_rows, -1)
    position = new.unseen_codes.get(groups[0], none) if groups else none
    return _Rows(new.networks[term.position], known, np.asarray(position))


def _check_option(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        shown = ", ".join(f'"{v}"' for v in known)
        raise OptionError(
            f"{WHAT}: {name}={value!r} is not known; it is one of {shown}"
        )
