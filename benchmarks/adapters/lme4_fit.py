"""lme4 and glmmTMB in R, through Rscript."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from measurement import Measurement, peak_mb
from problems import Problem

SCRIPT = Path(__file__).with_name("lme4_fit.R")


def measure_lme4(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """Whole calls of ``lmer`` or ``glmer`` with their default optimisers."""
    return _measure("lme4", problem, csv, repeats)


def measure_glmmtmb(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """Whole calls of ``glmmTMB``, which uses Laplace's approximation."""
    return _measure("glmmTMB", problem, csv, repeats)


def _measure(name: str, problem: Problem, csv: Path, repeats: int) -> Measurement:
    rscript = shutil.which("Rscript")
    if rscript is None:
        return Measurement(problem.name, name, "not installed")
    factors = ",".join(problem.factors)
    run = subprocess.run(
        [
            rscript,
            str(SCRIPT),
            str(csv),
            problem.formula,
            factors,
            str(repeats),
            problem.family,
            str(problem.nodes),
            name,
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if run.returncode != 0:
        reason = (run.stderr.strip() or "no message").splitlines()[-1]
        return Measurement(problem.name, name, f"failed: {reason}")
    result = json.loads(run.stdout.splitlines()[-1])
    if result["status"] != "ok":
        return Measurement(problem.name, name, result["status"])
    return Measurement(
        problem=problem.name,
        adapter=name,
        status="ok",
        version=result["version"],
        first=result["seconds"][0],
        later=tuple(result["seconds"][1:]),
        loglik=result["loglik"],
        peak_mb=peak_mb(of_children=True),
    )
