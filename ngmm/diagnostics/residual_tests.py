"""Quantile residuals by simulation, and tests of their distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.diagnostics.checks import Additive, additive, check_fit
from ngmm.diagnostics.refitting import Reference, reference
from ngmm.inference.gaussian import GaussianAnalysis
from ngmm.inference.generalized import GeneralizedAnalysis
from ngmm.inference.quantile_residuals import (
    outliers,
    rank_test,
    spread,
    statistics,
    uniform_ranks,
    uniformity,
)
from ngmm.inference.working import predictor
from ngmm.results import MixedModelFit
from ngmm.results.columns import Label, Number, PValue
from ngmm.results.response import draw
from ngmm.results.simulation import check_count, check_seed, simulate_responses
from ngmm.results.table import Table, Tabled

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class ResidualTests(Tabled):
    """Quantile residuals and what three tests say of them.

    Attributes
    ----------
    residuals
        Of each row used, uniform on (0, 1) under the model.
    tests
        Frame with a row for each test: statistic, expected, p_value.
    caption
        How they were made.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("Dyestuff")
    >>> fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    >>> found = ngmm.diagnostics.residual_tests(fit, n=50, seed=1, refits=0)
    >>> found.residuals.between(0, 1).all().item()
    True
    >>> found.to_frame().index.tolist(), found.to_table().to_frame().shape
    (['uniformity', 'dispersion', 'outliers'], (3, 3))
    """

    residuals: pd.Series
    tests: pd.DataFrame
    caption: str

    def to_frame(self) -> pd.DataFrame:
        """The tests, as a copy.

        Returns
        -------
        DataFrame
            A row for each test: statistic, expected, p_value.
        """
        return self.tests.copy()

    def to_table(self) -> Table:
        """The tests, one below the other.

        Returns
        -------
        Table
            A row for each test.
        """
        columns = (
            Label(),
            Number("statistic", "statistic"),
            Number("expected", "expected"),
            PValue("p_value"),
        )
        return Table(self.tests, self.caption, columns, "Residuals")


def residual_tests(
    fit: MixedModelFit,
    n: int = 250,
    seed: int | None = None,
    *,
    conditional: bool = False,
    refits: int = 99,
    progress: bool | str = "auto",
) -> ResidualTests:
    """Tests of a model by the ranks of its responses among simulated ones.

    The residual of a row is the place of its response among n simulated from the model,
    randomised within ties and within the place: uniform on (0, 1) if the model holds.
    Three statistics are tested:

    uniformity
        Largest distance from the uniform distribution (Kolmogorov and Smirnov).
    dispersion
        Mean square of the responses about the simulated means, each over the simulated
        variance. Two-sided.
    outliers
        Number of rows beyond all their simulations. Two-sided.

    Rows of a level share random effects and the parameters are estimated from the same
    rows, so that tables for independent values do not hold: the reference is the model
    fitted again to responses simulated from it, each data set with simulations of its
    own.

    Parameters
    ----------
    fit
        A fitted model.
    n
        Number of simulated data sets that a response is ranked among.
    seed
        Seed of the simulation; None for that of the fit.
    conditional
        Whether the random effects stay at their conditional modes. By default new ones
        are drawn, which tests the whole model. Given the modes the tests see more of
        the distribution of single rows.
    refits
        Number of refits that make the reference; the smallest p-value is
        1 / (refits + 1). 0 for none: then the statistics of the n simulated data sets
        are the reference, which allows for the dependence of rows at no cost, but not
        for the estimation: p-values are too large, and given the modes, which follow
        the data, dispersion looks too small. Networks are held in the refits.
    progress
        As in `ngmm.fit`.

    Returns
    -------
    ResidualTests
        The residuals, a value for each row, and the three tests.

    Raises
    ------
    OptionError
        If n, refits or seed is not usable.
    NotSupportedError
        If a random effect is the input of a network, unless refits=0 and new ones are
        drawn.

    References
    ----------
    Dunn & Smyth (1996), J. Comput. Graph. Stat. 5, 236-244; Hartig (2022), the R
    package DHARMa, whose scaled residuals these are.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("epil")
    >>> fit = ngmm.fit("y ~ trt + (1 | subject)", data, family="poisson")
    >>> found = ngmm.diagnostics.residual_tests(fit, conditional=True, refits=19)
    >>> float(found.to_frame().loc["dispersion", "p_value"])  # overdispersed
    0.1
    """
    check_fit(fit, "residual_tests")
    n = check_count(n)
    seed = fit.seed if seed is None else check_seed(seed)
    refits = 0 if refits == 0 else check_count(refits, "refits")
    analysis = None
    if refits or conditional:
        hint = "refits=0 and conditional=False"
        analysis = additive(fit, "residual_tests", hint)
    if analysis is None or not conditional:
        simulated = fit.simulate(n, seed).to_numpy()
    else:
        simulated = _simulated(analysis, n, seed, conditional=conditional)
    y = fit.design.y
    # Not the stream of the simulation, which would tie the noise to the draws.
    u = uniform_ranks(y, simulated, np.random.default_rng([seed, 1]))
    found = {
        "uniformity": uniformity(u),
        "dispersion": spread(y, simulated),
        "outliers": outliers(u),
    }
    effects = "random effects at their modes" if conditional else "new random effects"
    caption = f"{n} data sets simulated with {effects}; p by "
    if analysis is None or not refits:
        caption += "their own statistics, as if the parameters were known: too large"
        if conditional:
            caption += ". The modes follow the data: expect a dispersion below 1"
    else:
        again = _reference(analysis, n, seed, refits, progress, conditional=conditional)
        for i, (name, test) in enumerate(found.items()):
            values = np.append(test.statistic, again.values[:, i])
            found[name] = rank_test(values, two_sided=name != "uniformity")
        caption += f"{len(again.values)} refits{again.failed_text}"
    tests = pd.DataFrame(found, index=["statistic", "expected", "p_value"]).T
    residuals = pd.Series(u[:, 0], index=fit.design.index, name="residual")
    return ResidualTests(residuals, tests, caption)


def _reference(
    analysis: Additive,
    n: int,
    seed: int,
    refits: int,
    progress: bool | str,
    *,
    conditional: bool,
) -> Reference:
    """The statistics of refits, each among simulations of its own."""
    generator = np.random.default_rng([seed, 2])

    def one(again: GaussianAnalysis | GeneralizedAnalysis) -> Vector:
        own = int(generator.integers(2**31))
        simulated = _simulated(again, n, own, conditional=conditional)
        return np.array(statistics(again.design.y, simulated, generator))

    # The first stream has made the residuals of the data.
    first = int(np.random.default_rng([seed, 3]).integers(2**31))
    return reference(analysis, one, refits, first, progress)


def _simulated(analysis: Additive, n: int, seed: int, *, conditional: bool) -> Matrix:
    """(rows, n) responses, with new random effects or at the conditional modes."""
    if not conditional:
        return simulate_responses(analysis, n, seed)
    model, e = analysis.model, analysis.estimate
    d = model.design
    eta = predictor(d.X, d.offset, d.random, e.beta, analysis.modes)
    eta = np.repeat(eta[:, None], n, axis=1)
    generator = np.random.default_rng(seed)
    return draw(model.family, d, eta, analysis.dispersion, generator)
