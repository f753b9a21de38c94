"""Draws of the parameters by refits to responses simulated from the fit."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ngmm.arviz_bridge.parameters import ParameterDraws
from ngmm.covariance import pattern
from ngmm.errors import NgmmError, NotSupportedError, OptionError
from ngmm.estimation.status import Status
from ngmm.progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from ngmm.results.fit import MixedModelFit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Refits(NamedTuple):
    """Estimates of the refits that succeeded, and why others did not.

    Attributes
    ----------
    beta, theta, sigma, scale
        (draws, p), (draws, q), (draws,) and (draws,), as in `ngmm.model.Estimate`;
        scale is sigma, or the dispersion; ones for a family that has neither.
    outputs
        (draws, n, terms) of the networks.
    reasons
        Why refits failed, and how many.
    """

    beta: Matrix
    theta: Matrix
    sigma: Vector
    scale: Vector
    outputs: NDArray[np.float64]
    reasons: Counter[str]


def refitted(fit: MixedModelFit, n: int, seed: int) -> ParameterDraws:
    """Estimates from refits to responses simulated from the fit.

    Raises
    ------
    OptionError
        If no refit succeeded.
    NotSupportedError
        If random slopes are on the units of a network, which are others in each refit.
    """
    if any(t.network is not None for t in fit.design.random):
        raise NotSupportedError(
            'kind="bootstrap" is not for (1 + nn | g): the units that have slopes are '
            'others in each refit. Use kind="asymptotic"'
        )
    responses = fit.simulate(n, seed).to_numpy().T
    find = _one_by_one if fit.is_neural else _together
    with ProgressLine("auto", "bootstrap") as line:
        found = find(fit, responses, lambda done: line.update(done, n))
    if not len(found.beta):
        reasons = ", ".join(f"{w} ({c})" for w, c in found.reasons.items())
        raise OptionError(
            f"all {n} bootstrap refits failed: {reasons}. Look at fit.check() first"
        )
    roots, at = [], 0
    for term in fit.design.random:
        p = pattern([(len(term.names), term.correlated)])
        lam = np.zeros((len(found.theta), p.k, p.k))
        lam[:, list(p.rows), list(p.cols)] = found.theta[:, at : at + p.n_theta]
        roots.append(found.sigma[:, None, None] * lam)
        at += p.n_theta
    return ParameterDraws(
        beta=found.beta,
        roots=tuple(roots),
        scale=found.scale,
        outputs=found.outputs,
        term_notes=("",) * len(roots),
        n_failed=sum(found.reasons.values()),
    )


def _together(
    fit: MixedModelFit, responses: Matrix, advance: Callable[[int], object]
) -> Refits:
    """All refits in one program."""
    found = fit.model.maximise_many(responses, near=fit.estimate, advance=advance)
    kept = ~found.failed
    scale = found.sigma if fit.model.is_gaussian else found.phi
    return Refits(
        beta=found.beta[kept],
        theta=found.theta[kept],
        sigma=found.sigma[kept],
        scale=np.nan_to_num(scale[kept], nan=1.0),
        outputs=np.zeros((int(kept.sum()), fit.nobs, 0)),
        reasons=Counter(_sentence(int(s)) for s in found.status[~kept]),
    )


def _sentence(status: int) -> str:
    if status == Status.CONVERGED:
        return "the log-likelihood is not finite"
    return Status(status).sentence


def _one_by_one(
    fit: MixedModelFit, responses: Matrix, advance: Callable[[int], object]
) -> Refits:
    """Whole fits, of models whose networks have to be trained each time."""
    beta, theta, sigma, scale, outputs = [], [], [], [], []
    why = Counter[str]()
    for done, y in enumerate(responses, start=1):
        advance(done)
        try:
            again = fit.refit(y)
        except NgmmError as error:
            why[str(error).splitlines()[0]] += 1
            continue
        e = again.estimate
        if not again.converged:
            why[e.status.sentence] += 1
            continue
        beta.append(e.beta)
        theta.append(e.theta)
        sigma.append(e.sigma)
        scale.append(e.sigma if fit.model.is_gaussian else (e.phi or 1.0))
        outputs.append(again._analysis.outputs)
    arrays = [np.array(a, dtype=float) for a in (beta, theta, sigma, scale, outputs)]
    return Refits(*arrays, reasons=why)
