"""What a term does to the response: partial dependence, importance of its inputs."""

from __future__ import annotations

from ngmm.effects.importance import importance
from ngmm.effects.partial import partial

__all__ = ["importance", "partial"]
