"""`.venv` in the clone, as uv.lock says. Standard library only: nothing is installed before it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib

from tap_clarity.demo.steps import ROOT, StepError, step

VENV = ROOT / ".venv"
BIN = VENV / "bin"
_LOG = ROOT / "output" / "setup.log"
_LOCK = ROOT / "uv.lock"


def prepare(what: str, *sync_options: str) -> None:
    """Install `what`; nothing happens, and nothing is said, when it is there already."""
    if not _LOCK.is_file():
        raise StepError("This runs in a clone of the repository, where uv.lock is.")
    fits = _fits()
    stamp = VENV / ".installed" / "-".join(sync_options or ["everything"]).strip("-")
    wanted = _fingerprint()
    if fits and stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    _LOG.unlink(missing_ok=True)
    if not fits:
        _create()
    step(
        f"Installing {what}",
        [BIN / "uv", "sync", "--locked", "--python", BIN / "python", *sync_options],
        _LOG,
        _uv_environment(),
    )
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted, encoding="utf-8")


def clean_environment() -> dict[str, str]:
    """This process's environment without what would lead uv or Meltano elsewhere."""
    stray = ("MELTANO_", "PYTHONHOME", "TAP_", "TARGET_", "UV_PROJECT", "UV_PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(stray)}
    quiet = {"NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return kept | quiet | {"UV_PYTHON_DOWNLOADS": "never"}


def _uv_environment() -> dict[str, str]:
    return clean_environment() | {"UV_PROJECT_ENVIRONMENT": str(VENV)}


def _fits() -> bool:
    """Whether .venv is of this very Python version and has its uv."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [BIN / "python", "-c", code], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    version = f"{sys.version_info[0]} {sys.version_info[1]}"
    return done.stdout.strip() == version and (BIN / "uv").is_file()


def _create() -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    step(
        f"Making .venv with Python {version}",
        [sys.executable, "-m", "venv", "--clear", VENV],
        _LOG,
        clean_environment(),
    )
    step(
        "Installing uv into it",
        [BIN / "python", "-m", "pip", "install", "--no-input", f"uv=={_locked_uv()}"],
        _LOG,
        clean_environment(),
    )


def _locked_uv() -> str:
    packages = tomllib.loads(_LOCK.read_text(encoding="utf-8"))["package"]
    version: str = next(package["version"] for package in packages if package["name"] == "uv")
    return version


def _fingerprint() -> str:
    read = hashlib.sha256()
    for path in (_LOCK, ROOT / "pyproject.toml"):
        read.update(path.read_bytes())
    return read.hexdigest()
