"""Pictures of fits, drawn with matplotlib, which is imported when one is asked for."""

from __future__ import annotations

from ngmm.plots.bootstrap import bootstrap
from ngmm.plots.calibration import calibration
from ngmm.plots.caterpillar import caterpillar
from ngmm.plots.lattice import lattice
from ngmm.plots.partial import partial
from ngmm.plots.profile_zeta import profile_zeta
from ngmm.plots.quadrature import quadrature
from ngmm.plots.residuals import residuals
from ngmm.plots.training import training
from ngmm.plots.variances import variances

__all__ = [
    "bootstrap",
    "calibration",
    "caterpillar",
    "lattice",
    "partial",
    "profile_zeta",
    "quadrature",
    "residuals",
    "training",
    "variances",
]
