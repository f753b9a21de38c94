"""What is compiled, how often, and what a fit leaves behind in jax."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import ngmm
from ngmm.likelihood.maximise import eliminate_at, maximise, profile_at
from tests.engine.structures import frame

COMPILATION = "/jax/core/compile/backend_compile_duration"


class Counter:
    """Counts compilations while it is on; jax has no public way to remove one."""

    def __init__(self) -> None:
        self.on, self.n = False, 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **_: object) -> None:
        assert duration_secs >= 0.0
        self.n += self.on and event == COMPILATION


@pytest.fixture(scope="module")
def counter() -> Counter:
    return Counter()


@pytest.fixture
def compilations(counter: Counter) -> Iterator[Counter]:
    counter.on, counter.n = True, 0
    yield counter
    counter.on = False


def programs() -> int:
    return sum(f.cache_size() for f in (maximise, profile_at, eliminate_at))


def everything(fit: ngmm.MixedModelFit) -> None:
    """All that a fit can be asked for."""
    str(fit.summary())
    fit.ranef(cond_sd=True)
    fit.predict(se=True)
    fit.conf_int()


def test_the_counter_counts(compilations: Counter) -> None:
    jax.jit(lambda x: x * 3.25 + 17)(jnp.arange(11.0))
    assert compilations.n >= 1


@pytest.mark.parametrize(
    ("formula", "reml"),
    [
        ("y ~ x + (1 + x | g)", False),
        ("y ~ x + (1 | g) + (1 | h)", True),
        ("y ~ x + (1 | a/b)", False),
    ],
)
def test_other_values_of_the_same_shape_compile_nothing(
    formula: str, reml: bool, compilations: Counter
) -> None:
    data = frame()
    everything(ngmm.fit(formula, data, reml=reml))
    before, compilations.n = programs(), 0
    rng = np.random.default_rng(4)
    other = data.assign(y=rng.normal(size=len(data)), x=rng.uniform(size=len(data)))
    everything(ngmm.fit(formula, other, reml=reml))
    assert programs() == before
    assert compilations.n == 0


def test_more_rows_in_the_same_groups_compile_nothing(compilations: Counter) -> None:
    data = frame()
    everything(ngmm.fit("y ~ x + (1 | g)", data))
    compilations.n = 0
    twice = pd.concat([data, data.assign(y=-data["y"])])
    everything(ngmm.fit("y ~ x + (1 | g)", twice))
    assert compilations.n == 0


def test_refit_compiles_nothing(compilations: Counter) -> None:
    fit = ngmm.fit("y ~ x + (1 + x | g)", frame())
    before, compilations.n = programs(), 0
    fit.refit(np.random.default_rng(1).normal(size=fit.nobs))
    assert programs() == before
    assert compilations.n == 0


def test_fit_and_summary_of_a_cold_layout_are_one_program(
    compilations: Counter,
) -> None:
    # A warm-up with another layout, for what jax compiles once in a process.
    everything(ngmm.fit("y ~ x + (1 | g)", frame()))
    before, compilations.n = programs(), 0
    fit = ngmm.fit("y ~ x * z * u + (1 + z || h)", frame())
    str(fit.summary())
    assert programs() == before + 1
    assert compilations.n == 1


COLD = """
import jax

settings = dict(jax.config.values)
count = 0


def listen(event, duration, **rest):
    global count
    count += event == "/jax/core/compile/backend_compile_duration"


jax.monitoring.register_event_duration_secs_listener(listen)
import ngmm

data = ngmm.datasets.load("sleepstudy")
print(ngmm.fit("Reaction ~ Days + (Days | Subject)", data).summary())
assert count <= 2, count
after = dict(jax.config.values)
assert after == settings, {k: v for k, v in after.items() if settings[k] != v}
assert jax.numpy.ones(1).dtype == "float32"
"""


def test_first_fit_of_a_process_compiles_at_most_two_programs() -> None:
    # One is the fit; the other asks XLA whether it knows an option.
    done = subprocess.run(
        [sys.executable, "-c", COLD], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Days" in done.stdout


def test_fit_leaves_the_precision_of_jax_alone() -> None:
    before = dict(jax.config.values)
    everything(ngmm.fit("y ~ x + (1 | g) + (1 | h)", frame()))
    assert dict(jax.config.values) == before
    assert not jax.config.values["jax_enable_x64"]
    assert jnp.ones(1).dtype == jnp.float32
    assert (jnp.arange(3) / 2).dtype == jnp.float32


def test_fit_is_double_precision_whatever_the_setting() -> None:
    data = frame()
    expected = ngmm.fit("y ~ x + (1 + x | g)", data).loglik
    with jax.enable_x64(True):
        assert ngmm.fit("y ~ x + (1 + x | g)", data).loglik == expected
    with jax.enable_x64(False):
        assert ngmm.fit("y ~ x + (1 + x | g)", data).loglik == expected
