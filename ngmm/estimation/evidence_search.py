r"""Penalised fits whose ridge penalties, and variances, maximise the evidence.

Weights w have independent normal priors, w_i ~ N(0, 1 / alpha_g(i)), with a common
precision in each group of weights. About the posterior mode, where the curvature of the
log-likelihood in w is -H, Laplace's approximation to the integral over w is

.. math::
   E(\alpha, \tau) = \ell - \tfrac12 w'Dw - \tfrac12 \log|H + D| + \tfrac12 \log|D| ,
   \quad D = \mathrm{diag}(\alpha),

whose maximum in alpha is where alpha_g |w_g|^2 is the number of well-determined weights
of the group, n_g - alpha_g tr (H + D)^-1_gg (MacKay 1992; Wood & Fasiolo
2017 for the same fixed point in additive models). Variance parameters tau maximise it
too, so that they are not biased by the flexibility of the networks, as those of REML
are not by the fixed effects. Each step is Levenberg-Marquardt in (beta, w) and Newton
in tau, jointly.

References
----------
MacKay (1992), Neural Computation 4, 448-472; Wood & Fasiolo (2017), Biometrics 73,
1071-1081.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.ops import segment_sum

from ngmm import linalg
from ngmm.linalg import Values

# Penalties stay within these: a weight of 1e-3 on inputs and outputs of order one is
# nothing, one of 30 as good as free.
LEAST_PENALTY, MOST_PENALTY = 1e-3, 1e7
# Steps in a row that change nothing before a search ends.
QUIET = 3
# Damped steps tried from one point, each six times more damped than the one before.
TRIES = 8
# Gains of the log-likelihood that are taken without a look.
NEGLIGIBLE = 1e-9
# Longest step of the variance parameters, which are of order one or logarithms.
LONGEST = 0.5
DAMPING_START, DAMPING_LEAST, DAMPING_MOST = 1e-1, 1e-9, 1e9


@dataclass(frozen=True)
class Places:
    """Where beta, w and tau stand in x, and the ridge groups of w.

    Attributes
    ----------
    n_beta, n_weights, n_tau
        Lengths of the three parts.
    n_groups
        Number of ridge groups.
    """

    n_beta: int
    n_weights: int
    n_tau: int
    n_groups: int

    @property
    def w(self) -> slice:
        """The weights."""
        return slice(self.n_beta, self.n_beta + self.n_weights)

    @property
    def n_coefficients(self) -> int:
        """Length of beta and w."""
        return self.n_beta + self.n_weights


class Likelihood(Protocol):
    """A likelihood as the search sees it."""

    @property
    def bias_every(self) -> int:
        """Steps between evaluations of the slope of log|H + D|."""
        ...

    def value(self, x: Array, kept: Values) -> Array:
        """Log-likelihood."""
        ...

    def local(self, x: Array, kept: Values) -> tuple[Values, Values, Values]:
        """Local record (value, gradient, Hessian), what is kept, and pieces."""
        ...

    def log_det_slope(
        self, inverse: Array, hessian: Array, kept: Values, pieces: Values
    ) -> Array:
        """Derivative of log|H + D| in tau."""
        ...

    def retract(self, x: Array, step: Array) -> Array:
        """The point a step leads to."""
        ...


class Point(NamedTuple):
    """A point of a search, and what was found there.

    Attributes
    ----------
    x
        (beta, w, tau).
    log_penalty
        (groups,) log alpha.
    evidence, loglik
        Log-evidence and log-likelihood.
    edf
        (groups,) effective number of weights.
    """

    x: Values
    log_penalty: Values
    evidence: Values
    loglik: Values
    edf: Values


class Search(NamedTuple):
    """Where a search stands.

    Attributes
    ----------
    x, log_penalty
        Where it goes next.
    kept
        What an evaluation leaves for the next one.
    damping
        Levenberg-Marquardt's, relative to the mean curvature.
    last, best
        The last point evaluated, and that of the highest evidence.
    hessian
        Minus the curvature of the likelihood at the last point.
    bias
        (n_tau,) slope in tau of -log|H + D| / 2.
    quiet
        Steps in a row that changed the evidence by less than the tolerance.
    n_steps
        Steps so far.
    finite
        Whether the last point could be evaluated.
    """

    x: Values
    log_penalty: Values
    kept: Values
    damping: Values
    last: Point
    best: Point
    hessian: Values
    bias: Values
    quiet: Values
    n_steps: Values
    finite: Values


def begin(x: Array, log_penalty: Array, kept: Values, places: Places) -> Search:
    """A search that has not begun."""
    nothing = Point(
        x=x,
        log_penalty=log_penalty,
        evidence=jnp.asarray(-jnp.inf),
        loglik=jnp.asarray(-jnp.inf),
        edf=jnp.zeros(places.n_groups),
    )
    return Search(
        x=x,
        log_penalty=log_penalty,
        kept=kept,
        damping=jnp.asarray(DAMPING_START),
        last=nothing,
        best=nothing,
        hessian=jnp.zeros((x.shape[0], x.shape[0])),
        bias=jnp.zeros(places.n_tau),
        quiet=jnp.asarray(0),
        n_steps=jnp.asarray(0),
        finite=jnp.asarray(True),
    )


def advance(
    search: Search,
    likelihood: Likelihood,
    groups: Array,
    active: Array,
    places: Places,
    n_steps: Array,
    frozen: Array,
    tolerance: Array,
) -> Search:
    """Take steps until there were n_steps, or until the evidence settles.

    Parameters
    ----------
    groups
        (n_weights,) ridge group of each weight.
    active
        (n_weights,) one for a weight in use, zero for one that is held at zero.
    frozen
        Whether penalties stay as they are.
    tolerance
        Change of the log-evidence that counts as none; at frozen penalties, gain of the
        penalised likelihood that a step promises.
    """

    def go_on(s: Search) -> Array:
        return (s.n_steps < n_steps) & (s.quiet < QUIET) & s.finite

    def body(s: Search) -> Search:
        return _step(s, likelihood, groups, active, places, frozen, tolerance)

    return lax.while_loop(go_on, body, search)


class _Curved(NamedTuple):
    """The penalised problem at a point."""

    A: Array  # minus the Hessian, penalties added
    g: Array  # gradient, penalties taken off and the bias of log|H| added
    penalty: Array  # (n_weights,)
    bias: Array


def _step(
    s: Search,
    likelihood: Likelihood,
    groups: Array,
    active: Array,
    places: Places,
    frozen: Array,
    tolerance: Array,
) -> Search:
    at, kept, pieces = likelihood.local(s.x, s.kept)
    # Weights that are not in use have no influence, whatever their derivatives.
    used = jnp.ones_like(s.x).at[places.w].set(active)
    at = at._replace(
        gradient=at.gradient * used, hessian=at.hessian * used[:, None] * used
    )
    w = s.x[places.w]
    penalty = jnp.where(active > 0, jnp.exp(s.log_penalty)[groups], 1.0)
    A = (-at.hessian).at[places.w, places.w].add(jnp.diag(penalty))
    inner = linalg.cholesky(A[places.w, places.w])
    inverse = linalg.inverse_from_cholesky(inner)
    determined = (1.0 - penalty * jnp.diag(inverse)) * active
    last = Point(
        x=s.x,
        log_penalty=s.log_penalty,
        evidence=at.value
        - 0.5 * (penalty * w * w).sum()
        - 0.5 * linalg.log_det_from_cholesky(inner)
        + 0.5 * jnp.log(penalty).sum(),
        loglik=at.value,
        edf=segment_sum(determined, groups, places.n_groups),
    )
    bias = lax.cond(
        s.n_steps % likelihood.bias_every == 0,
        lambda: -0.5 * likelihood.log_det_slope(inverse, at.hessian, kept, pieces),
        lambda: s.bias,
    )
    g = at.gradient.at[places.w].add(-penalty * w)
    g = g.at[places.n_coefficients :].add(bias)
    curved = _Curved(A, g, penalty, bias)
    x, damping, promised = _move(s, kept, at.value, curved, likelihood, places)
    wanted = _fixed_point(x[places.w] * active, last.edf, groups, places)
    better = last.evidence > s.best.evidence
    change = jnp.abs(last.evidence - s.last.evidence)
    small = jnp.where(frozen, promised, change) < tolerance
    return Search(
        x=x,
        log_penalty=jnp.where(frozen, s.log_penalty, 0.5 * (s.log_penalty + wanted)),
        kept=kept,
        damping=damping,
        last=last,
        best=jax.tree.map(lambda a, b: jnp.where(better, a, b), last, s.best),
        hessian=-at.hessian,
        bias=bias,
        quiet=jnp.where(small, s.quiet + 1, 0),
        n_steps=s.n_steps + 1,
        finite=jnp.isfinite(last.evidence),
    )


def _fixed_point(w: Array, edf: Array, groups: Array, places: Places) -> Array:
    """Log penalties that the fixed point asks for: log edf / |w|^2."""
    size = segment_sum(w * w, groups, places.n_groups)
    wanted = jnp.log(jnp.maximum(edf, 1e-12)) - jnp.log(size + 1e-12)
    return jnp.clip(wanted, jnp.log(LEAST_PENALTY), jnp.log(MOST_PENALTY))


def _move(
    s: Search,
    kept: Values,
    loglik: Array,
    curved: _Curved,
    likelihood: Likelihood,
    places: Places,
) -> tuple[Array, Array, Array]:
    """The first damped step that raises the penalised likelihood, and its promise."""
    c = places.n_coefficients
    scale = jnp.diag(curved.A)[:c].mean()

    def merit(x: Array) -> Array:
        w = x[places.w]
        gain = likelihood.value(x, kept) - loglik
        ridge = 0.5 * (curved.penalty * w * w).sum()
        before = 0.5 * (curved.penalty * s.x[places.w] ** 2).sum()
        return gain - ridge + before + curved.bias @ (x - s.x)[c:]

    def go_on(t: _Try) -> Array:
        return ~(t.gain > 0.0) & (t.tries < TRIES)

    def body(t: _Try) -> _Try:
        damping = jnp.where(t.tries == 0, t.damping, 6.0 * t.damping)
        step = _damped(curved, damping * scale, c)
        x = likelihood.retract(s.x, step)
        promised = 0.5 * curved.g @ step
        # Near the maximum a gain is below what rounding lets one see.
        gain = jnp.where(promised < NEGLIGIBLE, NEGLIGIBLE, merit(x))
        return _Try(x, gain, promised, damping, t.tries + 1)

    nothing = jnp.asarray(-jnp.inf)
    first = _Try(s.x, nothing, -nothing, s.damping, jnp.asarray(0))
    t = lax.while_loop(go_on, body, first)
    eased = jnp.where(t.tries == 1, 0.25 * t.damping, t.damping)
    return (
        jnp.where(t.gain > 0.0, t.x, s.x),
        jnp.clip(eased, DAMPING_LEAST, DAMPING_MOST),
        t.promised,
    )


class _Try(NamedTuple):
    """A damped step: where it leads, what it gains, what it was to gain."""

    x: Array
    gain: Array
    promised: Array
    damping: Array
    tries: Array


def _damped(curved: _Curved, damping: Array, c: int) -> Array:
    """Damped step of the coefficients, Newton step of tau with them profiled out."""
    A, g = curved.A, curved.g
    chol = linalg.cholesky(A[:c, :c] + damping * jnp.eye(c))
    columns = jnp.concatenate([A[:c, c:], g[:c, None]], 1)
    half = lax.linalg.triangular_solve(chol, columns, left_side=True, lower=True)
    solved = lax.linalg.triangular_solve(
        chol, half, left_side=True, lower=True, transpose_a=True
    )
    schur = A[c:, c:] - A[c:, :c] @ solved[:, :-1]
    rest = g[c:] - A[c:, :c] @ solved[:, -1]
    values, vectors = jnp.linalg.eigh(0.5 * (schur + schur.T))
    floor = 1e-6 * jnp.maximum(jnp.abs(values).max(), 1e-12)
    # Away from the maximum some curvature is negative: go uphill by its size.
    size = jnp.maximum(jnp.abs(values), floor) + damping * (damping > 1e-2)
    tau = vectors @ ((vectors.T @ rest) / size)
    tau = tau * jnp.minimum(1.0, LONGEST / jnp.maximum(jnp.abs(tau).max(), 1e-12))
    return jnp.concatenate([solved[:, -1] - solved[:, :-1] @ tau, tau])
