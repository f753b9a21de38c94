"""Likelihood-ratio tests of nested models."""

from __future__ import annotations

from typing import Any

from ngmm.errors import NotSupportedError


def lrt(*args: Any, **kwargs: Any) -> Any:
    """To be written."""
    raise NotSupportedError("not yet")
