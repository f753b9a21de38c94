"""Settings of every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from hypothesis import settings

# The first example of a property compiles, the others do not: no deadline fits both.
settings.register_profile("ngmm", deadline=None)
settings.load_profile("ngmm")


@pytest.fixture(autouse=True, scope="module")
def few_memory_maps() -> Iterator[None]:
    """Forget compiled programs before Linux runs out of memory maps for them.

    Every program of XLA takes some; a process may have 65,530, and crashes beyond.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > 20_000:
        jax.clear_caches()
