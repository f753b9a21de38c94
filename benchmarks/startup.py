"""How long a user waits before the first result of a fresh process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

COMMANDS = {
    "import jax, pandas": ["-c", "import jax, pandas"],
    "import ngmm": ["-c", "import ngmm"],
    "import ngmm, and look at ngmm.fit": ["-c", "import ngmm; ngmm.fit"],
    "fit sleepstudy, print the summary": ["-m", "ngmm", "demo"],
}


@dataclass(frozen=True)
class Startup:
    """Seconds of each command, and the import of ngmm against its dependencies."""

    seconds: dict[str, float]

    @property
    def import_ratio(self) -> float:
        """Time of ``import ngmm`` as a multiple of ``import jax, pandas``."""
        return self.seconds["import ngmm"] / self.seconds["import jax, pandas"]


def measure_startup(repeats: int) -> Startup:
    """Median time of fresh processes, the commands in turn.

    One round more runs first: it writes the bytecode and fills the file cache.
    """
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(1 + repeats):
        for name, arguments in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL
            )
            seconds[name].append(time.perf_counter() - start)
    return Startup({name: statistics.median(s[1:]) for name, s in seconds.items()})
