"""Zero inflation: observed zeros beside those of simulated responses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ngmm.diagnostics.checks import check_fit, refuse_family
from ngmm.inference.quantile_residuals import rank_test
from ngmm.results import MixedModelFit
from ngmm.results.columns import Count, Interval, Label, Number, PValue
from ngmm.results.simulation import check_count, check_seed
from ngmm.results.table import Table


def zero_inflation(fit: MixedModelFit, n: int = 999, seed: int | None = None) -> Table:
    """Whether there are more zeros, or fewer, than the model gives.

    Parameters
    ----------
    fit
        A fit of a count family.
    n
        Number of data sets simulated from the model, with new random effects; the
        smallest p-value is 2 / (n + 1).
    seed
        Seed of the simulation; None for that of the fit.

    Returns
    -------
    Table
        One row with columns observed, expected, low and high (the central 95 % of the
        simulations), ratio (observed over expected), p_value (two-sided).

    Raises
    ------
    OptionError
        If the response is not a count beyond 0 and 1, or n or seed is not usable.

    Examples
    --------
    >>> import ngmm
    >>> data = ngmm.datasets.load("epil")
    >>> fit = ngmm.fit("y ~ trt + (1 | subject)", data, family="poisson")
    >>> found = ngmm.diagnostics.zero_inflation(fit, n=199).to_frame()
    >>> int(found.loc["zeros", "observed"])
    23
    """
    check_fit(fit, "zero_inflation")
    n = check_count(n)
    if not fit.model.family.discrete:
        refuse_family(
            fit, "zero_inflation", "zeros are for counts; this response is continuous"
        )
    if fit.family == "bernoulli":
        refuse_family(
            fit,
            "zero_inflation",
            "the zeros of a 0/1 response are what its mean says; there is no excess",
        )
    zeros = (fit.simulate(n, seed if seed is None else check_seed(seed)) == 0).sum()
    observed = int((fit.design.y == 0).sum())
    counts = zeros.to_numpy(dtype=np.float64)
    test = rank_test(np.append(float(observed), counts), two_sided=True)
    low, high = np.quantile(counts, [0.025, 0.975])
    ratio = observed / test.expected if test.expected > 0 else np.inf
    frame = pd.DataFrame(
        {
            "observed": [observed],
            "expected": [test.expected],
            "low": [low],
            "high": [high],
            "ratio": [ratio if observed else float(test.expected == 0)],
            "p_value": [test.p_value],
        },
        index=["zeros"],
    )
    columns = (
        Label(),
        Count("observed", "observed"),
        Number("expected", "expected", decimals=1),
        Interval("low", "high", "expected", "95% of sims", decimals=0),
        Number("ratio", "ratio", decimals=2),
        PValue("p_value"),
    )
    caption = (
        f"expected and two-sided p: {n} data sets simulated from the model, with new "
        "random effects"
    )
    return Table(frame, caption, columns, "Zero inflation")
