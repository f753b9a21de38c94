"""What a term does to the response: means, slopes, comparisons, partial dependence."""

from __future__ import annotations

from ngmm.effects.comparisons import comparisons
from ngmm.effects.importance import importance
from ngmm.effects.means import means
from ngmm.effects.partial import partial
from ngmm.effects.slopes import slopes

__all__ = ["comparisons", "importance", "means", "partial", "slopes"]
