"""One adapter for each program.

An adapter is a function of a problem, the CSV file and the number of repetitions that
returns a `Measurement`. A program that is not installed is a status, not an error.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adapters.gpboost_fit import measure_gpboost, measure_gpboost_cholesky
from adapters.mixedlm_fit import measure_mixedlm
from adapters.ngmm_fit import measure_ngmm, measure_ngmm_laplace
from adapters.r_fit import measure_glmmtmb, measure_lme4, measure_lme4_quadrature
from adapters.statsmodels_fit import measure_statsmodels
from measurement import Measurement
from problems import Problem

ADAPTERS: dict[str, Callable[[Problem, Path, int], Measurement]] = {
    "ngmm": measure_ngmm,
    "ngmm-laplace": measure_ngmm_laplace,
    "lme4": measure_lme4,
    "lme4-quadrature": measure_lme4_quadrature,
    "glmmTMB": measure_glmmtmb,
    "mixedlm": measure_mixedlm,
    "statsmodels": measure_statsmodels,
    "gpboost": measure_gpboost,
    "gpboost-cholesky": measure_gpboost_cholesky,
}
