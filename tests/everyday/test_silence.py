"""Nothing is printed or logged unless it is asked for; then it is under "ngmm"."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

import ngmm

# All that a quiet program may do, in a process of its own with a root logger that
# writes everything it is given.
QUIET = """
import logging, sys
import ngmm

data = ngmm.datasets.load("sleepstudy")
fit = ngmm.fit("Reaction ~ Days + (Days | Subject)", data)
fit.summary(), fit.predict(data), fit.check()
assert logging.getLogger("ngmm").handlers == []
assert logging.getLogger("ngmm").level == logging.NOTSET
"""


def test_import_and_fit_print_nothing() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def messages(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, str]]:
    return [r for r in caplog.record_tuples if r[0].split(".")[0] == "ngmm"]


def test_nothing_reaches_the_root_logger_as_it_is_by_default(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = ngmm.datasets.load("Dyestuff")
    # The root logger's own level: warnings and above.
    with caplog.at_level(logging.WARNING):
        ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
    assert caplog.record_tuples == []


def test_what_is_logged_when_asked(caplog: pytest.LogCaptureFixture) -> None:
    data = ngmm.datasets.load("Dyestuff")
    with caplog.at_level(logging.DEBUG, logger="ngmm"):
        fit = ngmm.fit("Yield ~ 1 + (1 | Batch)", data)
        fit.bootstrap(3)
    fitted, begins, *_, ends = messages(caplog)
    text = f"`Yield ~ 1 + (1 | Batch)`: {fit.estimate_text}, loglik {fit.loglik:.6f}"
    assert fitted == ("ngmm.api", logging.INFO, text)
    assert begins == ("ngmm.progress", logging.DEBUG, "bootstrap: begins")
    assert ends == ("ngmm.progress", logging.DEBUG, "bootstrap: ends")
