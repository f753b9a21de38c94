"""Normality of the random effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.diagnostics.checks import Additive, additive, check_fit
from ngmm.diagnostics.refitting import reference
from ngmm.inference.normality import anderson_darling
from ngmm.inference.quantile_residuals import rank_test
from ngmm.results import MixedModelFit
from ngmm.results.columns import Count, Label, Number, PValue
from ngmm.results.simulation import check_count, check_seed
from ngmm.results.table import Table

# Fewer values have next to no shape.
FEWEST = 5


def normality(
    fit: MixedModelFit,
    n: int = 199,
    seed: int | None = None,
    *,
    progress: bool | str = "auto",
) -> Table:
    """Whether the random effects look normal.

    Anderson and Darling's statistic of the conditional modes of each effect, every mode
    over the standard deviation that modes of its level have (levels with few rows are
    shrunk more). Modes are estimates, dependent and shrunk, so that the statistic is
    compared with those of the model fitted again to responses simulated from it.

    Parameters
    ----------
    fit
        A fitted model.
    n
        Number of simulated data sets; the smallest p-value is 1 / (n + 1).
    seed
        Seed of the simulation; None for that of the fit.
    progress
        As in `ngmm.fit`.

    Returns
    -------
    Table
        A row for each random effect with columns group, name, levels, statistic,
        skewness, p_value. Effects whose variance is estimated at zero, and groups of
        fewer than five levels, have none, and the caption says so.

    Raises
    ------
    OptionError
        If n or seed is not usable.
    NotSupportedError
        If a random effect is the input of a network.

    Notes
    -----
    Shrinkage makes modes look normal: with few rows a level, a p-value that is not
    small says little. Fixed effects suffer little from effects that are not normal
    (McCulloch & Neuhaus 2011, Stat. Sci. 26, 388-402).

    References
    ----------
    Anderson & Darling (1954), JASA 49, 765-769; Lange & Ryan (1989), Ann. Stat. 17,
    624-642, for standardised modes.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> found = ngmm.diagnostics.normality(fit, 19, seed=1).to_frame()
    >>> found[["group", "name"]].iloc[0].tolist()
    ['Batch', 'Intercept']
    >>> round(float(found["statistic"].iloc[0]), 3)
    0.204
    """
    check_fit(fit, "normality")
    n = check_count(n)
    seed = fit.seed if seed is None else check_seed(seed)
    analysis = additive(fit, "normality", "fit.ranef()")
    observed = _statistics(analysis)
    found = reference(analysis, _statistics, n, seed, progress)
    rows, used = [], []
    labels = [(t, j) for t in analysis.design.random for j in range(len(t.names))]
    for column, (term, j) in enumerate(labels):
        values = found.values[:, column, 0]
        values = values[np.isfinite(values)]
        statistic, skewness = observed[column]
        known = bool(np.isfinite(statistic) and len(values))
        test = rank_test(np.append(statistic, values)) if known else None
        used.append(len(values))
        rows.append(
            {
                "group": term.group,
                "name": term.names[j],
                "levels": term.n_levels,
                "statistic": statistic,
                "skewness": skewness,
                "p_value": test.p_value if test else np.nan,
            }
        )
    frame = pd.DataFrame(rows)
    columns = (
        Label("group", "group", once=True),
        Label("name", "name"),
        Count("levels", "levels"),
        Number("statistic", "A2", decimals=3),
        Number("skewness", "skewness", decimals=2),
        PValue("p_value"),
    )
    caption = _caption(frame, n, min(used), found.failed_text)
    return Table(frame, caption, columns, "Normality of the random effects")


def _caption(frame: pd.DataFrame, n: int, used: int, failed: str) -> str:
    text = (
        f"Anderson-Darling of standardised conditional modes; p by {n} refits to "
        f"simulated responses{failed}. Shrinkage makes modes look normal: with few "
        "rows a level a large p says little"
    )
    if used + 0.05 * n < n and not failed:
        text += f"; variances came out as zero in up to {n - used} of the refits"
    if np.isnan(frame["p_value"].to_numpy(dtype=float)).any():
        text += (
            "\nwithout p: the variance is estimated at zero, or there are fewer than "
            f"{FEWEST} levels"
        )
    return text


def _statistics(analysis: Additive) -> NDArray[np.float64]:
    """(effects, 2) statistic and skewness of each random effect; NaN where none."""
    out = []
    terms = zip(
        analysis.design.random,
        analysis.components,
        analysis.modes,
        analysis.mode_variances(),
        strict=True,
    )
    for term, c, modes, left in terms:
        spread = np.diag(c.covariance) - left
        for j in range(len(term.names)):
            if c.sd[j] == 0.0 or term.n_levels < FEWEST:
                out.append((np.nan, np.nan))
                continue
            z = modes[:, j] / np.sqrt(np.maximum(spread[:, j], 1e-12 * c.sd[j] ** 2))
            out.append(anderson_darling(z))
    return np.array(out)
