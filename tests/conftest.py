"""Settings of every test."""

from __future__ import annotations

from hypothesis import settings

# The first example of a property compiles, the others do not: no deadline fits both.
settings.register_profile("ngmm", deadline=None)
settings.load_profile("ngmm")
