"""Fits as files: one file each, without code, checked before it is read."""

from __future__ import annotations

from ngmm.persistence.files import from_bytes, load, save, to_bytes

__all__ = ["from_bytes", "load", "save", "to_bytes"]
