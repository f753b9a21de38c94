"""The other programs: which are installed, in what version, how to get the others."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

# Distribution -> module; of R the names are those of packages.
PYTHON = {
    "mixedlm": "mixedlm",
    "statsmodels": "statsmodels",
    "gpboost": "gpboost",
    "catboost": "catboost",
    "scikit-learn": "sklearn",
    "matplotlib": "matplotlib",
}
R = ("lme4", "glmmTMB", "mgcv")


@dataclass(frozen=True)
class Peer:
    """A program: its version, None if it is missing, and how to install it."""

    name: str
    version: str | None
    install: str

    def __str__(self) -> str:
        """Name and version, or that it is missing."""
        return f"{self.name} {self.version or 'missing'}"


def probe() -> Mapping[str, Peer]:
    """All of them by name; nothing is imported."""
    found = {name: _python(name) for name in PYTHON}
    return {**_r(), **found}


def _python(name: str) -> Peer:
    try:
        known = version(name) if find_spec(PYTHON[name]) else None
    except (ImportError, PackageNotFoundError):
        known = None
    return Peer(name, known, f"pip install {name}")


def _r() -> dict[str, Peer]:
    """Versions of packages of R, all by one process."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        how = "install R, then Rscript -e 'install.packages(\"{}\")'"
        return {name: Peer(name, None, how.format(name)) for name in R}
    asked = ", ".join(f'"{name}"' for name in R)
    code = (
        f"for (p in c({asked})) cat(p, if (nzchar(system.file(package = p))) "
        'as.character(packageVersion(p)) else "", "\\n")'
    )
    run = subprocess.run(
        [rscript, "-e", code], check=False, capture_output=True, text=True
    )
    versions = dict(
        line.split()[:2] for line in run.stdout.splitlines() if len(line.split()) > 1
    )
    how = "Rscript -e 'install.packages(\"{}\")'"
    return {name: Peer(name, versions.get(name), how.format(name)) for name in R}
