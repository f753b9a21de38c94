"""What `python -m ngmm` runs."""

import sys

from ngmm.command_line import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
