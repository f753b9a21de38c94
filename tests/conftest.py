"""Settings of every test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from hypothesis import settings

# The first example of a property compiles, the others do not: no deadline fits both.
settings.register_profile("ngmm", deadline=None)
settings.load_profile("ngmm")


def pytest_configure(config: pytest.Config) -> None:
    """Let the processes of a run share what they compile: a sixth of the time."""
    if hasattr(config, "workerinput"):
        return
    folder = tempfile.mkdtemp(prefix="ngmm-compiled-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    # Workers read these when they import jax, which this process has done already.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(autouse=True, scope="module")
def few_memory_maps() -> Iterator[None]:
    """Forget compiled programs before Linux runs out of memory maps for them.

    Every program of XLA takes some; a process may have 65,530, and crashes beyond.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > 20_000:
        jax.clear_caches()
