"""Responses drawn from a fitted Gaussian model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ngmm.design import Design
from ngmm.errors import OptionError
from ngmm.model import Estimate


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


def simulate_responses(
    design: Design,
    estimate: Estimate,
    covariances: Sequence[NDArray[np.float64]],
    n: int,
    seed: int,
) -> NDArray[np.float64]:
    """(rows, n) draws: new random effects, new residuals of variance sigma^2/weight."""
    generator = np.random.default_rng(seed)
    mean = design.X @ estimate.beta + design.offset
    out = np.repeat(mean[:, None], n, axis=1)
    for term, cov in zip(design.random, covariances, strict=True):
        values, vectors = np.linalg.eigh(cov)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        u = generator.standard_normal((n, term.n_levels, len(cov)))
        b = u @ root.T
        for column in range(n):
            out[:, column] += np.einsum("nk,nk->n", term.Z, b[column][term.codes])
    sd = estimate.sigma / np.sqrt(design.weights)
    return out + sd[:, None] * generator.standard_normal(out.shape)
