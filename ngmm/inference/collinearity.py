r"""How far the fixed effects overlap: correlations, variance inflation, conditioning.

References
----------
Fox & Monette (1992), JASA 87, 178-183, for generalised variance inflation; Belsley,
Kuh & Welsch (1980), Regression Diagnostics, for the scaled condition number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def correlation(vcov: Matrix) -> Matrix:
    """Correlation matrix of a covariance matrix."""
    sd = np.sqrt(np.diag(vcov))
    return vcov / np.outer(sd, sd)


def condition_number(X: Matrix) -> float:
    """Ratio of extreme singular values of X with columns of unit length."""
    if X.shape[1] == 0:
        return 1.0
    unit = X / np.linalg.norm(X, axis=0)
    values = np.linalg.svd(np.linalg.qr(unit, mode="r"), compute_uv=False)
    return float(values[0] / values[-1])


def inflation(vcov: Matrix, terms: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Generalised variance inflation and its df for each term but the intercept.

    For a term of one column it is the usual variance inflation factor, computed from
    the covariance of the estimates, so that the random effects are accounted for.
    """
    keep = [i for i, t in enumerate(terms) if t not in ("Intercept", "1")]
    names = list(dict.fromkeys(terms[i] for i in keep))
    r = correlation(vcov)[np.ix_(keep, keep)]
    labels = [terms[i] for i in keep]
    total = np.linalg.slogdet(r)[1]
    out: dict[str, tuple[float, int]] = {}
    for name in names:
        own = [i for i, t in enumerate(labels) if t == name]
        rest = [i for i, t in enumerate(labels) if t != name]
        log_own = np.linalg.slogdet(r[np.ix_(own, own)])[1]
        log_rest = np.linalg.slogdet(r[np.ix_(rest, rest)])[1]
        out[name] = (float(np.exp(log_own + log_rest - total)), len(own))
    return out
