"""Explained variance: the marginal and the conditional R2."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ngmm.diagnostics.checks import additive, check_fit
from ngmm.diagnostics.variances import Variances, variances
from ngmm.results import MixedModelFit
from ngmm.results.columns import Label, Number
from ngmm.results.table import Table, Tabled


@dataclass(frozen=True, eq=False, repr=False)
class R2(Tabled):
    """Shares of the variance that the model explains.

    Attributes
    ----------
    marginal
        By the fixed part, networks among it.
    conditional
        By the fixed part and the random effects.
    variances
        The parts they are made of: ``fixed``, ``random`` by grouping factor,
        ``observation``.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data, reml=True)
    >>> found = ngmm.diagnostics.r2(fit)
    >>> found.to_frame().round(4).to_dict()
    {'r2': {'marginal': 0.2787, 'conditional': 0.7992}}
    >>> print(found.to_table())
    R2                 R2
      marginal      0.279
      conditional   0.799
      variances on the scale of the link: fixed part 909, Subject 1698, observation
      654.9 (the residual variance)
    """

    marginal: float
    conditional: float
    variances: Variances

    def to_frame(self) -> pd.DataFrame:
        """A row for each R2.

        Returns
        -------
        DataFrame
            One row for each of marginal and conditional, with the column r2.
        """
        return pd.DataFrame(
            {"r2": [self.marginal, self.conditional]}, index=["marginal", "conditional"]
        )

    def to_table(self) -> Table:
        """Both shares, and the variances they are made of.

        Returns
        -------
        Table
            A row for each R2.
        """
        v = self.variances
        between = ", ".join(f"{g} {value:.4g}" for g, value in v.random.items())
        caption = (
            f"variances on the scale of the link: fixed part {v.fixed:.4g}, {between}, "
            f"observation {v.observation:.4g} ({v.text})"
        )
        return Table(
            self.to_frame(), caption, (Label(), Number("r2", "R2", decimals=3)), "R2"
        )


def r2(fit: MixedModelFit, method: str = "auto") -> R2:
    r"""Marginal and conditional R2 of Nakagawa and Schielzeth.

    .. math:: R^2_m = \frac{v_f}{v_f + v_r + v_e}, \qquad
              R^2_c = \frac{v_f + v_r}{v_f + v_r + v_e}

    with the variances of the fixed part over the rows, of the random effects (with
    random slopes their mean over the rows) and of an observation, all on the scale of
    the linear predictor. Offsets are left out.

    Parameters
    ----------
    fit
        A fitted model.
    method
        What stands for the variance of an observation where the response is not
        Gaussian: ``"latent"`` (of the latent response of a logit, probit or cloglog
        link), ``"lognormal"``, ``"trigamma"`` (log links) or ``"delta"``; ``"auto"``
        takes the first of these that suits, trigamma for a gamma response. All but the
        first depend on the mean response, for which that of the data stands.

    Returns
    -------
    R2
        Both shares, and the variances behind them.

    Raises
    ------
    OptionError
        If the method does not suit the family.
    NotSupportedError
        If a random effect is the input of a network.

    References
    ----------
    Nakagawa & Schielzeth (2013), Methods Ecol. Evol. 4, 133-142, eqs. 26-30; Johnson
    (2014), Methods Ecol. Evol. 5, 944-946, eqs. 10-11; Nakagawa, Johnson & Schielzeth
    (2017), J. R. Soc. Interface 14, 20170213.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("sleepstudy")
    >>> fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data, reml=True)
    >>> found = ngmm.diagnostics.r2(fit)
    >>> round(found.marginal, 4), round(found.conditional, 4)
    (0.2787, 0.7992)
    """
    check_fit(fit, "r2")
    v = variances(fit, additive(fit, "r2", "fit.nn_table()"), method)
    return R2(v.fixed / v.total, (v.fixed + v.between) / v.total, v)
