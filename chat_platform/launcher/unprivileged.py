"""Chooses the user for programs that refuse to run as root, and a folder for that user."""

import os
import pwd
import secrets
import stat
import subprocess
from pathlib import Path

from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.processes import OsUser

_CANDIDATES = ("postgres", "nobody")
SHARED = Path("/var/lib/chat-platform")
OWNER = "belongs-to"
"""A file that names the DATA_DIR to which this folder belongs."""


def choose_user() -> OsUser | None:
    """Return the user to run such a program as, or None if we are an ordinary user."""
    if os.geteuid() != 0:
        return None
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return OsUser(name, entry.pw_uid, entry.pw_gid)
    raise LaunchFailed(
        "Postgres refuses to run as root, and this machine has no other user for it.",
        way_out="Start as an ordinary user, or add one: useradd --system postgres",
    )


def choose_folder(data_dir: Path, user: OsUser | None) -> Path:
    """Return a folder that the user can write to: in DATA_DIR, if the user can reach it.

    A clone that others can't read (below /root, say) gets a folder in /var/lib/chat-platform,
    and DATA_DIR notes which one.
    """
    note = data_dir / "postgres-folder"
    if note.exists():
        return _noted_folder(Path(note.read_text().strip()), data_dir)
    inside = data_dir / "postgres"
    inside.mkdir(parents=True, exist_ok=True)
    give(inside, user)
    if user is None or can(user, "-w", inside):
        return inside
    inside.rmdir()
    folder = SHARED / secrets.token_hex(6)
    _make_shared(folder, user)
    (folder / OWNER).write_text(str(data_dir.absolute()))
    note.write_text(str(folder))
    return folder


def give(folder: Path, user: OsUser | None) -> None:
    """Make the folder the user's own, private to them."""
    if user:
        os.chown(folder, user.uid, user.gid)
    folder.chmod(0o700)


def make_enterable(folder: Path) -> None:
    """Create a folder, with missing parents, that everybody can enter, whatever our umask is."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(exist_ok=True)
        place.chmod(0o755)


def open_to_readers(tree: Path) -> None:
    """Let everybody read the tree and run its programs, as far as its parent folders allow."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            is_program = path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if is_program or path.is_dir() else 0o644)


def can(user: OsUser | None, test: str, path: Path) -> bool:
    """Return whether `test -r|-w|-x path` succeeds for the user, parent folders included."""
    if user is None:
        return os.access(path, {"-r": os.R_OK, "-w": os.W_OK, "-x": os.X_OK}[test])
    answer = subprocess.run(
        ["test", test, str(path)],
        cwd="/",
        user=user.uid,
        group=user.gid,
        extra_groups=[],
        check=False,
    )
    return answer.returncode == 0


def _make_shared(folder: Path, user: OsUser) -> None:
    try:
        folder.mkdir(parents=True)
        SHARED.chmod(0o755)
        give(folder, user)
    except OSError as exc:
        raise LaunchFailed(
            f"The user {user.name} can't reach {folder.name}: {exc}.",
            way_out="Set DATA_DIR to a folder that others may enter, such as /srv/chat-platform.",
        ) from exc


def _noted_folder(folder: Path, data_dir: Path) -> Path:
    """Follow the note, unless DATA_DIR is a copy: two clones must not share one database."""
    owner = folder / OWNER
    if not owner.exists():
        raise LaunchFailed(
            f"{folder}, which held the agents' database, is gone.",
            way_out=f"Restore it, or delete {data_dir} to start over.",
        )
    before, now = Path(owner.read_text()), data_dir.absolute()
    if before != now:
        if (before / "postgres-folder").exists():
            raise LaunchFailed(
                f"{data_dir} is a copy of {before}: both would share one agent database.",
                way_out=f"Use {before}, or delete {data_dir} to start over.",
            )
        owner.write_text(str(now))
    return folder
