"""`python -m tap_clarity` is `tap-clarity`."""

from tap_clarity.tap import TapClarity

if __name__ == "__main__":
    TapClarity.cli()
