r"""Score statistics of random coefficients of given columns, their variance being zero.

With features F added to the linear predictor, eta = X beta + F gamma + Z b and
gamma ~ N(0, tau I), the test of tau = 0 rejects for large |U|^2, U the score of gamma
at gamma = 0 and the maximum of the likelihood without it.

In a Gaussian model U = F' P y, P = V^-1 - V^-1 X (X' V^-1 X)^-1 X' V^-1. The statistic
q = U'U / y'Py does not depend on sigma. For known ratios theta of the variances

.. math:: P(q > t) = P\Big(\sum_{j \le r} (\lambda_j - t) \chi^2_1
   - t \chi^2_{n - p - r} > 0\Big)

exactly, with lambda the eigenvalues of A = F' P F. That theta is estimated makes q vary
less about its mean tr(A) / (n - p): to first order q then is what is left of it after
regression on the scores of theta. The deviation of q from its mean is enlarged by the
ratio of the two standard deviations.

In a generalized model U and the information J of (gamma, beta, theta, dispersion) are
derivatives of the log-likelihood, random effects integrated out. U'U is compared with
sum_j lambda_j chi2_1, lambda the eigenvalues of the covariance of U after estimation,
J_gg - J_gn J_nn^-1 J_ng.

References
----------
Lin (1997), Biometrika 84, 309-326; Zhang & Lin (2003), Biostatistics 4, 57-74, eqs.
10-12; Liu, Lin & Ghosh (2007), Biometrics 63, 1079-1088.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jax import Array
from numpy.typing import NDArray

from ngmm.compilation import Compiled
from ngmm.likelihood.condense import condense
from ngmm.likelihood.elimination import System
from ngmm.likelihood.engines import Engine, LaplaceEngine, QuadratureEngine
from ngmm.likelihood.gaussian import profile
from ngmm.likelihood.generalized import GeneralizedProblem
from ngmm.likelihood.information import covariance_from_information
from ngmm.likelihood.layout import Layout
from ngmm.likelihood.maximise import to_numpy
from ngmm.likelihood.problem import GaussianProblem
from ngmm.linalg import precise

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Programs are compiled for a number of columns: few numbers, so that few are compiled.
STEP = 32
# Part of the variance of q that estimating theta may take away; beyond it the
# expansion that says so is no longer one.
MOST_TAKEN = 0.9


@dataclass(frozen=True, eq=False)
class GaussianScore:
    """Quadratic forms of the score of given columns in a Gaussian model.

    Attributes
    ----------
    A
        (r, r) F' P F.
    U
        (r,) F' P y.
    rss
        y' P y.
    n_residual
        n - p.
    taken
        Share of the variance of q that estimating theta takes away.
    """

    A: Matrix
    U: Vector
    rss: float
    n_residual: int
    taken: float

    @property
    def weights(self) -> Vector:
        """Eigenvalues of A, largest first."""
        return np.maximum(np.linalg.eigvalsh(self.A)[::-1], 0.0)

    @property
    def statistic(self) -> float:
        """U'U / (y'Py / (n - p)): comparable with sum_j lambda_j chi2_1."""
        return float(self.U @ self.U) * self.n_residual / self.rss

    @property
    def mean(self) -> float:
        """Mean of the statistic under the null."""
        return float(np.trace(self.A))

    @property
    def sd(self) -> float:
        """Standard deviation of the statistic under the null, to first order."""
        return float(np.sqrt(_variance(self.A, self.n_residual) * (1.0 - self.taken)))

    @property
    def deviation(self) -> float:
        """The statistic less its mean, in standard deviations."""
        return (self.statistic - self.mean) / self.sd

    def p_value(self) -> float:
        """Probability of a larger statistic under the null."""
        from ngmm.inference.mixtures import survival

        t = self.mean + (self.statistic - self.mean) / np.sqrt(1.0 - self.taken)
        lam, q = self.weights, t / self.n_residual
        left = self.n_residual - len(lam)
        df = np.append(np.ones(len(lam)), left)
        weights = np.append(lam - q, -q)
        keep = df > 0
        return float(survival(0.0, weights[keep], df[keep]))


@dataclass(frozen=True, eq=False)
class GeneralizedScore:
    """Score of given columns in a generalized model, and its covariance.

    Attributes
    ----------
    U
        (r,) score at the maximum without the columns.
    J
        (r, r) its covariance, the estimation of all else allowed for.
    """

    U: Vector
    J: Matrix

    @property
    def weights(self) -> Vector:
        """Eigenvalues of J, largest first."""
        return np.maximum(np.linalg.eigvalsh(self.J)[::-1], 0.0)

    @property
    def statistic(self) -> float:
        """U'U."""
        return float(self.U @ self.U)

    @property
    def mean(self) -> float:
        """Mean of the statistic under the null."""
        return float(np.trace(self.J))

    @property
    def sd(self) -> float:
        """Standard deviation of the statistic under the null."""
        return float(np.sqrt(2.0 * (self.J**2).sum()))

    @property
    def deviation(self) -> float:
        """The statistic less its mean, in standard deviations."""
        return (self.statistic - self.mean) / self.sd

    def p_value(self) -> float:
        """Probability of a larger statistic under the null."""
        from ngmm.inference.mixtures import survival

        lam = self.weights
        return float(survival(self.statistic, lam[lam > 1e-12 * lam[0]]))


Score = GaussianScore | GeneralizedScore


def effective_df(weights: Vector) -> float:
    """Degrees of freedom of the scaled chi-square with the same two moments.

    Examples
    --------
    >>> effective_df(np.array([2.0, 2.0, 0.0]))
    2.0
    """
    return float(weights.sum() ** 2 / (weights**2).sum())


def gaussian_score(
    problem: GaussianProblem,
    theta: Vector,
    hessian: Matrix,
    F: Matrix,
    root: Vector,
) -> GaussianScore:
    """Score of columns in a Gaussian model at the maximum of its likelihood.

    Parameters
    ----------
    problem
        The model without the columns.
    theta
        Engine's theta at the maximum of the restricted likelihood.
    hessian
        Of -2 times that likelihood, profiled, in the engine's theta.
    F
        (n, r) columns.
    root
        (n,) square roots of the prior weights.
    """
    p, r = problem.layout.n_beta, F.shape[1]
    system, layout = with_columns(problem, problem.data.tail[:, p:], F, root)
    with precise():
        C, slopes = to_numpy(sandwich(theta, system, layout=layout))
    S, turn = beyond_fixed(C, p)
    dS = turn.T @ slopes @ turn
    A, U, rss = S[:r, :r], S[:r, -1], float(S[-1, -1])
    n = problem.n_rows - p
    # At the maximum tr(P dV) / (n - p) is - d(y'Py) / y'Py.
    t = -dS[:, -1, -1] / rss
    shared = -np.einsum("aii->a", dS[:, :r, :r]) - t * np.trace(A)
    taken = float(shared @ covariance_from_information(hessian) @ shared)
    taken *= 2.0 / _variance(A, n)
    return GaussianScore(A, U, rss, n, float(np.clip(taken, 0.0, MOST_TAKEN)))


def with_columns(
    problem: GaussianProblem, Y: Matrix, F: Matrix, root: Vector
) -> tuple[System, Layout]:
    """Cross-products of [X F Y], the columns F padded by zeros.

    Parameters
    ----------
    problem
        The model.
    Y
        (n, b) responses in standard units, X taken out.
    F
        (n, r) columns.
    root
        (n,) square roots of the prior weights.
    """
    p = problem.layout.n_beta
    basis = problem.data.tail[:, :p]
    f = np.zeros((len(F), padded(F.shape[1])))
    f[:, : F.shape[1]] = root[:, None] * F
    f -= basis @ (basis.T @ f)
    data = replace(problem.data, tail=np.column_stack([basis, f, Y]))
    done = condense(data, problem.groups, problem.layout.patterns, reml=False)
    return done.system, done.layout


def beyond_fixed(C: Matrix, p: int) -> tuple[Matrix, Matrix]:
    """C with the first p columns swept out, and the matrix T with S = T' C T."""
    turn = np.zeros((len(C), len(C) - p))
    turn[p:] = np.eye(len(C) - p)
    if p:
        turn[:p] = -np.linalg.solve(C[:p, :p], C[:p, p:])
    return C[p:] @ turn, turn


def padded(r: int) -> int:
    """The number of columns that a program is compiled for."""
    return max(STEP, -(-r // STEP) * STEP)


def _variance(A: Matrix, n: int) -> float:
    """Variance of the statistic for known theta: that of a ratio, to first order."""
    return float(2.0 * ((A**2).sum() - np.trace(A) ** 2 / n))


def with_features(problem: GeneralizedProblem, F: Matrix) -> GeneralizedProblem:
    """The same model with further fixed-effect columns, padded by zeros."""
    p, r = problem.n_beta, padded(F.shape[1])
    f = np.zeros((len(F), r))
    f[:, : F.shape[1]] = F
    triangle = np.eye(p + r)
    triangle[:p, :p] = problem.triangle
    rows = problem.rows._replace(X=np.column_stack([problem.rows.X, f]))
    return replace(problem, rows=rows, triangle=triangle)


def generalized_engine(engine: Engine, F: Matrix) -> Engine:
    """The same rule for the model with further fixed-effect columns."""
    problem = with_features(engine.problem, F)
    if isinstance(engine, QuadratureEngine):
        return QuadratureEngine(problem, engine.placing, padded(F.shape[1]))
    assert isinstance(engine, LaplaceEngine)
    return LaplaceEngine(problem)


def generalized_score(engine: Engine, x: Vector, p: int, r: int) -> GeneralizedScore:
    """Score of columns in a generalized model.

    Parameters
    ----------
    engine
        From `generalized_engine`.
    x
        Engine's psi of the model without the columns, at its maximum.
    p, r
        Number of its fixed effects, and of the columns.
    """
    n_extra = engine.problem.n_beta - p
    at = np.concatenate([x[:p], np.zeros(n_extra), x[p:]])
    found = engine.derivatives(at)
    new = np.arange(p, p + r)
    old = np.r_[np.arange(p), np.arange(p + n_extra, len(at))]
    information = -found.hessian
    inverse = covariance_from_information(information[np.ix_(old, old)])
    half = information[np.ix_(new, old)] @ inverse
    # What the search left of the scores of the other parameters is allowed for.
    U = found.gradient[new] - half @ found.gradient[old]
    J = information[np.ix_(new, new)] - half @ information[np.ix_(old, new)]
    return GeneralizedScore(U, 0.5 * (J + J.T))


def _sandwich(theta: Array, system: System, *, layout: Layout) -> tuple[Array, Array]:
    found = profile(theta, system, layout)
    return found.tail, found.tail_gradient


sandwich: Compiled = Compiled(_sandwich)
"""(theta, system, layout=) -> C = T' V^-1 T and its derivatives in theta."""
