"""`python -m tap_clarity.page` is `clarity-page`."""

import sys

from tap_clarity.page.cli import main

if __name__ == "__main__":
    sys.exit(main())
