"""Parameters, random effects, rows and likelihoods of a fit as draws."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ngmm.arviz_bridge.container import container, dataset, import_arviz
from ngmm.arviz_bridge.latent import latent_groups
from ngmm.arviz_bridge.names import ROWS, Variable, allowed
from ngmm.arviz_bridge.ordinary import ordinary_groups
from ngmm.errors import OptionError, did_you_mean
from ngmm.inference.latent import LatentAnalysis
from ngmm.results.simulation import check_count, check_seed

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

KINDS = ("asymptotic", "bootstrap")
APPROXIMATION = {
    "asymptotic": (
        "normal approximation of the maximum likelihood estimator; the draws are not "
        "a posterior sample and no prior was used"
    ),
    "bootstrap": (
        "parametric bootstrap: estimates from refits to responses simulated from the "
        "fit, a sampling distribution; the draws are not a posterior sample and no "
        "prior was used"
    ),
}


def to_arviz(
    fit: MixedModelFit,
    draws: int = 1000,
    kind: str = "asymptotic",
    *,
    seed: int | None = None,
) -> Any:
    r"""Draws of the parameters, the random effects and the rows, as arviz reads them.

    Parameters
    ----------
    fit
        A fitted model.
    draws
        Number of draws.
    kind
        ``"asymptotic"``: from the normal approximation of the estimator, on the scales
        of the Wald intervals (fixed effects as they are, standard deviations and
        dispersion as logarithms, correlations as Fisher's z; near a boundary the
        entries of Lambda). ``"bootstrap"``: estimates from refits to responses
        simulated from the fit.
    seed
        Seed; None for that of the fit. The same seed gives the same numbers.

    Returns
    -------
    arviz.InferenceData or xarray.DataTree
        The first with arviz before 1.0, the second from 1.0 on; one chain. Groups:

        ``posterior``
            Fixed effects by term, ``1|g_sigma``, ``x|g_sigma``,
            ``cor(Intercept, x | g)``, ``sigma`` or the dispersion, and random effects
            ``1|g``, ``x|g`` with the dimension ``g__factor_dim``, drawn given the data
            and each draw of the parameters. arviz wants this name of the group; the
            attribute ``approximation`` says what the draws are.
        ``log_likelihood``
            Under the name of the response, (rows): log p(y_i | b) of each row given the
            random effects. Under ``y|g``, (levels): of all rows of a level of g, the
            effects of the level (and of factors nested in it) integrated out, those of
            crossed factors given.
        ``posterior_predictive``
            Under the name of the response, (rows): new responses of the same levels;
            ``mu``: means; ``nn(x)``: outputs of networks, on the scale of the link.
        ``observed_data``
            The responses.

    Raises
    ------
    OptionError
        If an argument is not one of those above, or no refit succeeded.
    NotSupportedError
        If the covariance of the estimates is not known, or refits are not offered.
    MissingPackageError
        If arviz is not installed.

    Notes
    -----
    Random effects are drawn exactly for a Gaussian model, by importance resampling
    about their conditional modes for other families with one grouping factor, and as
    normal about these with several. Rows by draws are held four times: 32 bytes times
    rows times draws.

    References
    ----------
    Vehtari, Gelman & Gabry (2017), Stat. Comput. 27, 1413-1432, for what ``az.loo``
    makes of log-likelihoods; Merkle, Furr & Rabe-Hesketh (2019), Psychometrika 84,
    802-829, for why that of levels is the one to compare mixed models by.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> found = fit.to_arviz(50, seed=1)
    >>> list(found.posterior.data_vars)[:4]
    ['Intercept', 'Days', '1|Subject_sigma', 'Days|Subject_sigma']
    >>> found.posterior["Days|Subject"].dims
    ('chain', 'draw', 'Subject__factor_dim')
    """
    draws = check_count(draws, "draws")
    if kind not in KINDS:
        names = " or ".join(f'"{k}"' for k in KINDS)
        raise OptionError(
            f"kind must be {names}, got {kind!r}{did_you_mean(kind, KINDS)}"
        )
    seed = fit.seed if seed is None else check_seed(seed)
    arviz = import_arviz()
    make = (
        latent_groups if isinstance(fit._analysis, LatentAnalysis) else ordinary_groups
    )
    groups, more = make(fit, draws, kind, seed)
    attributes = _attributes(fit, kind, seed, more)
    sets = {
        name: dataset(variables, attributes, sampled=True)
        for name, variables in groups.items()
    }
    sets["observed_data"] = dataset(_observed(fit), attributes, sampled=False)
    return container(arviz, sets, attributes)


def _attributes(
    fit: MixedModelFit, kind: str, seed: int, more: Mapping[str, str]
) -> dict[str, str]:
    """What the draws are, in text that netCDF can hold."""
    return {
        "modeling_interface": "ngmm",
        # By name: the package itself imports what may not be imported from here.
        "modeling_interface_version": import_module("ngmm").__version__,
        "formula": fit.formula,
        "family": fit.family,
        "link": fit.link,
        "kind": kind,
        "seed": str(seed),
        "approximation": APPROXIMATION[kind],
        **{name: text for name, text in more.items() if text},
    }


def _observed(fit: MixedModelFit) -> dict[str, Variable]:
    """The responses, by position of the row in the data."""
    labels = fit.response_levels
    note = "" if labels is None else f"0 is {labels[0]!r}, 1 is {labels[1]!r}"
    rows = {ROWS: np.asarray(fit.design.rows)}
    return {allowed(fit.response_name): Variable((ROWS,), fit.design.y, rows, note)}
