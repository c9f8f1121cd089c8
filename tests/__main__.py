"""`python3 -m tests [PYTEST ARGUMENTS]`. Any Python 3 must be able to read this file."""

import sys

from tap_clarity.demo.machine import refusal

if __name__ == "__main__":
    reason = refusal((3, 11), (3, 14))
    if reason:
        sys.exit(reason)

    from tests.checks import main

    sys.exit(main(sys.argv[1:]))
