"""Is a network better than linear terms."""

from __future__ import annotations

from typing import Any

from ngmm.errors import NotSupportedError


def test_linear(*args: Any, **kwargs: Any) -> Any:
    """To be written."""
    raise NotSupportedError("not yet")
