"""The options of `ngmm.fit`: what they may be, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ngmm.errors import OptionError, did_you_mean
from ngmm.estimation.adversary import Adversary
from ngmm.estimation.estimators import FullBatch, Newton, is_transformation
from ngmm.estimation.evidence import Evidence
from ngmm.estimation.joint import Joint
from ngmm.estimation.stochastic import Stochastic
from ngmm.families import Family
from ngmm.formula import ModelFormula
from ngmm.likelihood.rules import Rule, as_rule
from ngmm.neural.fitting import NeuralEstimator, check_estimator
from ngmm.neural.latent import LatentEstimator, check_latent_estimator
from ngmm.progress import check_progress
from ngmm.results.simulation import check_seed

DF_METHODS = ("auto", "satterthwaite", "none", "kenward-roger")

# What people type who come from other packages, and what to type here.
HABITS = {
    "groups": 'the grouping goes in the formula: "y ~ x + (1 | g)"',
    "re_formula": 'random slopes go in the formula: "y ~ x + (1 + x | g)"',
    "vc_formula": 'variance components go in the formula: "y ~ x + (1 | g) + (1 | h)"',
    "REML": "write reml=True or reml=False",
    "nAGQ": "write quad=, e.g. quad=25",
    "subset": "select rows of the data frame before the call",
    "exposure": "a time of exposure is an offset: offset(log(time)) in the formula",
    "n_trials": "the number of binomial trials is trials=",
    "ziformula": "zero inflation is not supported",
    "dispformula": "dispersion models are not supported",
    "random": 'random effects go in the formula: "y ~ x + (1 | g)"',
}


def refuse_unknown(unknown: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse arguments that fit does not have, with what was probably meant."""
    for name in unknown:
        if name in HABITS:
            raise OptionError(f"unknown argument {name}=. In ngmm {HABITS[name]}")
        raise OptionError(
            f"unknown argument {name}={did_you_mean(name, known) or '.'} "
            f"Arguments: formula, data, {', '.join(known)}"
        )


def check_options(
    reml: object,
    df: object,
    seed: object,
    contrasts: object,
    progress: object,
) -> None:
    """Refuse values that options cannot have, whatever the formula says."""
    if not isinstance(reml, (bool, np.bool_)):
        raise OptionError(f"reml must be True or False, got {reml!r}")
    if df not in DF_METHODS:
        raise OptionError(
            f"df must be one of {', '.join(map(repr, DF_METHODS))}; got {df!r}"
        )
    check_seed(seed)
    if contrasts is not None and not isinstance(contrasts, Mapping):
        raise OptionError(
            "contrasts must map columns to codings, such as "
            f'{{"x": "sum"}}; got {contrasts!r}'
        )
    check_progress(progress)


def check_networks(terms: ModelFormula, reml: bool, df: str) -> None:
    """Refuse what a model with networks cannot have."""
    used = [*terms.networks, *(n for t in terms.random for n in t.networks)]
    if not used:
        return
    if reml:
        raise OptionError(
            "reml=True is for models without networks: their penalised weights are "
            "integrated out already when variances are estimated, and the intercept "
            "and linear terms are not. Leave reml out"
        )
    if df not in ("auto", "none"):
        raise OptionError(
            f"df={df!r} is for models without networks, whose tests are z tests. "
            "Leave df out"
        )


def check_options_of_family(family: Family, trials: Any, reml: bool, df: str) -> None:
    """Refuse what the family has no use for."""
    if trials is not None and not family.takes_trials:
        remedy = (
            "for precision weights of a gaussian response use weights="
            if family.has_residual
            else f"a {family.name} response has none"
        )
        raise OptionError(f"trials= is for binomial responses; {remedy}")
    if family.has_residual:
        if df == "kenward-roger" and not reml:
            raise OptionError(
                'df="kenward-roger" rests on the restricted likelihood: add reml=True, '
                'or write df="satterthwaite"'
            )
        return
    if reml:
        raise OptionError(
            "reml=True is for gaussian models: with another family the fixed effects "
            "cannot be integrated out exactly. Leave reml out"
        )
    if df not in ("auto", "none"):
        raise OptionError(
            f"df={df!r} is for gaussian models: with family {family.name} the "
            "coefficients have z tests. Leave df out"
        )


def df_method(df: str, family: Family, terms: ModelFormula) -> str:
    """How the denominators of the tests are found."""
    neural = bool(terms.networks) or any(t.networks for t in terms.random)
    if df == "auto":
        return "satterthwaite" if family.has_residual and not neural else "none"
    return df


def latent_labels(terms: ModelFormula) -> list[str]:
    """The neural random effects as the formula has them."""
    return [str(t) for t in terms.random if t.networks]


def rule_of(quad: Any, family: Family, terms: ModelFormula) -> Rule:
    """How the random effects are integrated out."""
    if not family.has_residual or latent_labels(terms):
        return as_rule(quad)
    if not isinstance(quad, str) or quad not in ("auto", "exact"):
        raise OptionError(
            f"quad={quad!r}: the random effects of a gaussian model are integrated out "
            "exactly; leave quad out"
        )
    return as_rule("auto")


def _adversary_of(adversary: Any, terms: ModelFormula) -> Adversary | None:
    """What networks are trained against; None for nothing, and for a strength of 0."""
    if adversary is None:
        return None
    if isinstance(adversary, type) and issubclass(adversary, Adversary):
        raise OptionError('adversary is a class: call it, ngmm.Adversary(group="site")')
    if not isinstance(adversary, Adversary):
        raise OptionError(
            f"adversary must be ngmm.Adversary(...), got {adversary!r}; for the group "
            'write ngmm.Adversary(group="site")'
        )
    if not terms.networks:
        raise OptionError(
            "an adversary reads the hidden units of a network, and the fixed part has "
            "none: write nn(x1, x2) in the formula, or leave adversary out"
        )
    return None if adversary.is_off else adversary


def estimator_of(
    estimator: Any,
    terms: ModelFormula,
    networks: Mapping[str, Any] | None,
    seed: int,
    progress: bool | str,
    adversary: Any = None,
) -> Callable[[Any], Any]:
    """What maximises the likelihood."""
    opponent = _adversary_of(adversary, terms)
    # What is no mapping is refused with the terms at hand.
    named = dict(networks) if isinstance(networks, Mapping) else {}
    # Keys of jax are made from 63 bits.
    seed = int(seed) % 2**63
    latent = latent_labels(terms)
    if latent:
        options = check_latent_estimator(estimator, latent[0])
        return LatentEstimator(options, named, seed, progress)
    if terms.networks:
        return NeuralEstimator(
            check_estimator(estimator), named, seed, progress, opponent
        )
    if isinstance(estimator, str) and estimator == "auto":
        return Newton()
    if isinstance(estimator, Newton | FullBatch):
        return estimator
    if is_transformation(estimator):
        return FullBatch(estimator)
    if isinstance(estimator, Evidence | Stochastic | Joint):
        raise OptionError(
            f"estimator={estimator!r} fits networks, and the formula has none in its "
            'fixed part; leave it out, or write estimator="auto" in update()'
        )
    if isinstance(estimator, type) and issubclass(estimator, Newton | FullBatch):
        raise OptionError(f"estimator is a class: call it, ngmm.{estimator.__name__}()")
    from_optax = str(getattr(estimator, "__module__", "")).startswith("optax")
    called = "; call it, e.g. optax.adam(0.01)" if from_optax else ""
    raise OptionError(
        'estimator must be "auto", ngmm.Newton() or an optax transformation; '
        f"got {estimator!r}{called}"
    )
