"""Installs `.venv` with the Python of the machine, and runs the rest of the demo in it."""

from __future__ import annotations

import subprocess
import sys

from tap_clarity.demo import venv
from tap_clarity.demo.steps import ROOT, StepError

_INTERRUPTED = 130


def main() -> int:
    print("tap-clarity demo. The data is invented, so no key is needed.")
    if not venv.VENV.exists():
        print("The first run installs things and takes a minute or two.")
    print(flush=True)
    try:
        venv.prepare("Meltano and the tap", "--inexact", "--no-dev", "--group=demo")
        return subprocess.run(
            [venv.BIN / "python", "-m", "tap_clarity.demo.run"],
            cwd=ROOT,
            env=venv.clean_environment(),
            check=False,
        ).returncode
    except StepError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return _INTERRUPTED
