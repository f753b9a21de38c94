r"""Universal inference: a test by splitting the groups, valid for any two models."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.comparison.nesting_data import check_same_data
from ngmm.comparison.split_halves import (
    Half,
    best_loglik,
    check_halves,
    half_of,
    halve,
    held_out_loglik,
    independent_groups,
)
from ngmm.errors import NgmmWarning, OptionError
from ngmm.inference.neural import search_kind
from ngmm.progress import ProgressLine, check_progress
from ngmm.results import MixedModelFit
from ngmm.results.columns import Count, Label, Number, PValue
from ngmm.results.simulation import check_count, check_seed
from ngmm.results.table import Table, Tabled


@dataclass(frozen=True, eq=False, repr=False)
class SplitResult(Tabled):
    """A split likelihood-ratio test.

    Attributes
    ----------
    log_e
        Logarithm of the e-value, the mean of those of all splits.
    log_e_values
        (n_splits,) of each split, its two swaps averaged.
    group
        Grouping factor whose levels were split.
    n_groups
        Number of its levels.
    n_failed
        Number of swaps whose null model was not maximised; they count as e = 0.
    is_exact
        Whether the null model was truly maximised; not so with penalised networks.
    formulas
        Null and alternative.
    """

    log_e: float
    log_e_values: NDArray[np.float64]
    group: str
    n_groups: int
    n_failed: int
    is_exact: bool
    formulas: tuple[str, str]

    @property
    def e_value(self) -> float:
        """Evidence against the null: its mean is at most 1 where the null is true."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.log_e))

    @property
    def p_value(self) -> float:
        """min(1, 1 / e): valid in samples of any size."""
        return float(np.exp(min(0.0, -self.log_e)))

    @property
    def n_splits(self) -> int:
        """Number of splits."""
        return len(self.log_e_values)

    @property
    def method(self) -> str:
        """What was done, in words."""
        times = f"{self.n_splits} split{'s' * (self.n_splits != 1)}"
        text = f"split likelihood ratio over {self.group}, {times}, each both ways"
        if self.n_failed:
            text += f", {self.n_failed} swaps failed and count as e = 0"
        if not self.is_exact:
            text += (
                "; the networks of the null model are penalised, so that its maximum, "
                "and with it the validity, is approximate"
            )
        return text

    def to_frame(self) -> pd.DataFrame:
        """The test as one row."""
        row = {
            "log_e": self.log_e,
            "e_value": self.e_value,
            "p_value": self.p_value,
            "n_splits": self.n_splits,
        }
        return pd.DataFrame([row], index=pd.Index([self.formulas[1]], dtype=object))

    def to_table(self) -> Table:
        """The same, printable."""
        columns = (
            Label(),
            Number("log_e", "log e", decimals=2),
            PValue("p_value"),
            Count("n_splits", "splits"),
        )
        caption = f"null model: {self.formulas[0]}\n{self.method}"
        return Table(self.to_frame(), caption, columns, title="Split test")


def split_test(
    m0: MixedModelFit,
    m1: MixedModelFit,
    *,
    n_splits: int = 5,
    seed: int = 0,
    progress: bool | str = "auto",
) -> SplitResult:
    r"""Likelihood-ratio test that needs no large samples and no regularity.

    The groups are split at random into D0 and D1, and m1 is fitted to D1. Then

    .. math:: U = \frac{L_{D_0}(\hat m_1 \text{ of } D_1)}{\max L_{D_0}(m_0)}

    has mean at most 1 if m0 is true, whatever m1 and however it was fitted: U is an
    e-value, and p = min(1, 1/U) by Markov's inequality. The mean of U with D0 and D1
    swapped, and over several splits, is one again. What it costs is power.

    Parameters
    ----------
    m0, m1
        Null model and alternative, which need not be nested; networks in m1 are fitted
        anew to each half, as they were to all rows.
    n_splits
        Number of splits; each takes two fits of either model.
    seed
        Seed of the splits.
    progress
        Whether it shows how far it is.

    Returns
    -------
    SplitResult
        With ``e_value``, ``p_value``, ``method``; it prints itself.

    Raises
    ------
    OptionError
        If the models are of different data or families, or half of the groups cannot
        identify one of them.
    NotSupportedError
        If grouping factors are crossed: no two parts of the rows are independent.

    Notes
    -----
    Models are fitted by maximum likelihood. A column of the fixed effects that is short
    of rank in a half, such as a rare level, is left out of it (its coefficient is
    zero), which keeps the test valid.

    References
    ----------
    Wasserman, Ramdas & Balakrishnan (2020), PNAS 117, 16880-16890, theorem 3 and
    section 3.

    Examples
    --------
    >>> import ngmm
    >>> from ngmm.comparison.split import split_test
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> m1 = ngmm.fit("Reaction ~ Days + (1 | Subject)", data)
    >>> m0 = m1.update(". ~ . - Days")
    >>> result = split_test(m0, m1)
    >>> result.n_groups, result.p_value < 0.05
    (18, True)
    """
    n_splits, seed = check_count(n_splits, "n_splits"), check_seed(seed)
    check_progress(progress)
    for m in (m0, m1):
        if not isinstance(m, MixedModelFit):
            raise OptionError(f"expected a fitted model; got {type(m).__name__}")
    check_same_data(m0, m1)
    group, codes = independent_groups(m0, m1)
    generator, out, failed = np.random.default_rng(seed), [], 0
    with ProgressLine(progress, "split test") as line:
        for split in range(n_splits):
            rows = halve(codes, generator)
            swaps = _both_ways(m0, m1, rows)
            failed += int(np.isneginf(swaps).sum())
            out.append(_log_mean(swaps))
            line.update(split + 1, n_splits)
    found = np.array(out)
    return SplitResult(
        log_e=_log_mean(found),
        log_e_values=found,
        group=group,
        n_groups=int(codes.max()) + 1,
        n_failed=failed,
        is_exact=m0.networks is None or search_kind(m0.networks) == "linear",
        formulas=(m0.formula, m1.formula),
    )


def _both_ways(
    m0: MixedModelFit,
    m1: MixedModelFit,
    rows: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> NDArray[np.float64]:
    """Log U of a split and of its swap; -inf where the null was not maximised."""
    nulls: list[Half] = [half_of(m0, part) for part in rows]
    others: list[Half] = [half_of(m1, part) for part in rows]
    check_halves(m0, nulls)
    check_halves(m1, others)
    out = []
    with warnings.catch_warnings():
        # What a fit to half of the rows says of itself is not about the models.
        warnings.simplefilter("ignore", NgmmWarning)
        for test, train in ((0, 1), (1, 0)):
            top = held_out_loglik(m1, others[train], others[test], rows[test])
            out.append(top - best_loglik(m0, nulls[test]))
    return np.array(out)


def _log_mean(log_values: NDArray[np.float64]) -> float:
    """Logarithm of the mean of exp(log_values)."""
    top = float(log_values.max())
    if np.isneginf(top):
        return top
    return top + float(np.log(np.exp(log_values - top).mean()))
