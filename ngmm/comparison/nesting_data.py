"""Whether likelihoods of fitted models are those of the same responses."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd

from ngmm.comparison.lrt_base import LinearBase
from ngmm.comparison.nesting import family_of
from ngmm.design import Design
from ngmm.errors import DataError, OptionError
from ngmm.results import MixedModelFit

Comparable: TypeAlias = MixedModelFit | LinearBase

SHOWN = 5


def check_same_data(a: Comparable, b: Comparable) -> None:
    """Refuse fits whose likelihoods cannot be compared.

    Raises
    ------
    DataError
        If rows, responses, weights, trials or offsets differ.
    OptionError
        If the family, the link or the rule for the integral differs.
    """
    one, two = family_of(a), family_of(b)
    if (one.name, one.link) != (two.name, two.link):
        raise OptionError(
            f"{a.formula} has family {one.name}({one.link}) and {b.formula} family "
            f"{two.name}({two.link}); a likelihood ratio needs the same one. Across "
            "families use ngmm.compare(m0, m1)"
        )
    _check_rows(a, b)
    _check_response(a, b)
    for name, plain in (("weights", 1.0), ("trials", 1.0)):
        x, y = getattr(a.design, name), getattr(b.design, name)
        if not _equal(x, y, plain):
            raise DataError(
                f"the {name} of {a.formula} and {b.formula} differ; fit both with the "
                "same ones"
            )
    _check_rule(a, b)


def _check_rows(a: Comparable, b: Comparable) -> None:
    one, two = a.design.index, b.design.index
    if one.equals(two):
        return
    only = [(a, one.difference(two)), (b, two.difference(one))]
    texts = [
        f"{len(labels)} only in {fit.formula} (rows {_some(labels)})"
        for fit, labels in only
        if len(labels)
    ]
    if not texts:
        raise DataError(
            f"{a.formula} and {b.formula} use the same rows in another order or "
            "repeated; fit both to one data frame"
        )
    raise DataError(
        f"the models use different rows: {'; '.join(texts)}. {_why(a, b)}Fit both to "
        "the rows that are complete for both"
    )


def _why(a: Comparable, b: Comparable) -> str:
    """Which columns have missing values."""
    missing: dict[str, int] = {**a.design.missing, **b.design.missing}
    if not missing:
        return ""
    columns = ", ".join(f"{name} ({n})" for name, n in missing.items())
    return f"Missing values: {columns}. "


def _some(labels: pd.Index) -> str:
    shown = ", ".join(map(str, labels[:SHOWN]))
    return f"{shown}, ..." if len(labels) > SHOWN else shown


def _check_response(a: Comparable, b: Comparable) -> None:
    one, two = a.design, b.design
    if np.allclose(one.y, two.y, rtol=1e-12, atol=0.0):
        return
    if one.response_name != two.response_name:
        raise DataError(
            f"the responses differ: {one.response_name} in {a.formula}, "
            f"{two.response_name} in {b.formula}. The likelihood of a transformed "
            "response is on another scale; fit both to the same response"
        )
    changed = np.flatnonzero(one.y != two.y)
    raise DataError(
        f"the responses {one.response_name} of {a.formula} and {b.formula} differ in "
        f"{len(changed)} rows ({_some(one.index[changed])}); fit both to the same data"
    )


def _check_rule(a: Comparable, b: Comparable) -> None:
    if isinstance(a, LinearBase) or isinstance(b, LinearBase):
        return
    if a.model.is_gaussian or a.model.quad == b.model.quad:
        return
    raise OptionError(
        f"{a.formula} has quad={a.call.arguments.get('quad')!r} and {b.formula} "
        f"quad={b.call.arguments.get('quad')!r}: the difference of their "
        "log-likelihoods has that of the rules in it. Fit both with the same quad"
    )


def same_offset(a: Design, b: Design) -> bool:
    """Whether the known parts of two linear predictors are equal."""
    return bool(np.allclose(a.offset, b.offset, rtol=1e-10, atol=1e-12))


def _equal(x: np.ndarray | None, y: np.ndarray | None, plain: float) -> bool:
    if x is None and y is None:
        return True
    left = np.asarray(plain) if x is None else x
    right = np.asarray(plain) if y is None else y
    return bool(np.allclose(left, right, rtol=1e-12, atol=0.0))
