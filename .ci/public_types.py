"""Every public symbol has a type that users' type checkers know."""

import json
import os
import subprocess
import sys
from pathlib import Path

# Classes of scikit-learn, which has no annotations.
WITHOUT = "ngmm.sklearn."

command = [str(Path(sys.executable).with_name("pyright")), "--outputjson"]
command += ["--pythonpath", sys.executable, "--verifytypes", "ngmm", "--ignoreexternal"]
# The package of this folder, not a stub of an installation that is editable.
around = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
report = subprocess.run(
    command, check=False, capture_output=True, text=True, env=around
).stdout
found = json.loads(report)["typeCompleteness"]["symbols"]
public = [symbol for symbol in found if symbol["isExported"]]
unknown = [
    symbol["name"]
    for symbol in public
    if (symbol["isTypeAmbiguous"] or not symbol["isTypeKnown"])
    and not symbol["name"].startswith(WITHOUT)
]
print(f"{len(public)} public symbols, without a known type: {unknown or 'none'}")
sys.exit(bool(unknown or not public))
