"""Responses drawn from a fitted model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import OptionError
from ngmm.inference.analysis import Analysis
from ngmm.inference.latent import LatentAnalysis
from ngmm.likelihood.latent.predict import simulate
from ngmm.results.response import draw


def check_seed(seed: object) -> int:
    """The seed, if random numbers can start from it.

    Raises
    ------
    OptionError
        If it is not a whole number from 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise OptionError(f"seed must be a whole number from 0, got {seed!r}")
    return int(seed)


def check_count(n: object, name: str = "n") -> int:
    """The number of draws, if it is one.

    Raises
    ------
    OptionError
        If it is not a whole number from 1.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise OptionError(f"{name} must be a positive whole number, got {n!r}")
    return int(n)


def simulate_responses(analysis: Analysis, n: int, seed: int) -> NDArray[np.float64]:
    """(rows, n) draws: new random effects, and new responses given them."""
    generator = np.random.default_rng(seed)
    if isinstance(analysis, LatentAnalysis):
        draws = [simulate(analysis.estimate, generator) for _ in range(n)]
        return np.column_stack(draws)
    model = analysis.model
    design = model.design
    mean = design.X @ analysis.estimate.beta + design.offset
    eta = np.repeat(mean[:, None], n, axis=1)
    for term, c in zip(design.random, analysis.components, strict=True):
        values, vectors = np.linalg.eigh(c.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        u = generator.standard_normal((n, term.n_levels, len(root)))
        b = u @ root.T
        for column in range(n):
            eta[:, column] += np.einsum("nk,nk->n", term.Z, b[column][term.codes])
    return draw(model.family, design, eta, analysis.dispersion, generator)
