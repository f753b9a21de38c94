"""Quantile residuals by simulation, and tests of their distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ngmm.diagnostics.checks import additive, check_fit
from ngmm.inference.quantile_residuals import (
    outliers,
    spread,
    uniform_ranks,
    uniformity,
)
from ngmm.results import MixedModelFit
from ngmm.results.columns import Label, Number, PValue
from ngmm.results.response import draw
from ngmm.results.simulation import check_count, check_seed
from ngmm.results.table import Table


@dataclass(frozen=True, eq=False, repr=False)
class ResidualTests:
    """Quantile residuals and what three tests say of them.

    Attributes
    ----------
    residuals
        Of each row used, uniform on (0, 1) under the model.
    tests
        Frame with a row for each test: statistic, expected, p_value.
    caption
        How they were made.
    """

    residuals: pd.Series
    tests: pd.DataFrame
    caption: str

    def to_frame(self) -> pd.DataFrame:
        """The tests, as a copy."""
        return self.tests.copy()

    def _table(self) -> Table:
        columns = (
            Label(),
            Number("statistic", "statistic"),
            Number("expected", "expected"),
            PValue("p_value"),
        )
        return Table(self.tests, self.caption, columns, "Residuals")

    def __str__(self) -> str:
        return str(self._table())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self._table().to_html()


def residual_tests(
    fit: MixedModelFit,
    n: int = 250,
    seed: int | None = None,
    *,
    conditional: bool = False,
) -> ResidualTests:
    """Tests of a model by the ranks of its responses among simulated ones.

    The residual of a row is the place of its response among n simulated from the model,
    randomised within ties and within the place: uniform on (0, 1) if the model holds.
    Rows of a level share random effects, so that residuals are dependent; the tests
    therefore compare each statistic with those of the simulated data sets, ranked in
    the same way, and not with the tables of independent values:

    uniformity
        Largest distance from the uniform distribution (Kolmogorov and Smirnov).
    dispersion
        Mean square of the responses about the simulated means, each over the simulated
        variance; 1 is as expected. Two-sided.
    outliers
        Number of rows beyond all their simulations. Two-sided.

    Parameters
    ----------
    fit
        A fitted model.
    n
        Number of simulated data sets; the smallest p-value is 1 / (n + 1).
    seed
        Seed of the simulation; None for that of the fit.
    conditional
        Whether the random effects stay at their conditional modes. By default new ones
        are drawn, which tests the whole model. Given the modes the tests see more of
        the distribution of single rows, but the modes follow the data: the residuals
        are a little too close to the middle, more so in small groups.

    Raises
    ------
    OptionError
        If n or seed is not usable.
    NotSupportedError
        If the residuals are to be conditional and a random effect is the input of a
        network.

    References
    ----------
    Dunn & Smyth (1996), J. Comput. Graph. Stat. 5, 236-244; Hartig (2022), the R
    package DHARMa, whose scaled residuals these are.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("epil")
    >>> fit = ngmm.fit("y ~ trt + (1 | subject)", data, family="poisson")
    >>> tests = ngmm.diagnostics.residual_tests(fit, n=99, conditional=True)
    >>> float(tests.to_frame().loc["dispersion", "p_value"])  # overdispersed
    0.02
    """
    check_fit(fit, "residual_tests")
    n = check_count(n)
    seed = fit.seed if seed is None else check_seed(seed)
    if conditional:
        simulated = _given_modes(fit, n, seed)
    else:
        simulated = fit.simulate(n, seed).to_numpy()
    y = fit.design.y
    # Not the stream of the simulation, which would tie the noise to the draws.
    u = uniform_ranks(y, simulated, np.random.default_rng([seed, 1]))
    found = {
        "uniformity": uniformity(u),
        "dispersion": spread(y, simulated),
        "outliers": outliers(u),
    }
    tests = pd.DataFrame(found, index=["statistic", "expected", "p_value"]).T
    if conditional:
        caption = (
            f"{n} data sets simulated with the random effects at their modes. The "
            "modes follow the data: a dispersion somewhat below 1 is no sign of a bad model"
        )
    else:
        caption = (
            f"{n} data sets simulated with new random effects, to which p-values "
            "refer: they allow for the dependence of rows, not for estimated parameters"
        )
    residuals = pd.Series(u[:, 0], index=fit.design.index, name="residual")
    return ResidualTests(residuals, tests, caption)


def _given_modes(fit: MixedModelFit, n: int, seed: int) -> np.ndarray:
    """(rows, n) responses at the conditional modes."""
    analysis = additive(
        fit, "residual_tests(conditional=True)", "conditional=False, the default"
    )
    eta = np.repeat(fit.predict(kind="link").to_numpy()[:, None], n, axis=1)
    generator = np.random.default_rng(seed)
    model = analysis.model
    return draw(model.family, model.design, eta, analysis.dispersion, generator)
