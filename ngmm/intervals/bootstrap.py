"""Parametric and cluster bootstrap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ngmm.errors import NotSupportedError, OptionError, did_you_mean
from ngmm.inference.bootstrap_intervals import (
    acceleration,
    basic_limits,
    bca_shares,
    draws_needed,
    percentile_limits,
    quantile,
)
from ngmm.inference.quantiles import check_level
from ngmm.intervals.clusters import Clusters, clusters
from ngmm.intervals.influence import influence
from ngmm.intervals.naming import wald
from ngmm.intervals.resampling import check_resample, parametric, resampled
from ngmm.intervals.tables import interval_table
from ngmm.progress import ProgressLine, check_progress
from ngmm.results.simulation import check_count, check_seed
from ngmm.results.table import Table, Tabled

if TYPE_CHECKING:
    from ngmm.results.fit import MixedModelFit

KINDS = ("percentile", "basic", "bca")
HOW = {
    "parametric": "responses simulated from the fit",
    "groups": "levels of {name} drawn with replacement",
}


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(Tabled):
    """Estimates of all parameters from many data sets like the one at hand.

    Attributes
    ----------
    estimate
        The estimates of the fit, named as in `MixedModelFit.conf_int`.
    draws
        A row for each data set; missing where the refit failed, and in a correlation
        where a standard deviation was estimated at zero.
    reasons
        Why refits failed, and how many.
    how
        How the data sets were made.
    fit, groups
        What was bootstrapped; its independent groups, None if it has none.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> draws = fit.bootstrap(40, seed=1)
    >>> draws.n, draws.n_failed, draws.caption
    (40, 0, '40 refits: responses simulated from the fit; none failed')
    >>> draws.to_frame().shape
    (40, 3)
    >>> draws.std_error().index.tolist() == draws.bias().index.tolist()
    True
    >>> draws.conf_int(0.9).to_frame().columns.tolist()
    ['estimate', 'conf_low', 'conf_high', 'note']
    >>> draws.to_table().to_frame().columns.tolist()
    ['estimate', 'bias', 'std_error']
    """

    estimate: pd.Series
    draws: pd.DataFrame
    reasons: Mapping[str, int]
    how: str
    fit: MixedModelFit = field(repr=False)
    groups: Clusters | None = field(repr=False)

    @property
    def n(self) -> int:
        """Number of data sets."""
        return len(self.draws)

    @property
    def n_failed(self) -> int:
        """Number of refits that failed and are left out of everything else."""
        return sum(self.reasons.values())

    @property
    def caption(self) -> str:
        """How many refits, to what, and how many of them failed."""
        text = f"{self.n} refits: {self.how}; "
        if not self.n_failed:
            return text + "none failed"
        why = ", ".join(f"{w} ({c})" for w, c in self.reasons.items())
        return f"{text}{self.n_failed} failed and are left out: {why}"

    def to_frame(self) -> pd.DataFrame:
        """The draws, a column for each parameter.

        Returns
        -------
        DataFrame
            A row for each data set and a column for each parameter, as a copy.
        """
        return self.draws.copy()

    def bias(self) -> pd.Series:
        """Mean of the draws less the estimate.

        Returns
        -------
        Series
            A value for each parameter, on its own scale.
        """
        return (self.draws.mean() - self.estimate).rename("bias")

    def std_error(self) -> pd.Series:
        """Standard deviations of the draws.

        Returns
        -------
        Series
            A value for each parameter, on its own scale.
        """
        return self.draws.std().rename("std_error")

    def conf_int(self, level: float = 0.95, kind: str = "percentile") -> Table:
        """Confidence intervals from the draws.

        Parameters
        ----------
        level
            Confidence level.
        kind
            ``"percentile"``: quantiles of the draws. ``"basic"``: those reflected at
            the estimate, cut off where the parameter cannot be. ``"bca"``: quantiles
            corrected for the bias of the median and for the skewness of what the groups
            contribute (Efron 1987); its acceleration is found from the scores of
            independent groups, which one Newton step turns into the influence of each.

        Returns
        -------
        Table
            A row for each parameter. Columns estimate, conf_low, conf_high and note.

        Raises
        ------
        OptionError
            If the kind is unknown, or there are too few draws for the level.
        NotSupportedError
            For ``"bca"`` where groups are crossed or the model has networks.

        References
        ----------
        Efron (1987), J. Am. Stat. Assoc. 82, 171-185; Davison & Hinkley (1997),
        Bootstrap Methods and their Application, chapter 5.
        """
        check_level(level)
        check_kind(kind)
        self._check_draws(level)
        accelerations = self._accelerations() if kind == "bca" else None
        rows = []
        for i, name in enumerate(self.draws.columns):
            values = self.draws[name].dropna().to_numpy()
            a = None if accelerations is None else float(accelerations[i])
            estimate = float(self.estimate.to_numpy()[i])
            limits = self._limits(str(name), estimate, values, level, kind, a)
            rows.append((estimate, *limits))
        columns = pd.Index(["estimate", "conf_low", "conf_high", "note"])
        frame = pd.DataFrame(rows, index=self.draws.columns, columns=columns)
        text = "BCa" if kind == "bca" else kind
        return interval_table(frame, level, f"{text} bootstrap, {self.caption}")

    def _limits(
        self,
        name: str,
        estimate: float,
        values: np.ndarray,
        level: float,
        kind: str,
        a: float | None,
    ) -> tuple[float, float, str]:
        missing = self.n - self.n_failed - len(values)
        note = f"not defined in {missing} refits, left out" if missing else ""
        if len(values) < draws_needed(level):
            return np.nan, np.nan, f"{note}: too few for the level"
        if kind == "percentile":
            return (*percentile_limits(values, level), note)
        if not np.isfinite(estimate):
            return np.nan, np.nan, "not defined at the estimate"
        if a is None:
            low, high = basic_limits(values, estimate, level)
            floor, ceiling = _bounds(name, self.fit)
            return max(low, floor), min(high, ceiling), note
        shares = bca_shares(values, estimate, a, level)
        if not np.isfinite(shares).all():
            text = 'no BCa limits at a boundary: kind="percentile" has some'
            return np.nan, np.nan, _joined(note, text)
        edge = 1.0 / (len(values) + 1)
        if shares[0] < edge or shares[1] > 1.0 - edge:
            note = _joined(note, "a limit is the most extreme draw: raise n")
        return quantile(values, shares[0]), quantile(values, shares[1]), note

    def _check_draws(self, level: float) -> None:
        needed, left = draws_needed(level), self.n - self.n_failed
        if left >= needed:
            return
        lost = f", {self.n_failed} of which failed" if self.n_failed else ""
        raise OptionError(
            f"a level of {level:g} needs at least {needed} bootstrap draws, and there "
            f"are {self.n}{lost}: bootstrap(n={max(1000, 5 * needed)}) would do"
        )

    def _accelerations(self) -> np.ndarray:
        if self.groups is None:
            raise NotSupportedError(
                'kind="bca" needs independent groups, and the grouping factors are '
                'crossed; use kind="percentile" or "basic"'
            )
        found = influence(self.fit, self.groups)
        return np.array([acceleration(column) for column in found.T])

    def to_table(self) -> Table:
        """Estimates, bias and standard errors.

        Returns
        -------
        Table
            A row for each parameter. Columns estimate, bias and std_error.
        """
        frame = pd.DataFrame(
            {
                "estimate": self.estimate,
                "bias": self.bias(),
                "std_error": self.std_error(),
            }
        )
        return Table(frame, self.caption, title="Bootstrap")


def bootstrap(
    fit: MixedModelFit,
    n: int = 1000,
    seed: int | None = None,
    *,
    resample: str = "parametric",
    cluster: str | None = None,
    progress: bool | str = "auto",
) -> Bootstrap:
    """Estimates of all parameters from data sets like the one at hand.

    Parameters
    ----------
    fit
        A fitted model. Refits use its likelihood, the restricted one after REML.
    n
        Number of data sets.
    seed
        Seed; None for that of the fit.
    resample
        ``"parametric"``: responses simulated from the fitted model with new random
        effects; right when the model is. ``"groups"``: levels of the outermost grouping
        factor with all their rows, drawn with replacement, each draw a level of its
        own; right when those are independent, whatever happens within them.
    cluster
        For ``"groups"``: the factor whose levels are drawn, a grouping factor or a
        column of the data within which all random effects stay.
    progress
        Whether a line tells how far it is: ``"auto"`` on a terminal, after 2 s.

    Returns
    -------
    Bootstrap
        The draws; `Bootstrap.conf_int`, `Bootstrap.bias`, `Bootstrap.std_error`.

    Raises
    ------
    OptionError
        If an argument is not one of those above, or no refit succeeded.
    NotSupportedError
        If groups are to be drawn and the random effects are crossed.

    Notes
    -----
    Models without networks are refitted in one program for many responses at a time;
    models with networks one by one, with their architecture and penalties chosen as in
    the fit. Resampled groups of a generalized model with nested factors have new shapes
    each time, and are compiled for each: seconds a refit.

    References
    ----------
    Davison & Hinkley (1997), sec. 2.1 and 3.8; Field & Welsh (2007), JRSS B 69,
    369-390, for the bootstrap of groups.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> draws = ngmm.intervals.bootstrap(fit, 200, seed=1)
    >>> draws.n_failed, draws.to_frame().shape
    (0, (200, 3))
    """
    n = check_count(n)
    seed = fit.seed if seed is None else check_seed(seed)
    check_progress(progress)
    check_resample(resample, cluster)
    groups = _groups(fit, resample, cluster)
    table = wald(fit, 0.95)
    with ProgressLine(progress, "bootstrap") as line:

        def advance(done: int) -> None:
            line.update(done, n)

        if resample == "parametric":
            found = parametric(fit, n, seed, advance)
        else:
            assert groups is not None
            found = resampled(fit, groups, n, seed, advance)
    if sum(found.reasons.values()) == n:
        why = ", ".join(f"{w} ({c})" for w, c in found.reasons.items())
        raise OptionError(
            f"all {n} bootstrap refits failed: {why}. Look at fit.check() first"
        )
    how = HOW[resample].format(name=groups.name if groups else "")
    draws = pd.DataFrame(found.values, columns=table.index)
    estimate = pd.Series(table["estimate"])
    return Bootstrap(estimate, draws, dict(found.reasons), how, fit, groups)


def check_kind(kind: object) -> None:
    """Refuse kinds of limits that there are not.

    Raises
    ------
    OptionError
        If the kind is unknown.
    """
    if kind not in KINDS:
        names = ", ".join(f"'{k}'" for k in KINDS)
        raise OptionError(
            f"kind must be one of {names}, got {kind!r}{did_you_mean(kind, KINDS)}"
        )


def _groups(fit: MixedModelFit, resample: str, cluster: str | None) -> Clusters | None:
    if resample == "groups":
        return clusters(fit, cluster, "a bootstrap of groups")
    try:
        return clusters(fit, None, "BCa")
    except (NotSupportedError, OptionError):
        return None


def _bounds(name: str, fit: MixedModelFit) -> tuple[float, float]:
    """Where a parameter can be, by its name."""
    if name in fit.fixef.index:
        return -np.inf, np.inf
    return (-1.0, 1.0) if name.startswith("cor(") else (0.0, np.inf)


def _joined(*notes: str) -> str:
    return "; ".join(n for n in notes if n)
