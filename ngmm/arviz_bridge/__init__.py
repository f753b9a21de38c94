"""A fit as draws that arviz reads."""

from ngmm.arviz_bridge.export import to_arviz as to_arviz

__all__ = ["to_arviz"]
