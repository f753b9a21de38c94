"""How much every group moves the estimates of all parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ngmm.intervals.clusters import Clusters
from ngmm.intervals.robust import group_scores

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

Matrix = NDArray[np.float64]


def influence(fit: MixedModelFit, groups: Clusters) -> Matrix:
    """(G, P) change of the parameters of `conf_int` with the weight of each group.

    One Newton step from the scores of the group; standard deviations and dispersions
    on the logarithmic scale, correlations as their inverse hyperbolic tangents. NaN at
    a boundary, where no derivative exists.
    """
    psi = group_scores(fit, groups).influence
    analysis, p = fit._analysis, len(fit.fixef)
    out, start = [psi[:, :p]], p
    # The analyses measure sds against (theta, sigma); here sigma is a logarithm, and
    # that of a generalized model is fixed.
    gaussian = fit.model.is_gaussian
    last = psi[:, -1:] * fit.sigma if gaussian else np.zeros((len(psi), 1))
    for term, c in zip(fit.design.random, analysis.components, strict=True):
        size = c.d_log_sd.shape[1] - 1
        own = np.hstack([psi[:, start : start + size], last])
        start += size
        out.append(own @ c.d_log_sd.T)
        if term.correlated:
            k = len(term.names)
            pairs = [c.d_z[i, j] for i in range(k) for j in range(i)]
            out += [(own @ d)[:, None] for d in pairs]
    if analysis.scale is not None:
        out.append(psi[:, -1:])
    return np.hstack(out)
