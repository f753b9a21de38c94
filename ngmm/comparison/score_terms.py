"""Which networks one model has and another lacks, and what they could do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ngmm.comparison.nesting_data import check_same_data
from ngmm.design import Design, NetworkDesign, build_design
from ngmm.errors import DataError, NotSupportedError, OptionError
from ngmm.formula import update
from ngmm.inference.score.kernels import ArcCosine, Features, features
from ngmm.results import MixedModelFit

Matrix = NDArray[np.float64]

# Relative size of what a column that others span is left with by rounding.
SPANNED = 1e-8
BOOTSTRAP = 'use method="bootstrap", which refits the network to simulated responses'


def features_beyond(
    m0: MixedModelFit, m1: MixedModelFit | str | Sequence[str], depth: int, most: int
) -> tuple[tuple[str, ...], Features]:
    """Labels of the networks to test, and their features beyond m0's fixed effects.

    Raises
    ------
    OptionError
        If the models differ by anything else, or the networks add nothing.
    NotSupportedError
        If a network reads arrays, or m0 has networks of its own.
    """
    networks = tested_networks(m0, m1)
    kernels = []
    for design in networks:
        if design.inputs.arrays:
            raise NotSupportedError(
                f"{design.label} reads arrays, for which no kernel is known; "
                f"{BOOTSTRAP}"
            )
        linear = design.options.get("hidden") == ()
        kernels.append(ArcCosine(design.inputs, 0 if linear else depth))
    found = features(kernels, m0.design.X, most=most)
    labels = tuple(design.label for design in networks)
    if not found.n:
        raise OptionError(
            f"{' + '.join(labels)} can do nothing that the fixed effects of "
            f"`{m0.formula}` cannot: there is nothing to test"
        )
    return labels, found


def tested_networks(
    m0: MixedModelFit, m1: MixedModelFit | str | Sequence[str]
) -> tuple[NetworkDesign, ...]:
    """The networks of m1, which must be all that m0 lacks."""
    if not isinstance(m0, MixedModelFit):
        raise OptionError(f"expected a fitted model; got {type(m0).__name__}")
    if m0.is_neural:
        raise NotSupportedError(
            f"the model without the network, `{m0.formula}`, has networks of its own, "
            f"whose weights a score test does not allow for; {BOOTSTRAP}"
        )
    if not isinstance(m1, MixedModelFit):
        return _networks_of_text(m0, [m1] if isinstance(m1, str) else list(m1))
    if m1.design.latent:
        raise NotSupportedError(
            f"{m1.design.latent[0].label} is a network with latent inputs, for which "
            f"there is no score test; {BOOTSTRAP}"
        )
    if not m1.design.networks:
        raise OptionError(
            f"`{m1.formula}` has no network to test; a score test asks whether one is "
            'needed. For other terms use method="chi2"'
        )
    check_otherwise_equal(m0, m1)
    return m1.design.networks


def check_otherwise_equal(m0: MixedModelFit, m1: MixedModelFit) -> None:
    """Refuse models that differ by more than the networks of m1."""
    check_same_data(m0, m1)
    a, b = m0.design, m1.design
    if not _same_random(a, b):
        shown = [" + ".join(t.label for t in d.random) for d in (a, b)]
        raise OptionError(
            f"the models differ in their random effects too: {shown[0]} and "
            f"{shown[1]}. A score test is of the networks alone; use "
            'method="bootstrap"'
        )
    _check_fixed(m0, m1)


def _check_fixed(m0: MixedModelFit, m1: MixedModelFit) -> None:
    """m1's columns are among those of m0; m0's beyond those are linear in networks."""
    a, b = m0.design, m1.design
    extra = _outside(b.X, b.names, a.X)
    if extra:
        raise OptionError(
            f"`{m1.formula}` has other fixed effects too that `{m0.formula}` lacks: "
            f"{', '.join(extra)}. A score test is of the networks alone; "
            'use method="bootstrap", or put them into the model without the network'
        )
    linear = [b.X] + [_indicators(network) for network in b.networks]
    lost = _outside(a.X, a.names, np.column_stack(linear))
    if lost:
        raise OptionError(
            f"the models are not nested: `{m0.formula}` has {', '.join(lost)}, which "
            f"is neither in `{m1.formula}` nor a linear input of its networks; compare "
            "them by ngmm.compare"
        )


def _indicators(network: NetworkDesign) -> Matrix:
    """Inputs of a network, factors as indicators."""
    columns = [np.asarray(network.inputs.x, dtype=np.float64)]
    for codes, levels in zip(network.inputs.codes, network.levels, strict=True):
        columns.append(np.eye(levels)[np.asarray(codes)])
    return np.column_stack(columns)


def _outside(X: Matrix, names: Sequence[str], space: Matrix) -> list[str]:
    """Names of the columns of X that the columns of another matrix do not span."""
    if not X.shape[1]:
        return []
    left = X
    if space.shape[1]:
        left = X - space @ np.linalg.lstsq(space, X, rcond=None)[0]
    size = np.linalg.norm(X, axis=0)
    far = np.linalg.norm(left, axis=0) > SPANNED * size
    return [name for name, is_far in zip(names, far, strict=True) if is_far]


def _same_random(a: Design, b: Design) -> bool:
    if len(a.random) != len(b.random):
        return False
    return all(
        s.label == t.label
        and np.array_equal(s.codes, t.codes)
        and np.allclose(s.Z, t.Z, rtol=1e-12, atol=0)
        for s, t in zip(a.random, b.random, strict=True)
    )


def _networks_of_text(
    m0: MixedModelFit, texts: Sequence[str]
) -> tuple[NetworkDesign, ...]:
    """Networks as a formula spells them, over the rows of m0."""
    for text in texts:
        if not isinstance(text, str):
            raise OptionError(
                "expected a fitted model or the text of a network such as "
                f'"nn(x1, x2)"; got {type(text).__name__}'
            )
    terms = update(m0.terms, f". ~ . + {' + '.join(texts)}")
    if not terms.networks or terms.fixed != m0.terms.fixed:
        raise OptionError(
            f'expected the text of networks such as "nn(x1, x2)"; got {texts!r}'
        )
    given = m0.call.arguments
    design, _ = build_design(
        terms,
        m0.call.data,
        weights=given.get("weights"),
        offset=given.get("offset"),
        trials=given.get("trials"),
        contrasts=given.get("contrasts"),
        na_action=given.get("na_action", "drop"),
        binary_response=m0.family in ("bernoulli", "binomial"),
    )
    if not np.array_equal(design.rows, m0.design.rows):
        raise DataError(
            f"{' + '.join(texts)} has missing values in "
            f"{m0.nobs - design.n_rows:,} of the {m0.nobs:,} rows that `{m0.formula}` "
            "was fitted to; fit it to the complete rows first"
        )
    return design.networks
