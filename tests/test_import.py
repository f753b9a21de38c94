"""`import ngmm` is light and leaves the process as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import logging
import sys
import warnings

import jax
import pandas

def state():
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    return {
        "settings": dict(jax.config.values),
        "handlers": [h for log in loggers for h in getattr(log, "handlers", [])],
        "filters": list(warnings.filters),
        "hook": sys.excepthook,
    }

before = state()
modules = set(sys.modules)
import ngmm

ngmm.fit
after = state()
for key in before:
    assert before[key] == after[key], key
assert not jax.config.jax_enable_x64

from jax._src import xla_bridge

assert not xla_bridge._backends, "a device was started"

heavy = ("arviz", "formulaic", "matplotlib", "narwhals", "optax", "scipy.stats",
         "sklearn")
loaded = [name for name in heavy if name in sys.modules and name not in modules]
assert not loaded, loaded
"""
LIGHT = """
import sys
import ngmm

assert "jax" not in sys.modules and "pandas" not in sys.modules
assert set(ngmm.__all__) <= set(dir(ngmm))
"""


@pytest.mark.parametrize("probe", [PROBE, LIGHT], ids=["fit", "package"])
def test_import_changes_nothing_and_stays_light(probe: str) -> None:
    # A fresh process: this one has imported everything already.
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", probe],
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
    assert run.stderr == ""
