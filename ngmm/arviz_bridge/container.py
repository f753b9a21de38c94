"""Named arrays as what arviz reads: InferenceData before 1.0, a DataTree from 1.0 on.

The data sets are xarray's in either case and are made here, so that they do not depend
on the version; arviz only holds them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ngmm.arviz_bridge.names import Variable
from ngmm.errors import MissingPackageError


def import_arviz() -> Any:
    """The arviz that is installed.

    Raises
    ------
    MissingPackageError
        If none is.
    """
    try:
        with warnings.catch_warnings():
            # What arviz says of its own next version is not about the fit.
            warnings.simplefilter("ignore", FutureWarning)
            import arviz
    except ImportError as cause:
        raise MissingPackageError(
            "to_arviz needs arviz, which is not installed; type pip install arviz"
        ) from cause
    return arviz


def dataset(
    variables: Mapping[str, Variable], attributes: Mapping[str, str], *, sampled: bool
) -> Any:
    """An xarray data set.

    Parameters
    ----------
    variables
        By name.
    attributes
        Of the data set.
    sampled
        Whether values lead with an axis of draws, to which one chain is added.
    """
    import xarray as xr

    out, coords = {}, {}
    for name, v in variables.items():
        coords |= v.coords
        note = {"note": v.note} if v.note else {}
        values = v.values[None] if sampled else v.values
        lead = ("chain", "draw") if sampled else ()
        out[name] = xr.DataArray(values, dims=(*lead, *v.dims), attrs=note)
    if sampled and variables:
        n = len(next(iter(variables.values())).values)
        coords = {"chain": np.arange(1), "draw": np.arange(n), **coords}
    return xr.Dataset(out, coords=coords, attrs=dict(attributes))


def container(arviz: Any, groups: Mapping[str, Any], attributes: dict[str, str]) -> Any:
    """The groups as one object of the installed arviz.

    Parameters
    ----------
    arviz
        The module.
    groups
        Data sets by the name of their group.
    attributes
        Of the whole.
    """
    # From 1.0 on InferenceData is another name of DataTree.
    if int(arviz.__version__.partition(".")[0]) < 1:
        return arviz.InferenceData(attrs=attributes, **groups)
    from xarray import DataTree

    tree = DataTree.from_dict(dict(groups))
    tree.attrs.update(attributes)
    return tree
