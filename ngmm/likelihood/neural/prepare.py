"""From a design with networks to the arrays of its likelihoods."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.likelihood.condense import level_bases
from ngmm.likelihood.engines import LaplaceEngine, QuadratureEngine
from ngmm.likelihood.neural.gaussian import (
    NeuralGaussianData,
    NeuralGaussianLayout,
    RandomRows,
)
from ngmm.likelihood.neural.laplace import NeuralLaplaceData, NeuralLaplaceLayout
from ngmm.likelihood.neural.quadrature import (
    NeuralQuadratureData,
    NeuralQuadratureLayout,
)
from ngmm.likelihood.neural.terms import Stack, Term
from ngmm.likelihood.problem import GaussianProblem

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def orthonormal(columns: Matrix) -> Matrix:
    """(n, r) orthonormal basis of some columns."""
    if not columns.shape[1]:
        return columns
    return np.asarray(np.linalg.qr(columns)[0], dtype=np.float64)


def make_terms(design: Design) -> tuple[Term, ...]:
    """The network terms of a design over its rows."""
    return tuple(
        Term(n.inputs, orthonormal(n.basis(design.X))) for n in design.networks
    )


@dataclass(frozen=True, eq=False)
class NeuralProblem:
    """A model with networks as the search sees it.

    Attributes
    ----------
    data, layout
        What the likelihood takes.
    scale
        Units of the response in one unit of the linear predictor.
    """

    data: NeuralGaussianData | NeuralQuadratureData | NeuralLaplaceData
    layout: NeuralGaussianLayout | NeuralQuadratureLayout | NeuralLaplaceLayout
    scale: float


def random_rows(problem: GaussianProblem) -> RandomRows:
    """What the rows of a Gaussian problem say of its random effects."""
    first, z = problem.groups[0], problem.data.columns[0]
    _, whiten = level_bases(z, first.codes, first.n_levels)
    whiten = whiten.reshape(first.n_levels, z.shape[1], z.shape[1])
    pairs = zip(problem.column, problem.groups[1:], strict=True)
    return RandomRows(
        basis=np.einsum("nij,nj->ni", whiten[first.codes], z),
        codes=first.codes,
        dense_columns=problem.data.columns[1:],
        dense_codes=tuple(at[g.codes] for at, g in pairs),
        system=problem.system,
    )


def prepare_gaussian(
    design: Design, problem: GaussianProblem, stack: Stack
) -> NeuralProblem:
    """Rows in the standard units of the model without networks."""
    data, p = problem.data, problem.layout.n_beta
    rows = NeuralGaussianData(
        X=data.tail[:, :p] * np.sqrt(design.n_rows),
        y=data.tail[:, p],
        root_weights=np.sqrt(design.weights),
        terms=make_terms(design),
        random=random_rows(problem),
    )
    layout = NeuralGaussianLayout(problem.layout, stack)
    return NeuralProblem(rows, layout, data.y_scale)


def prepare_quadrature(
    design: Design, engine: QuadratureEngine, stack: Stack
) -> NeuralProblem:
    """Rows in chunks, as the engine has them but shorter."""
    chunks = engine.chunks
    pick, real = chunks.pick.ravel(), chunks.rows.mask.ravel()[:, None]
    terms = jax.tree.map(lambda a: np.asarray(a)[pick], make_terms(design))
    terms = tuple(t._replace(basis=t.basis * real) for t in terms)
    layout = NeuralQuadratureLayout(engine.layout, stack)
    return NeuralProblem(NeuralQuadratureData(chunks.rows, terms), layout, 1.0)


def prepare_laplace(
    design: Design, engine: LaplaceEngine, stack: Stack
) -> NeuralProblem:
    """Rows as they are."""
    data = NeuralLaplaceData(engine.problem.rows, engine.meeting, make_terms(design))
    return NeuralProblem(data, NeuralLaplaceLayout(engine.layout, stack), 1.0)
