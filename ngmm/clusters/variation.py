r"""By how much the slopes in the inputs differ between the levels of a grouping factor.

Averaged over its n_l rows, the slope of the linear predictor in an input is in level l

.. math:: s_l(b) = \frac1{n_l} \sum_{i \in l} \frac{\partial}{\partial x_i}
   \bigl(x_i'\beta + f(x_i)\bigr) + \bar d_l' b_l,

linear in the random effects b_l of the level: d is the slope of their columns, hidden
units of a network among them. The standard deviation of s_l over the levels is a
function of b whose distribution given the data is reported, rather than its value at
the conditional modes, which are closer together than the random effects are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.clusters.groups import level_means, term_of
from ngmm.clusters.posterior import draws_of_effects
from ngmm.clusters.predictor import Predictor
from ngmm.clusters.slopes import changed_rows, numeric_inputs
from ngmm.design import LatentDesign, RandomDesign
from ngmm.diagnostics.checks import additive, check_fit
from ngmm.effects.population import one_of
from ngmm.effects.variables import Variables
from ngmm.inference.quantiles import check_level
from ngmm.results import MixedModelFit, Table
from ngmm.results.columns import Column, Interval, Label, Number
from ngmm.results.formatting import percent
from ngmm.results.simulation import check_count, check_seed

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

WHAT = "clusters.variation"
ROWS = ("own", "all")
# Of the linear predictor, for a slope per standard deviation of the input. Differences
# over a thousandth of it are known to 1e-12 or so.
ROUNDING = 1e-10


def variation(
    fit: MixedModelFit,
    inputs: str | Sequence[str] | None = None,
    n_draws: int = 400,
    level: float = 0.95,
    seed: int | None = None,
    *,
    rows: str = "own",
) -> Table:
    """Standard deviation between levels of the slopes in the inputs.

    Parameters
    ----------
    fit
        A fit with random effects.
    inputs
        Numeric columns of the data; None for all that the formula reads.
    n_draws
        Number of draws of the random effects.
    level
        Level of the intervals.
    seed
        Seed of the draws; None for that of the fit.
    rows
        Rows over which the slope of a level is averaged: ``"own"``, those of the level;
        ``"all"``, those of all levels, each time with the effects of this one. With
        ``"own"`` levels differ also because their rows are elsewhere, where a slope
        that is not constant is another.

    Returns
    -------
    Table
        A row each grouping factor and input, on the scale of the linear predictor, with
        columns group, input and

        slope
            Slope of the population, random effects zero, averaged over all rows.
        sd
            Standard deviation over the levels of their average slopes: median over
            draws of the random effects given the data.
        conf_low, conf_high
            Quantiles of the draws.
        sd_modes
            The same at the conditional modes, which are shrunk towards each other.
        sd_rows
            The same without random effects: what comes of the levels having other rows.
            Zero with ``rows="all"``, or a linear population part. It does not add to
            the rest: random effects may make up for it.

        The random effects of other factors are zero. Parameters and networks are at
        their estimates: what is not known of them is not allowed for.

    Raises
    ------
    OptionError
        If an input is unknown or not numeric.
    NotSupportedError
        If the model has a neural random effect.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> print(ngmm.clusters.variation(fit))
    Variation   slope     sd   95% interval   of modes   of rows
      Days      10.47   5.89    [4.8, 6.9]        5.40      0.00
      slope of the linear predictor without random effects; sd between levels of
      Subject, averages over their own rows
      400 draws of the random effects, parameters given; of modes: at the
      conditional modes; of rows: without random effects
    """
    groups = check_fit(fit, WHAT).spec.groups
    one_of("rows", rows, ROWS)
    check_level(level)
    n = check_count(n_draws, "n_draws")
    generator = np.random.default_rng(fit.seed if seed is None else check_seed(seed))
    analysis = additive(fit, WHAT, "fit.loadings()")
    columns, names = numeric_inputs(fit, inputs, WHAT, random=True)
    predictor = Predictor(fit, analysis, offset=False)
    draws = draws_of_effects(analysis, n, generator)
    found = [_slopes(predictor, columns, name) for name in names]
    out = []
    for group in groups:
        for name, slopes in zip(names, found, strict=True):
            own = slopes.by_level(term_of(fit, group), own=rows == "own")
            numbers = _numbers(predictor, group, own, draws, level)
            out.append({"group": group, "input": name, **numbers})
    return _table(pd.DataFrame(out), n, level, rows)


class _Slopes(NamedTuple):
    """Slopes in an input of rows, or averaged by level, and what is rounding of them.

    Attributes
    ----------
    fixed
        (n,) of the fixed part.
    random
        (n, k) of the columns of each random term.
    mean
        Average of the fixed part over all rows.
    rounding
        Standard deviations below this one are errors of the differences.
    """

    fixed: Vector
    random: list[Matrix]
    mean: float
    rounding: float

    def by_level(self, term: RandomDesign | LatentDesign, *, own: bool) -> _Slopes:
        """Averages over the rows of each level, or over all rows for each level."""

        def averaged(values: Matrix) -> Matrix:
            if own:
                return level_means(term.codes, term.n_levels, values)
            return np.repeat(values.mean(axis=0)[None], term.n_levels, axis=0)

        random = [averaged(d) for d in self.random]
        return self._replace(fixed=averaged(self.fixed), random=random)


def _slopes(predictor: Predictor, columns: Variables, name: str) -> _Slopes:
    """Slopes of all rows of the fit."""
    design = predictor.fit.design
    fixed = np.zeros(design.n_rows)
    random = [np.zeros_like(term.Z) for term in design.random]
    for changed, weight in changed_rows(columns.columns, name):
        new = predictor.rows(changed, groups=True, levels=False)
        fixed += weight * predictor.fixed(new)
        for i, term in enumerate(new.random):
            random[i] += weight[:, None] * term.Z
    size = np.abs(predictor.fit.predict(kind="link").to_numpy()).max()
    # A column may be the same in all rows.
    rounding = ROUNDING * float(size / (columns.number(name).std() or 1.0))
    return _Slopes(fixed, random, float(fixed.mean()), rounding)


def _numbers(
    predictor: Predictor,
    group: str,
    slopes: _Slopes,
    draws: Sequence[NDArray[np.float64]],
    level: float,
) -> dict[str, float]:
    """One row of the table, without its labels."""
    terms = predictor.fit.design.random
    drawn, modes = np.tile(slopes.fixed, (len(draws[0]), 1)), slopes.fixed.copy()
    each = zip(terms, slopes.random, draws, predictor.term_modes, strict=True)
    for term, d, draw, b in each:
        if term.group == group:
            drawn += np.einsum("lk,dlk->dl", d, draw)
            modes += np.einsum("lk,lk->l", d, b)
    sd = drawn.std(axis=1, ddof=1)
    low, high = np.quantile(sd, [0.5 - 0.5 * level, 0.5 + 0.5 * level])
    sds = {
        "sd": np.median(sd),
        "conf_low": low,
        "conf_high": high,
        "sd_modes": modes.std(ddof=1),
        "sd_rows": slopes.fixed.std(ddof=1),
    }
    known = {k: float(v) if v > slopes.rounding else 0.0 for k, v in sds.items()}
    return {"slope": slopes.mean, **known}


def _table(frame: pd.DataFrame, n_draws: int, level: float, rows: str) -> Table:
    columns: list[Column] = [
        *([Label("group", "group", once=True)] if len(set(frame["group"])) > 1 else []),
        Label("input", "input"),
        Number("slope", "slope"),
        Number("sd", "sd"),
        Interval("conf_low", "conf_high", "sd", f"{percent(level)} interval"),
        Number("sd_modes", "of modes", like="sd"),
        *([Number("sd_rows", "of rows", like="sd")] if rows == "own" else []),
    ]
    of = ", ".join(dict.fromkeys(frame["group"]))
    caption = (
        "slope of the linear predictor without random effects; sd between levels of "
        f"{of}, averages over {'their own' if rows == 'own' else 'all'} rows\n"
        f"{n_draws} draws of the random effects, parameters given; of modes: at the "
        "conditional modes"
    )
    if rows == "own":
        caption += "; of rows: without random effects"
    return Table(frame, caption, tuple(columns), "Variation")
