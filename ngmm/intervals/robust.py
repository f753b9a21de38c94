"""Cluster-robust covariance of the fixed effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ngmm.errors import NotSupportedError, OptionError, did_you_mean
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.sandwich import (
    GroupScores,
    gaussian_scores,
    generalized_scores,
)
from ngmm.intervals.clusters import Clusters, clusters

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

KINDS = ("cluster",)


def cluster_covariance(
    fit: MixedModelFit, robust: str = "cluster", cluster: str | None = None
) -> NDArray[np.float64]:
    r"""Sandwich covariance (p, p) of the estimates of the fixed effects.

    It holds when the groups are independent and their means are right, even if the
    model of variances and correlations within them is not:

    .. math:: \frac{G}{G - 1} A^{-1} \Bigl(\sum_g s_g s_g'\Bigr) A^{-1}.

    For a Gaussian model s_g = X_g' V_g^{-1} r_g and A = X' V^{-1} X, up to sigma^2; for
    others s_g and A are the score and the information of all parameters of the marginal
    likelihood, of which the rows of beta are given. The factor G / (G - 1), that of CR1
    in the R package clubSandwich, is the only allowance for few groups: with fewer than
    about 40 of them standard errors are too small. At least as many groups as fixed
    effects are needed for a matrix of full rank.

    Parameters
    ----------
    fit
        A fitted model without networks.
    robust
        ``"cluster"``.
    cluster
        A grouping factor of the model, or a column of its data, whose levels are
        independent; None for the outermost grouping factor.

    Returns
    -------
    ndarray
        (p, p), in the order of ``fit.fixef``.

    Raises
    ------
    OptionError
        If an argument is unknown, or the levels share random effects.
    NotSupportedError
        If the random effects are crossed, or the model has networks.

    References
    ----------
    Liang & Zeger (1986), Biometrika 73, 13-22, eq. 11; White (1982), Econometrica 50,
    1-25.

    Examples
    --------
    >>> import ngmm, numpy as np
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (1 | Subject)", data)
    >>> robust = ngmm.intervals.cluster_covariance(fit)
    >>> np.sqrt(np.diag(robust)).round(2).tolist(), fit.bse.round(2).tolist()
    ([6.82, 1.55], [9.51, 0.8])
    """
    if robust not in KINDS:
        raise OptionError(
            f"robust must be 'cluster' or None, got {robust!r}"
            f"{did_you_mean(robust, KINDS)}"
        )
    p = len(fit.fixef)
    return group_scores(fit, clusters(fit, cluster, "vcov(robust=)")).sandwich()[:p, :p]


def group_scores(fit: MixedModelFit, groups: Clusters) -> GroupScores:
    """Scores of independent groups in all parameters.

    Raises
    ------
    NotSupportedError
        If the model has networks.
    """
    analysis = fit._analysis
    if isinstance(analysis, GaussianAnalysis):
        return gaussian_scores(analysis, groups.codes)
    if isinstance(analysis, GeneralizedAnalysis):
        return generalized_scores(analysis, groups.codes)
    raise NotSupportedError(
        "scores of groups are for models without networks; for intervals that do not "
        'rest on the model of the variances use bootstrap(resample="groups")'
    )
