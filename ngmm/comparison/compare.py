"""Models compared by cross-validation."""

from __future__ import annotations

from typing import Any

from ngmm.errors import NotSupportedError


def compare(*args: Any, **kwargs: Any) -> Any:
    """To be written."""
    raise NotSupportedError("not yet")
