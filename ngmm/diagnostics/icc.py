"""Intraclass correlation: the share of the variance between levels."""

from __future__ import annotations

import pandas as pd

from ngmm.diagnostics.checks import additive, check_fit
from ngmm.diagnostics.variances import variances
from ngmm.results import MixedModelFit
from ngmm.results.columns import Label, Number
from ngmm.results.table import Table


def icc(fit: MixedModelFit, method: str = "auto") -> Table:
    r"""Intraclass correlation of each grouping factor, and of all together.

    .. math:: \mathrm{adjusted}_g = \frac{v_g}{v_r + v_e}, \qquad
              \mathrm{unadjusted}_g = \frac{v_g}{v_f + v_r + v_e}

    The adjusted one compares rows with equal fixed parts: without random slopes it is
    the correlation of two such rows of one level. Variances are those of `r2`.

    Parameters
    ----------
    fit
        A fitted model.
    method
        As in `r2`.

    Returns
    -------
    Table
        A row for each grouping factor, with several of them also ``(all)``. Columns:
        variance, adjusted, unadjusted.

    Raises
    ------
    OptionError
        If the method does not suit the family.
    NotSupportedError
        If a random effect is the input of a network.

    References
    ----------
    Nakagawa, Johnson & Schielzeth (2017), J. R. Soc. Interface 14, 20170213, eq. 2.5.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (1 | Subject)", data, reml=True)
    >>> found = ngmm.diagnostics.icc(fit).to_frame()
    >>> round(float(found.loc["Subject", "adjusted"]), 4)
    0.5893
    """
    check_fit(fit, "icc")
    v = variances(fit, additive(fit, "icc", "fit.nn_table()"), method)
    parts = dict(v.random)
    if len(parts) > 1:
        parts["(all)"] = v.between
    frame = pd.DataFrame({"variance": parts})
    frame["adjusted"] = frame["variance"] / (v.between + v.observation)
    frame["unadjusted"] = frame["variance"] / v.total
    columns = (
        Label(),
        Number("variance", "variance", exact_zero=True),
        Number("adjusted", "adjusted", decimals=3),
        Number("unadjusted", "unadjusted", decimals=3),
    )
    caption = (
        f"adjusted: of rows with equal fixed parts; observation {v.observation:.4g} "
        f"({v.text})"
    )
    if any(len(t.names) > 1 for t in fit.design.random):
        caption += "; random slopes: averages over the rows"
    return Table(frame, caption, columns, "Intraclass correlation")
