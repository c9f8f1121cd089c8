"""`python3 -m tap_clarity.demo`. Any Python 3 must be able to read this file."""

import sys

from tap_clarity.demo.machine import refusal

if __name__ == "__main__":
    reason = refusal((3, 11), (3, 13))
    if reason:
        sys.exit(reason)

    from tap_clarity.demo.start import main

    sys.exit(main())
