"""lme4 and glmmTMB in R, through Rscript."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from measurement import Measurement, peak_mb
from problems import Problem

SCRIPT = Path(__file__).with_name("r_fit.R")


def measure_lme4(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """Whole calls of ``lmer``, or of ``glmer`` with Laplace's approximation."""
    kind = "exact" if problem.family == "gaussian" else "laplace"
    return _measure("lme4", "lme4", problem, csv, repeats, 1, kind)


def measure_lme4_quadrature(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """Whole calls of ``glmer`` with adaptive nodes, for one random intercept."""
    name = "lme4-quadrature"
    if problem.nodes == 1:
        return Measurement(problem.name, name, "not possible")
    return _measure(name, "lme4", problem, csv, repeats, problem.nodes, "quadrature")


def measure_glmmtmb(problem: Problem, csv: Path, repeats: int) -> Measurement:
    """Whole calls of ``glmmTMB``, which uses Laplace's approximation."""
    kind = "exact" if problem.family == "gaussian" else "laplace"
    return _measure("glmmTMB", "glmmTMB", problem, csv, repeats, 1, kind)


def _measure(
    name: str,
    package: str,
    problem: Problem,
    csv: Path,
    repeats: int,
    nodes: int,
    kind: str,
) -> Measurement:
    rscript = shutil.which("Rscript")
    if rscript is None:
        return Measurement(problem.name, name, "not installed")
    arguments = (
        str(csv),
        problem.formula,
        ",".join(problem.factors),
        str(repeats),
        problem.family,
        str(nodes),
        package,
    )
    run = subprocess.run(
        [rscript, str(SCRIPT), *arguments], check=False, capture_output=True, text=True
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
        kind=kind,
    )
