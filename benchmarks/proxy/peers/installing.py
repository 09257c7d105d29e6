"""Installs peers from package registries, each into a folder of its own below `.data/bench`.

A folder is named after its versions and reused; nothing is installed into the system.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uv import find_uv_bin

from benchmarks.proxy.peers.peer import Missing
from benchmarks.proxy.peers.processes import ROOT

STATE = ROOT / ".data" / "bench"
_MOST_SECONDS = 600


def python_environment(name: str, *requirements: str) -> Path:
    """Return a virtual environment with these requirements, or options of `pip install`."""
    with _folder(name, *requirements) as folder:
        if not _is_complete(folder):
            _run(find_uv_bin(), "venv", "-q", "-p", sys.executable, str(folder))
            python = str(folder / "bin" / "python")
            _run(find_uv_bin(), "pip", "install", "-q", "-p", python, *requirements)
    return folder


def npm_package(name: str, package: str, version: str) -> Path:
    """Return the folder of the installed package."""
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("npm is not installed")
    with _folder(name, package, version) as folder:
        if not _is_complete(folder):
            options = ("--no-audit", "--no-fund", "--silent", "--prefix", str(folder))
            _run(npm, "install", *options, f"{package}@{version}")
    return folder / "node_modules" / package


def debian_packages(name: str, *packages: str) -> Path:
    """Return a folder with the unpacked packages, of the versions that this Debian has."""
    apt_get = shutil.which("apt-get")
    if apt_get is None:
        raise Missing("Debian's packages are not to be had here")
    with _folder(name, *packages) as folder:
        if not _is_complete(folder):
            folder.mkdir()
            # Allowed to fail: without root, the lists that the machine has must do.
            subprocess.run([apt_get, "update", "-qq"], check=False, capture_output=True)
            _run(apt_get, "download", "-qq", *packages, folder=folder)
            for file in sorted(folder.glob("*.deb")):
                _run("dpkg", "-x", str(file), str(folder))
    return folder


@contextmanager
def _folder(name: str, *what: str) -> Iterator[Path]:
    """Yield an empty place to install to, or a complete installation."""
    folder = STATE / f"{name}-{hashlib.sha256(repr(what).encode()).hexdigest()[:8]}"
    if not _is_complete(folder):
        STATE.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    yield folder
    (folder / "complete").touch()


def _is_complete(folder: Path) -> bool:
    return (folder / "complete").exists()


def _run(*command: str, folder: Path = ROOT) -> None:
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=_MOST_SECONDS
        )
    except subprocess.CalledProcessError as failed:
        why = failed.stderr.strip()[-300:]
        raise Missing(f"{Path(command[0]).name} could not install it: {why}") from failed
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise Missing(f"{Path(command[0]).name} could not install it: {failed}") from failed
