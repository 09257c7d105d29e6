"""Prepares the peers to run as another user, when the launcher runs as root.

Letta, LiteLLM and the demo model do not need root. They run as `nobody`: from folders that belong
to root and that they can only read, each with its own home to write to.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from chat_platform.launcher.places import Places
from chat_platform.launcher.processes import OsUser
from chat_platform.launcher.unprivileged import OWNER, SHARED, can, give, make_enterable

_NAME = "nobody"
_HOME = "home"
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_NEEDED = "import ctypes, sqlite3, ssl"


def reachable(places: Places) -> Places:
    """Return the places with a Python and a folder of environments that the peers' user can read.

    They are unchanged if we are an ordinary user, or if that user cannot run any Python on this
    machine: the peers then run as we do, and `chat-platform doctor` says so.
    """
    user = _user()
    if user is None or not (python := _python_for(user)):
        return places
    environments = places.environments
    if not _gets_to(user, environments):
        environments = SHARED / "env"
    return replace(places, python=python, environments=environments, peer_user=user)


def programs_folder(places: Places, name: str, *programs: Path) -> Path:
    """Create the peer's folder, with copies of the programs and a home in it.

    The peer can write only to its home: we write the rest as root, which must not be redirected
    by links.
    """
    folder = places.data_dir / name
    if places.peer_user and not _gets_to(places.peer_user, folder):
        digest = hashlib.sha256(str(places.data_dir).encode()).hexdigest()[:12]
        folder = SHARED / f"peers-{digest}" / name
        make_enterable(folder)
        put(folder.parent / OWNER, str(places.data_dir))
    make_enterable(folder)
    folder.chmod(0o755)
    for program in programs:
        put(folder / program.name, program.read_text())
    home_of(folder).mkdir(exist_ok=True)
    give(home_of(folder), places.peer_user)
    return folder


def home_of(folder: Path) -> Path:
    return folder / _HOME


def put(file: Path, text: str) -> None:
    """Write a file that the peer can read."""
    file.write_text(text)
    file.chmod(0o644)


def _user() -> OsUser | None:
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_NAME)
    except KeyError:
        return None
    return OsUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _python_for(user: OsUser) -> Path | None:
    return next((python for python in _pythons() if _can_run(user, python)), None)


def _pythons() -> Iterator[Path]:
    """Yield our own Python, which may be in root's private home, and the system's."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    yield Places.python
    if found := shutil.which(name, path=_SYSTEM_PATH):
        yield Path(found)


def _can_run(user: OsUser, python: Path) -> bool:
    try:
        done = subprocess.run(
            [str(python), "-c", _NEEDED],
            cwd="/",
            env={"PATH": _SYSTEM_PATH},
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def _gets_to(user: OsUser, folder: Path) -> bool:
    """Return whether the user can enter every folder above; we create the folder itself."""
    above = next(place for place in folder.parents if place.exists())
    return can(user, "-x", above)
