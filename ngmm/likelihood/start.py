"""Starting values for theta by the method of moments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ngmm.covariance import Pattern
from ngmm.likelihood.standardise import GroupedColumns, Standardised

# Below this relative standard deviation the objective is nearly flat in theta and
# Newton steps say little; above half of the variance the moments are not trusted.
SMALLEST = 0.05
LEAST_RESIDUAL = 0.1


def starting_theta(
    data: Standardised, groups: Sequence[GroupedColumns], patterns: Sequence[Pattern]
) -> NDArray[np.float64]:
    r"""Diagonal Lambda from one-way analyses of variance, column by column.

    With e the residual of the fixed effects at unit mean square and z a random-effect
    column at unit mean square, the sum over the L levels of (z_l' e)^2 / z_l' z_l has
    expectation L sigma^2 + n tau^2 when z is the only random effect; other terms make
    it too large, which the residual share shares out.
    """
    e = data.tail[:, -1]
    n = len(e)
    tau2: list[NDArray[np.float64]] = []
    for group, z in zip(groups, data.columns, strict=True):
        found = np.empty(z.shape[1])
        for j in range(z.shape[1]):
            size = np.bincount(group.codes, z[:, j] ** 2, group.n_levels)
            sums = np.bincount(group.codes, z[:, j] * e, group.n_levels)
            used = size > 0
            between = float((sums[used] ** 2 / size[used]).sum())
            levels = int(used.sum())
            within = max(n - between, 0.0) / max(n - levels, 1)
            found[j] = max((between - levels * within) / n, 0.0)
        tau2.append(found / z.shape[1])
    total = sum(float(t.sum()) for t in tau2)
    if total > 1.0 - LEAST_RESIDUAL:
        tau2 = [t * (1.0 - LEAST_RESIDUAL) / total for t in tau2]
        total = 1.0 - LEAST_RESIDUAL
    theta: list[NDArray[np.float64]] = []
    for t, p in zip(tau2, patterns, strict=True):
        values = np.zeros(p.n_theta)
        values[list(p.diagonal)] = np.maximum(np.sqrt(t / (1.0 - total)), SMALLEST)
        theta.append(values)
    return np.concatenate(theta)
