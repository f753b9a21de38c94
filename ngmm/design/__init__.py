"""Terms and a data frame -> arrays, and the record that rebuilds them for new data.

The steps: `read_frame` takes the used columns, `complete_rows` leaves out missing rows,
`read_columns` tells numbers from factors, `build_matrix` makes model matrices,
`independent_columns` drops aliased ones, `build_random` codes the grouping factors.
`build_design` runs them in this order.
"""

from __future__ import annotations

from ngmm.design.build import build_design
from ngmm.design.checks import check_events, check_identifiable
from ngmm.design.magnitudes import check_magnitudes, check_offset
from ngmm.design.network_checks import network_warnings
from ngmm.design.records import (
    Design,
    LatentDesign,
    NetworkDesign,
    NewDesign,
    NewLatent,
    RandomDesign,
)
from ngmm.design.spec import DesignSpec
from ngmm.design.subset import design_rows

__all__ = [
    "Design",
    "DesignSpec",
    "LatentDesign",
    "NetworkDesign",
    "NewDesign",
    "NewLatent",
    "RandomDesign",
    "build_design",
    "check_events",
    "check_identifiable",
    "check_magnitudes",
    "check_offset",
    "design_rows",
    "network_warnings",
]
