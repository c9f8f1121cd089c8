"""Run the sandbox from a clone: `python3 -m tap_clarity.sandbox`."""

from __future__ import annotations

import sys

from tap_clarity.sandbox.cli import main

if __name__ == "__main__":
    sys.exit(main())
