"""Fixed effects as a frame: estimates, standard errors, tests, intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ngmm.inference.analysis import Analysis
from ngmm.inference.quantiles import critical, two_sided

Matrix = NDArray[np.float64]


def coefficient_frame(
    analysis: Analysis, vcov: Matrix, df: NDArray[np.float64], level: float
) -> pd.DataFrame:
    """Columns estimate, std_error, df, statistic, p_value, conf_low, conf_high."""
    beta = analysis.estimate.beta
    se = np.sqrt(np.diag(vcov))
    statistic = beta / se
    margin = critical(level, df) * se
    return pd.DataFrame(
        {
            "estimate": beta,
            "std_error": se,
            "df": df,
            "statistic": statistic,
            "p_value": two_sided(statistic, df),
            "conf_low": beta - margin,
            "conf_high": beta + margin,
        },
        index=pd.Index(list(analysis.model.design.names), dtype=object),
    )
