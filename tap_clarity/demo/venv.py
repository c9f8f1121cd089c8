"""Installs `.venv` in the clone from uv.lock, with the standard library only."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tomllib

from tap_clarity.demo.steps import ROOT, StepError, run_step

VENV = ROOT / ".venv"
BIN = VENV / "bin"
_LOG = ROOT / "output" / "setup.log"
_LOCK = ROOT / "uv.lock"


def prepare(title: str, *sync_options: str) -> None:
    """Install the locked packages; does and prints nothing if they are installed already."""
    if not _LOCK.is_file():
        raise StepError("This runs in a clone of the repository, where uv.lock is.")
    is_usable = _is_usable()
    stamp = VENV / ".installed" / "-".join(sync_options or ["everything"]).strip("-")
    fingerprint = _fingerprint()
    if is_usable and stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint:
        return
    _LOG.unlink(missing_ok=True)
    if not is_usable:
        _create_venv()
    run_step(
        f"Installing {title}",
        [BIN / "uv", "sync", "--locked", "--python", BIN / "python", *sync_options],
        _LOG,
        _uv_environment(),
    )
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(fingerprint, encoding="utf-8")


def clean_environment() -> dict[str, str]:
    """This process's environment without the variables that redirect uv or Meltano."""
    unset = ("MELTANO_", "PYTHONHOME", "TAP_", "TARGET_", "UV_PROJECT", "UV_PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    quiet = {"NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return kept | quiet | {"UV_PYTHON_DOWNLOADS": "never"}


def _uv_environment() -> dict[str, str]:
    return clean_environment() | {"UV_PROJECT_ENVIRONMENT": str(VENV)}


def _is_usable() -> bool:
    """Whether .venv has the running Python version and uv."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [BIN / "python", "-c", code], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    version = f"{sys.version_info[0]} {sys.version_info[1]}"
    return done.stdout.strip() == version and (BIN / "uv").is_file()


def _create_venv() -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    run_step(
        f"Making .venv with Python {version}",
        [sys.executable, "-m", "venv", "--clear", VENV],
        _LOG,
        clean_environment(),
    )
    run_step(
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
    digest = hashlib.sha256()
    for path in (_LOCK, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()
