"""The command line: `python -m ngmm`."""

from ngmm.command_line.main import main as main
