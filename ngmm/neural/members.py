r"""Searches to one answer: ranked, or averaged, by the evidence.

The evidence of a search is that of one mode. A network with m exchangeable units whose
signs may flip has m! 2^m modes of the same evidence; units count as they are set apart
from their mirror image, by 1 - exp(-z^2 / 2) with z the output weight over its standard
deviation: where the posterior covers both signs, the modes are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import lgamma
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ngmm import covariance
from ngmm.covariance import Pattern
from ngmm.errors import DataError
from ngmm.estimation.evidence_search import LEAST_PENALTY, MOST_PENALTY, Search
from ngmm.estimation.status import Status
from ngmm.likelihood.neural.prepare import NeuralProblem
from ngmm.likelihood.neural.terms import Stack, unravel
from ngmm.linalg import precise
from ngmm.networks import MLP
from ngmm.networks.activations import activation_named
from ngmm.neural.record import FittedNetworks, Member
from ngmm.neural.starts import LINEAR, Start

if TYPE_CHECKING:
    from ngmm.neural.model import NeuralModel

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Root of the evidence that fits are weighted by: at least this, and more for networks
# with more effective weights, as Laplace's approximation errs with every one of them.
LEAST_ROOT, ROOT_PER_WEIGHT = 4.0, 0.1
# Fits below this share of the best one's weight are left out, and so are all beyond
# this number.
LEAST_SHARE, MOST_MEMBERS = 0.02, 16
# Length of the interval of log penalties, which a priori are uniform there.
LOG_RANGE = float(np.log(MOST_PENALTY / LEAST_PENALTY))
# Relative standard deviations below this are zero; columns of Z have unit mean square.
VANISHING = 1e-4


@dataclass(frozen=True, eq=False)
class Ended:
    """A search that has ended."""

    start: Start
    search: Search
    settled: bool
    frozen: bool

    @property
    def evidence(self) -> float:
        """Highest log-evidence met, that of the penalties allowed for."""
        best = self.search.best
        value = float(best.evidence) + occam(np.asarray(best.edf))
        return value if np.isfinite(value) else -np.inf


@dataclass(frozen=True, eq=False)
class Members:
    """What the searches come to.

    Attributes
    ----------
    networks
        The fitted networks.
    tau
        Variance parameters, averaged, in the engine's units.
    beta
        Fixed effects, averaged, in the engine's units.
    status
        How the best search ended.
    n_steps
        Steps of all searches.
    """

    networks: FittedNetworks
    tau: Vector
    beta: Vector
    status: Status
    n_steps: int


def contenders(found: Sequence[Ended]) -> list[Ended]:
    """Searches of an evidence close enough to the best to count, and the linear one."""
    ranked = sorted(found, key=lambda e: -e.evidence)
    if not np.isfinite(ranked[0].evidence):
        raise DataError(
            "the networks could not be fitted: the likelihood is not finite from any "
            "of the starts. Check the inputs for extreme values, or the output of a "
            "network of your own"
        )
    # Symmetries may change the order by what the widest networks have.
    reach = (
        -root_of(float(ranked[0].search.best.edf.sum())) * np.log(LEAST_SHARE) + 10.0
    )
    close = [e for e in ranked if e.evidence > ranked[0].evidence - reach]
    linear = [e for e in ranked if e.start.width == LINEAR and e not in close]
    return close[: 2 * MOST_MEMBERS] + [e for e in linear if np.isfinite(e.evidence)]


def join(
    found: Sequence[Ended],
    model: NeuralModel,
    problem: NeuralProblem,
    stack: Stack,
    groups: NDArray[np.int32],
    average: bool,
) -> Members:
    """The members of the average and their shares."""
    p = problem.layout.n_beta
    done = [e for e in found if e.frozen]
    members = [_member(e, model, stack, groups, p) for e in done]
    order = np.argsort([-m.evidence for m in members], kind="stable")
    best = members[order[0]]
    root = root_of(float(best.edf.sum()))
    chosen, ended = [], []
    for i in order[: MOST_MEMBERS if average else 1]:
        share = np.exp((members[i].evidence - best.evidence) / root)
        if share >= LEAST_SHARE:
            chosen.append(replace(members[i], share=float(share)))
            ended.append(done[i])
    total = sum(m.share for m in chosen)
    chosen = [replace(m, share=m.share / total) for m in chosen]
    networks = FittedNetworks(
        designs=model.design.networks,
        X=model.design.X,
        stack=stack,
        members=tuple(chosen),
        groups=groups,
        n_beta=p,
        scale=problem.scale,
        coefficients=(),
        evidences=np.array([e.evidence for e in found]),
        statuses=tuple(
            Status.CONVERGED if e.settled else Status.MAX_STEPS for e in ended
        ),
    )
    networks = networks.with_coefficients()
    shares = np.array([m.share for m in chosen])
    xs = np.stack([m.x for m in chosen])
    n_tau = problem.layout.n_tau
    return Members(
        networks=networks,
        tau=_vanished(shares @ xs[:, -n_tau:], model),
        beta=shares @ xs[:, :p],
        status=networks.statuses[0],
        n_steps=sum(int(e.search.n_steps) for e in found),
    )


def root_of(edf: float) -> float:
    """Root of the evidence that fits are weighted by."""
    return max(LEAST_ROOT, ROOT_PER_WEIGHT * edf)


def _member(
    e: Ended, model: NeuralModel, stack: Stack, groups: NDArray[np.int32], p: int
) -> Member:
    last = e.search.last
    w = slice(p, p + stack.n_weights)
    penalty = np.where(e.start.active > 0, np.exp(last.log_penalty)[groups], 1.0)
    A = np.array(e.search.hessian)
    A[w, w] += np.diag(penalty)
    x = _rectified(np.array(last.x), model)
    symmetric = 0.5 * (A + A.T)
    covariance = np.asarray(np.linalg.pinv(symmetric, hermitian=True), np.float64)
    pull = np.zeros((len(A), len(last.edf)))
    pull[np.arange(w.start, w.stop), groups] = penalty * np.array(last.x)[w]
    covariance += spread(covariance @ pull, np.asarray(last.edf))
    # Columns of Lambda whose sign was turned take their covariances with them.
    signs = np.where(x * np.asarray(last.x) < 0.0, -1.0, 1.0)
    covariance = covariance * np.outer(signs, signs)
    inner = np.linalg.inv(A[w, w])
    z2 = x[w] ** 2 / np.maximum(np.diag(inner), 1e-300) * e.start.active
    return Member(
        x=x,
        covariance=covariance,
        share=1.0,
        evidence=float(last.evidence)
        + symmetries(z2, model, stack)
        + occam(np.asarray(last.edf)),
        loglik=float(last.loglik),
        edf=np.asarray(last.edf),
        log_penalty=np.asarray(last.log_penalty),
        width=e.start.width,
        active=e.start.active,
    )


def occam(edf: Vector) -> float:
    """Log of what the penalties' own uncertainty takes from the evidence.

    A log penalty whose group has edf well-determined weights is known to within about
    sqrt(2 / edf), out of the range it can have, a priori uniform (MacKay 1992).
    A group that does nothing loses nothing: all large penalties are the same.
    """
    width = 0.5 * np.log(4.0 * np.pi / np.maximum(edf, 1e-12))
    return float(np.minimum(width - np.log(LOG_RANGE), 0.0).sum())


def spread(moved: Matrix, edf: Vector) -> Matrix:
    """What the penalties' own uncertainty adds to the covariance of the parameters.

    Parameters
    ----------
    moved
        (parameters, groups) how far a unit more of each log penalty moves them.
    edf
        (groups,) well-determined weights: the variance of the log of a penalty is 2 /
        edf (MacKay 1992), or less where it is known by its range alone.

    References
    ----------
    Wood, Pya & Safken (2016), J. Am. Stat. Assoc. 111, 1548-1563, section 3.3.
    """
    variance = np.minimum(2.0 / np.maximum(edf, 1e-12), LOG_RANGE**2 / 12.0)
    return np.asarray((moved * variance) @ moved.T, dtype=np.float64)


def symmetries(z2: Vector, model: NeuralModel, stack: Stack) -> float:
    """Log of the number of modes with the same function, from squared z of weights."""
    total, start = 0.0, 0
    pairs = zip(stack.networks, stack.sizes, model.design.networks, strict=True)
    for network, size, design in pairs:
        if isinstance(network, MLP) and network.hidden:
            with precise():
                part = jnp.asarray(z2[start : start + size])
                tree = unravel(part, network, design.inputs)
                out = np.asarray(tree["out"])
                deeper = [np.asarray(W).max(1) for W, _ in tree["layers"][1:]]
            flips = np.log(2.0) if activation_named(network.activation).odd else 0.0
            for z in (*deeper, out):
                m = float((1.0 - np.exp(-0.5 * z)).sum())
                total += lgamma(m + 1.0) + m * flips
        start += size
    return float(total)


def _patterns(model: NeuralModel) -> tuple[Pattern, ...]:
    """Covariance parameters of the grouping factors, in the engine's order."""
    if model.base.is_gaussian:
        return tuple(model.base.problem.layout.patterns)
    return tuple(model.base.marginal.problem.arranged.patterns)


def _rectified(x: Vector, model: NeuralModel) -> Vector:
    """Parameters with nonnegative diagonals of Lambda: members must agree on signs."""
    base, patterns = model.base, _patterns(model)
    n_theta = sum(q.n_theta for q in patterns)
    tail = len(x) - n_theta
    extra = 1 if base.is_gaussian or model.family.dispersion is not None else 0
    first = tail - extra
    for q in patterns:
        part = slice(first, first + q.n_theta)
        x[part] = covariance.rectify(x[part], q)
        first += q.n_theta
    return x


def _vanished(tau: Vector, model: NeuralModel) -> Vector:
    """Variance parameters with columns of Lambda that have all but vanished at zero.

    The likelihood is even in a column: what it loses is of the order of its square.
    """
    out, first = tau.copy(), 0
    for q in _patterns(model):
        part = out[first : first + q.n_theta]
        columns = np.array(q.cols)
        for c in range(q.k):
            own = columns == c
            if np.abs(part[own]).max(initial=0.0) < VANISHING:
                part[own] = 0.0
        first += q.n_theta
    return out
