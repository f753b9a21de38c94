"""Models compared by what they predict of rows that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.comparison.compare_checks import check_comparable
from ngmm.comparison.compare_data import Source
from ngmm.comparison.compare_folds import (
    folding_factor,
    group_folds,
    is_within,
    row_folds,
)
from ngmm.errors import OptionError, did_you_mean
from ngmm.inference.conditional_aic import conditional_aic
from ngmm.inference.deletion.gaussian import components_of
from ngmm.inference.deletion.held_density import Density, Parameters, density
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.latent import LatentAnalysis
from ngmm.progress import ProgressLine, check_progress
from ngmm.results import MixedModelFit
from ngmm.results.columns import Column, Label, Number, Text
from ngmm.results.headings import headings
from ngmm.results.simulation import check_count, check_seed
from ngmm.results.table import Table

Ints = NDArray[np.intp]
Matrix = NDArray[np.float64]

NEW = ("groups", "rows")


@dataclass(frozen=True, eq=False)
class Held:
    """Predictive densities of what was held out.

    Attributes
    ----------
    units
        (units, fits) log predictive density of each group, or of each fold.
    left_out
        (rows,) rows that some model could not predict.
    n_bad
        For each fit, the number of folds in which `check` found something wrong.
    alone
        Number of held-out rows whose level has no training row.
    """

    units: Matrix
    left_out: NDArray[np.bool_]
    n_bad: list[int]
    alone: int


def compare(
    *fits: MixedModelFit,
    names: Sequence[str] | None = None,
    folds: int = 10,
    new: str = "groups",
    by: str | None = None,
    seed: int = 0,
    progress: bool | str = "auto",
) -> Table:
    r"""Compare models by the density that they give to data they have not seen.

    The rows are cut into folds; every model is fitted without each of them, networks
    too, and with its estimates psi gives the rows held out (h) the log-density

    .. math:: \log p_{\hat\psi}(y_h \mid y_t)
              = \log p_{\hat\psi}(y_h, y_t) - \log p_{\hat\psi}(y_t),

    t the training rows, random effects integrated out. Their sum estimates the expected
    log predictive density, elpd, of as many new data: higher is better, and nothing
    need be nested.

    Parameters
    ----------
    *fits
        Two fitted models or more, of the same response and rows.
    names
        What the models are called in the table; None for their formulas.
    folds
        Number of folds; with fewer groups than that, as many as there are groups.
    new
        What is predicted. ``"groups"``: whole levels of a grouping factor are held out,
        and each is predicted as a new one, its rows jointly. ``"rows"``: rows of levels
        that the training rows also have.
    by
        The grouping factor; None for the one that contains all others.
    seed
        Seed of the folds.
    progress
        As in `ngmm.fit`.

    Returns
    -------
    Table
        A row for each model, the best first. Columns: family
        (where they differ), elpd, elpd_diff and se_diff (difference to the best model
        and its standard error, paired over groups; over folds where factors are crossed
        so that groups share random effects), aic (of maximum likelihood, refitted where
        the fit is REML), caic and edf (conditional AIC, for new rows of the levels in
        the data, and the effective degrees of freedom in it).

    Raises
    ------
    OptionError
        If the models have different responses or rows, an argument is not one of those
        above, the names do not match the models, or one cannot be fitted without some
        fold.
    NotSupportedError
        If a random effect is the input of a network.

    Notes
    -----
    The conditional AIC of a Gaussian model allows for the estimation of the variances
    (Greven & Kneib 2010); with networks, and for other families, edf is the trace of
    the hat matrix (of the working model) alone.

    References
    ----------
    Vehtari, Gelman & Gabry (2017), Stat. Comput. 27, 1413-1432, section 2 and eq. 24;
    Roberts et al. (2017), Ecography 40, 913-929, on what to hold out; Greven & Kneib
    (2010), Biometrika 97, 773-789.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> slopes = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
    >>> levels = ngmm.fit("Reaction ~ Days + (1 | Subject)", data)
    >>> found = ngmm.compare(levels, slopes, names=["levels", "slopes"]).to_frame()
    >>> found["elpd"].round(1).to_dict()
    {'slopes': -892.2, 'levels': -908.7}
    """
    models = check_comparable(fits)
    heads = headings(names, [m.formula for m in models])
    _check_options(folds, new, seed, progress)
    term = folding_factor(models, by)
    codes = np.asarray(term.codes, dtype=np.intp)
    generator = np.random.default_rng(seed)
    if new == "groups":
        folds = min(folds, term.n_levels)
        fold = group_folds(codes, folds, generator)
    else:
        folds = min(folds, len(codes))
        fold = row_folds(codes, folds, generator)
    # Groups count one by one only where no model lets them share random effects.
    apart = all(is_within(components_of(m.design.random), codes) for m in models)
    held = _held(models, fold, codes, apart=apart, progress=progress)
    caption = _caption(new, term.group, folds, len(held.units), apart=apart)
    caption += _remarks(models, heads, held, term.group, new)
    if names is not None:
        pairs = zip(heads, models, strict=True)
        caption += "".join(f"\n{head}: {m.formula}" for head, m in pairs)
    return _table(models, heads, held, caption)


def _check_options(folds: int, new: str, seed: int, progress: bool | str) -> None:
    if check_count(folds, "folds") < 2:
        raise OptionError("folds must be 2 or more, got 1: something is held out")
    if new not in NEW:
        raise OptionError(
            f'new must be "groups" or "rows", got {new!r}{did_you_mean(new, NEW)}'
        )
    check_seed(seed)
    check_progress(progress)


def _held(
    models: tuple[MixedModelFit, ...],
    fold: Ints,
    codes: Ints,
    *,
    apart: bool,
    progress: bool | str,
) -> Held:
    """Fit every model without every fold, and predict it."""
    sources = [Source.of(m) for m in models]
    n, folds = len(fold), int(fold.max()) + 1
    units = np.zeros((int(codes.max()) + 1 if apart else folds, len(models)))
    left_out, n_bad, alone = np.zeros(n, dtype=bool), [0] * len(models), 0
    with ProgressLine(progress, "cross-validation") as line:
        for k in range(folds):
            train = np.flatnonzero(fold != k)
            trained = []
            for i, source in enumerate(sources):
                line.update(k * len(models) + i, folds * len(models))
                fit, ok = source.train(train, f"fold {k + 1}")
                trained.append(fit)
                n_bad[i] += not ok
            pairs = list(zip(sources, trained, strict=True))
            unknown = np.any([s.unknown(t) for s, t in pairs], axis=0)
            left_out |= unknown
            rows = np.flatnonzero(~unknown)
            keep = fold[rows] != k
            if keep.all():
                continue
            alone += int((~np.isin(codes[rows[~keep]], codes[train])).sum())
            for i, (source, fit) in enumerate(pairs):
                e = fit.estimate
                at = Parameters(e.beta, e.theta, e.sigma, e.phi)
                found = density(source.model(fit, rows), at)
                if apart:
                    units[:, i] += _by_group(found, keep, codes[rows], len(units))
                else:
                    every = np.ones_like(keep)
                    units[k, i] = found.total(every) - found.total(keep)
    used = np.bincount(codes if apart else fold, ~left_out, len(units)) > 0
    return Held(units[used], left_out, n_bad, alone)


def _by_group(found: Density, keep: NDArray[Any], codes: Ints, n: int) -> Matrix:
    """Log predictive density of the rows that are not kept, by group."""
    component = found.component
    touched = np.bincount(component, ~keep) > 0
    value = found.by_component(np.ones_like(keep)) - found.by_component(keep)
    owner = np.zeros(len(touched), dtype=np.intp)
    owner[component] = codes
    return np.bincount(owner[touched], value[touched], n).astype(np.float64)


def _table(
    models: tuple[MixedModelFit, ...], heads: list[str], held: Held, caption: str
) -> Table:
    elpd = held.units.sum(0)
    best = int(np.argmax(elpd))
    apart = held.units - held.units[:, [best]]
    n = len(apart)
    se = np.sqrt(n) * apart.std(0, ddof=1) if n > 1 else np.full(len(models), np.nan)
    conditional = [conditional_aic(_analysis(m)) for m in models]
    ml = [m.update(reml=False) if m.reml else m for m in models]
    frame = pd.DataFrame(
        {
            "family": [repr(m.model.family) for m in models],
            "elpd": elpd,
            "elpd_diff": elpd - elpd[best],
            "se_diff": se,
            "aic": [m.aic for m in ml],
            "caic": [c.value for c in conditional],
            "edf": [c.edf for c in conditional],
        },
        index=pd.Index(heads, name="model"),
    ).sort_values("elpd", ascending=False, kind="stable")
    columns: list[Column] = [
        Label(),
        Text("family", "family"),
        Number("elpd", "elpd", decimals=1),
        Number("elpd_diff", "diff", decimals=1),
        Number("se_diff", "se(diff)", decimals=1),
        Number("aic", "AIC", decimals=1),
        Number("caic", "cAIC", decimals=1),
        Number("edf", "edf", decimals=1),
    ]
    if len({m.model.family for m in models}) == 1:
        frame, columns = frame.drop(columns="family"), [columns[0], *columns[2:]]
    return Table(frame, caption, tuple(columns), "Comparison")


def _analysis(fit: MixedModelFit):
    analysis = fit._analysis
    assert not isinstance(analysis, LatentAnalysis)
    return analysis


def _caption(new: str, group: str, folds: int, n: int, *, apart: bool) -> str:
    what = f"new levels of {group}" if new == "groups" else f"new rows of known {group}"
    over = f"{n} levels of {group}" if apart else f"{n} folds"
    return (
        f"elpd: log predictive density of {what}, {folds} folds; "
        f"se(diff): paired over {over}"
    )


def _remarks(
    models: tuple[MixedModelFit, ...],
    heads: list[str],
    held: Held,
    group: str,
    new: str,
) -> str:
    """What the reader must know of these folds."""
    out: list[str] = []
    working = [m for m in models if not isinstance(m._analysis, GaussianAnalysis)]
    kinds = "cAIC: given the random effects, new rows of the levels in the data"
    if len(working) < len(models):
        kinds += "; edf by Greven and Kneib (2010)"
    if any(isinstance(m._analysis, GeneralizedAnalysis) for m in working):
        kinds += "; edf of the working model"
    if any(m.networks is not None for m in working):
        kinds += "; with networks edf takes the variances as known"
    out.append(kinds)
    if any(m.reml for m in models):
        out.append("AIC: of maximum likelihood; elpd and cAIC: of REML fits")
    if held.left_out.any():
        out.append(
            f"{int(held.left_out.sum())} rows are left out: they have a level of a "
            "fixed factor that some training rows lack"
        )
    for head, bad in zip(heads, held.n_bad, strict=True):
        if bad:
            out.append(f"`{head}`: in {bad} folds check() found something wrong")
    if new == "rows" and held.alone:
        out.append(
            f"{held.alone} rows are the only ones of their level of {group}, which is "
            "new when they are held out"
        )
    return "".join("\n" + text for text in out)
