"""Fits as data frames with broom.mixed's columns, and side by side in one table."""

from ngmm.broom.augment import augment
from ngmm.broom.glance import glance
from ngmm.broom.side_by_side import SideBySide, side_by_side
from ngmm.broom.tidy import tidy

__all__ = ["SideBySide", "augment", "glance", "side_by_side", "tidy"]
