"""Packages that some pictures and reports need and the rest of ngmm does not."""

from __future__ import annotations

import importlib
from typing import Any

from ngmm.errors import MissingPackageError


def optional(module: str, extra: str, what: str) -> Any:
    """A module that is imported where it is used.

    Parameters
    ----------
    module
        Its name.
    extra
        The extra of ngmm that installs it.
    what
        What needs it.

    Raises
    ------
    MissingPackageError
        If it is not there.
    """
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        top = module.partition(".")[0]
        package = "scikit-learn" if top == "sklearn" else top
        raise MissingPackageError(
            f"{what} needs {package}, which is not installed; type pip install "
            f'"ngmm[{extra}]"'
        ) from cause
