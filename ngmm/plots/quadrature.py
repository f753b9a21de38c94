"""The log-likelihood at the estimates as quadrature gets finer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ngmm.diagnostics.checks import additive, check_fit
from ngmm.drawing import panels
from ngmm.errors import OptionError
from ngmm.likelihood.estimates import GeneralizedEstimate
from ngmm.likelihood.rules import AdaptiveQuadrature, TruncatedQuadrature
from ngmm.results import MixedModelFit

WHAT = "plots.quadrature"
NODES = (1, 3, 5, 7, 9, 15, 25)
# The inner of two nested integrals is needed at every node of the outer one.
NESTED_NODES = (11, 13, 15, 19, 25)
# Size in inches: the name of a rule is long.
WIDE, HIGH = 4.8, 3.4


def quadrature(
    fit: MixedModelFit,
    nodes: Sequence[int] | None = None,
    *,
    radius: float | None = None,
    ax: Any = None,
) -> Any:
    """Draw the log-likelihood at the estimates against the number of nodes.

    Parameters
    ----------
    fit
        A fit of a generalized model with one grouping factor, or two nested ones.
    nodes
        Numbers of nodes per dimension; None for some from 1 to 25, or from 11 to 25 for
        nested factors, which need as many.
    radius
        None for adaptive Gauss-Hermite nodes; a radius for equally spaced ones within
        it, see `ngmm.TruncatedQuadrature`.
    ax
        Axes to draw on; None for a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The log-likelihood of each rule at the parameters of the fit, which stay as they
        are; a line at that of the rule of the fit, with a band of its reported error.
        One adaptive node is Laplace's approximation.

    Raises
    ------
    OptionError
        If the model is Gaussian, whose integrals are exact, or has crossed factors,
        whose only rule is Laplace's; or if a number of nodes cannot be used.
    NotSupportedError
        If the model has a neural random effect.
    MissingPackageError
        Without matplotlib.

    Notes
    -----
    Each number of nodes is compiled once: about a second each.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("cbpp")
    >>> formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    >>> fit = ngmm.fit(formula, data, family="binomial", quad=15)
    >>> axis = ngmm.plots.quadrature(fit, nodes=[1, 15])
    >>> [round(float(y), 3) for y in axis.lines[-1].get_ydata()]
    [-92.027, -91.983]
    """
    check_fit(fit, WHAT)
    analysis = additive(fit, WHAT, "fit.check()")
    model, estimate = analysis.model, analysis.estimate
    if not isinstance(estimate, GeneralizedEstimate):
        raise OptionError(
            f"{WHAT}: the random effects of a gaussian model are integrated out "
            "exactly; nothing depends on nodes"
        )
    usual = NESTED_NODES if estimate.integral.rule == "nested" else NODES
    wanted = _checked(usual if nodes is None else nodes)
    found = []
    for n in wanted:
        rule = AdaptiveQuadrature(n) if radius is None else _within(radius, n)
        at = {"beta": estimate.beta, "phi": estimate.phi}
        found.append(replace(model, quad=rule).loglik(estimate.theta, **at))
    own = model.loglik(estimate.theta, beta=estimate.beta, phi=estimate.phi)
    _, (axis,) = panels(1, ax)
    if ax is None:
        axis.figure.set_size_inches(WIDE, HIGH)
    integral = estimate.integral
    axis.axhline(own, color="0.5", linewidth=1, label=f"the fit: {integral.text}")
    if integral.error:
        axis.axhspan(own - integral.error, own + integral.error, alpha=0.2, color="0.5")
    kind = "adaptive" if radius is None else f"within {radius:g} sd"
    axis.plot(wanted, found, "o-", label=kind)
    axis.set(xlabel="nodes per dimension", ylabel="log-likelihood at the estimates")
    axis.legend(fontsize="small")
    return axis


def _within(radius: float, n: int) -> TruncatedQuadrature:
    return TruncatedQuadrature(radius, n)


def _checked(nodes: Any) -> list[int]:
    """Numbers of nodes in increasing order."""
    given = np.atleast_1d(np.asarray(nodes))
    if given.ndim != 1 or not given.size or given.dtype.kind not in "iu":
        raise OptionError(
            f"{WHAT}: nodes= are whole numbers such as [1, 5, 9]; got {nodes!r}"
        )
    return [int(n) for n in np.unique(given)]
