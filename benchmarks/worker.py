"""One task in a process of its own, so that memory and first calls are its own.

python worker.py prepare PROBLEM CSV             write the data
python worker.py measure PROBLEM CSV ADAPTER N   print a measurement as JSON
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from adapters import ADAPTERS
from problems import PROBLEMS


def main(arguments: list[str]) -> None:
    """Do the task that the arguments name."""
    task, problem, csv, *rest = arguments
    if task == "prepare":
        PROBLEMS[problem].data().to_csv(csv, index=False)
        return
    adapter, repeats = rest
    measurement = ADAPTERS[adapter](PROBLEMS[problem], Path(csv), int(repeats))
    print(json.dumps(dataclasses.asdict(measurement)))


if __name__ == "__main__":
    main(sys.argv[1:])
