"""Chooses who runs what refuses to run as root, and a folder where that user can work."""

import os
import pwd
import secrets
import subprocess
from pathlib import Path

from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.processes import OsUser

_CANDIDATES = ("postgres", "nobody")
_SHARED = Path("/var/lib/chat-platform")
_OWNER = "belongs-to"


def choose_user() -> OsUser | None:
    """Return the user to run such a program as, or None when we are an ordinary user already."""
    if os.geteuid() != 0:
        return None
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return OsUser(name, entry.pw_uid, entry.pw_gid)
    raise LaunchFailed(
        "Postgres refuses to run as root, and this machine has no user for it.",
        way_out="Start as an ordinary user, or add one: useradd --system postgres",
    )


def choose_folder(data_dir: Path, user: OsUser | None) -> Path:
    """Return the folder below which the user may write: in DATA_DIR where the user gets there.

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
    folder = _SHARED / secrets.token_hex(6)
    _make_shared(folder, user)
    (folder / _OWNER).write_text(str(data_dir.absolute()))
    note.write_text(str(folder))
    return folder


def give(folder: Path, user: OsUser | None) -> None:
    """Make the folder the user's own, closed to others."""
    if user:
        os.chown(folder, user.uid, user.gid)
    folder.chmod(0o700)


def can(user: OsUser | None, test: str, path: Path) -> bool:
    """Return whether the user passes `test -r|-w|-x path`: folders above count too."""
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
        _SHARED.chmod(0o755)
        give(folder, user)
    except OSError as exc:
        raise LaunchFailed(
            f"The user {user.name} can't reach {folder.name}: {exc}.",
            way_out="Set DATA_DIR to a folder that others may enter, such as /srv/chat-platform.",
        ) from exc


def _noted_folder(folder: Path, data_dir: Path) -> Path:
    """Follow the note, unless DATA_DIR is a copy: two clones must not share one database."""
    owner = folder / _OWNER
    if not owner.exists():
        raise LaunchFailed(
            f"{folder}, where the agents' database was, is gone.",
            way_out=f"Restore it, or delete {data_dir} to begin anew.",
        )
    before, now = Path(owner.read_text()), data_dir.absolute()
    if before != now:
        if (before / "postgres-folder").exists():
            raise LaunchFailed(
                f"{data_dir} is a copy of {before}: they share one database of agents.",
                way_out=f"Use {before}, or delete {data_dir} to begin anew.",
            )
        owner.write_text(str(now))
    return folder
