"""The example workflow for GitHub: its content, and its last step run as GitHub runs it."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = ROOT / ".github" / "workflows" / "elt-example.yml"
TEXT = FILE.read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
TRIGGERS: dict[str, Any] = WORKFLOW[True]  # YAML's word for "on"
(JOB,) = WORKFLOW["jobs"].values()
LOAD: dict[str, Any] = JOB["steps"][-1]
EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")


def run_load(
    folder: Path, tools: Path, given: Mapping[str, str], more: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the last step in a working copy, with what GitHub keeps, and some more variables."""
    variables = {
        name: EXPRESSION.sub(lambda found: given[found[1]], str(value))
        for name, value in (JOB["env"] | LOAD["env"]).items()
    }
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/bash", "-e", "-c", LOAD["run"]],
        cwd=folder,
        env={"HOME": str(folder), "PATH": path} | variables | more,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
