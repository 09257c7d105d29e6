"""Copies what an embedded platform must not lose into one file, and makes a platform of it again.

That is the SQLite database, Letta's Postgres database and the generated secrets. A database that
DATABASE_URL or LETTA_BASE_URL names is backed up with its own tools.
"""

import gzip
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError

from chat_platform.database.engine import knows_schema
from chat_platform.launcher import postgres
from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.free_ports import free_port
from chat_platform.launcher.letta import peer as letta
from chat_platform.launcher.places import Places, places_of
from chat_platform.launcher.postgres import ROLE, Postgres
from chat_platform.launcher.processes import Running
from chat_platform.launcher.status import read_status
from chat_platform.launcher.unprivileged import choose_folder, choose_user
from chat_platform.launcher.up import make_data_dir, only_launcher
from chat_platform.settings import Settings, load_settings

FORMAT = 1
_FILES = ("manifest.json", "secrets.env", "platform.db", "letta.dump")
_MANIFEST, _SECRETS, _PLATFORM, _LETTA = _FILES
_WAIT_SECONDS = 30.0
_PIECE_BYTES = 1 << 20


class Manifest(BaseModel):
    """Which release the backup is of."""

    format: int
    made_at: str
    """In UTC, ISO 8601."""
    letta: str = letta.VERSION
    revision: str = ""
    """The ledger's schema; empty if the ledger is elsewhere."""


def back_up(settings: Settings, file: Path) -> list[str]:
    """Write the backup, also while the platform runs; return what it lacks, a line for each.

    Raises LaunchFailed. The ledger is copied first: an agent that it knows is then in the copy of
    Letta's database, too.
    """
    os.umask(0o077)
    places = places_of(settings)
    if file.exists():
        raise LaunchFailed(f"{file} exists.", way_out="Name another file.")
    lacks = _not_ours(settings)
    if len(lacks) == 2:
        raise LaunchFailed("Nothing here is embedded.", way_out="\n".join(lacks))
    with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".backup-") as made:
        _copy_all(settings, places, Path(made))
        part = Path(made) / "tar"
        with tarfile.open(part, "w:gz") as archive:
            for name in _FILES:
                if (Path(made) / name).exists():
                    archive.add(Path(made) / name, name)
        part.replace(file)
    return lacks


def restore(settings: Settings, file: Path) -> None:
    """Make a platform of the backup, in a DATA_DIR that holds none. Raises LaunchFailed."""
    os.umask(0o077)
    places = places_of(settings)
    make_data_dir(places)
    with only_launcher(places), _unpacked(settings, file, places) as found:
        (found / _SECRETS).replace(places.data_dir / _SECRETS)
        if (found / _LETTA).exists():
            # With the secrets of the backup, one of which is the database's password.
            with _running(load_settings(), places) as server:
                postgres.ensure_database(server, letta.DATABASE)
                _load(server, found / _LETTA)
        if (found / _PLATFORM).exists():
            (found / _PLATFORM).replace(places.data_dir / _PLATFORM)


def _not_ours(settings: Settings) -> list[str]:
    lacks: list[str] = []
    if settings.database_url.get_secret_value():
        lacks.append("The database of DATABASE_URL is not in it: back it up with pg_dump.")
    if settings.letta_base_url:
        lacks.append("The agent server of LETTA_BASE_URL is not in it: back up its database.")
    return lacks


def _copy_all(settings: Settings, places: Places, target: Path) -> None:
    revision = ""
    if not settings.database_url.get_secret_value():
        revision = _copy_ledger(places.data_dir / _PLATFORM, target / _PLATFORM)
    if not settings.letta_base_url:
        with _reached(settings, places) as server:
            _dump(server, target / _LETTA)
    secrets = places.data_dir / _SECRETS
    (target / _SECRETS).write_bytes(secrets.read_bytes() if secrets.exists() else b"")
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(format=FORMAT, made_at=made_at, revision=revision)
    (target / _MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")


def _copy_ledger(source: Path, target: Path) -> str:
    """Copy the database as it is at one moment; return its schema's revision."""
    if not source.exists():
        raise _nothing_to_save(source.parent)
    with closing(sqlite3.connect(source, timeout=_WAIT_SECONDS)) as database:
        database.execute("vacuum into ?", [str(target)])
    with closing(sqlite3.connect(target)) as copy:
        [(revision,)] = copy.execute("select version_num from alembic_version")
    return revision


@contextmanager
def _reached(settings: Settings, places: Places) -> Iterator[Postgres]:
    """Yield the server of Letta's database: the running one, or one that is started for this."""
    status = read_status(places)
    if status["state"] == "not running":
        with only_launcher(places), _running(settings, places, must_exist=True) as server:
            yield server
        return
    if "postgres" not in status["peers"]:
        raise LaunchFailed(
            "The platform is starting.", way_out="Wait until `chat-platform status` says ready."
        )
    port = int(status["peers"]["postgres"]["url"].rpartition(":")[2])
    yield _prepared(settings, places, port)


@contextmanager
def _running(settings: Settings, places: Places, *, must_exist: bool = False) -> Iterator[Postgres]:
    if must_exist and not _cluster(places).exists():
        raise _nothing_to_save(places.data_dir)
    server = _prepared(settings, places, free_port())
    running = Running(server.program(places.logs / "postgres.log"), places.records)
    try:
        postgres.wait_until_ready(server, running)
        yield server
    finally:
        running.stop()


def _prepared(settings: Settings, places: Places, port: int) -> Postgres:
    password = settings.letta_database_password.get_secret_value()
    folder = choose_folder(places.data_dir, choose_user())
    return postgres.prepare(folder, password=password, port=port)


def _cluster(places: Places) -> Path:
    return choose_folder(places.data_dir, choose_user()) / "pgdata"


def _dump(server: Postgres, target: Path) -> None:
    _run(server, "pg_dump", "-Fc", "--no-owner", "--no-privileges", "-f", str(target))


def _load(server: Postgres, source: Path) -> None:
    _run(server, "pg_restore", "--exit-on-error", "--no-owner", "--no-privileges", str(source))


def _run(server: Postgres, program: str, *arguments: str) -> None:
    """Run one of Postgres's programs on Letta's database. Raises LaunchFailed."""
    done = subprocess.run(
        [
            *(str(server.programs / program), "-h", "127.0.0.1", "-p", str(server.port)),
            *("-U", ROLE, "-d", letta.DATABASE, *arguments),
        ],
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PGPASSWORD": server.password},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LaunchFailed(f"{program} failed.", way_out=done.stderr.strip()[-2000:])


@contextmanager
def _unpacked(settings: Settings, file: Path, places: Places) -> Iterator[Path]:
    """Yield a folder in DATA_DIR with the backup's files; what is left of it, no start accepts."""
    target = places.restoring
    if target.exists():
        _remove_unfinished(places)
    elif (places.data_dir / _PLATFORM).exists() or _cluster(places).exists():
        raise LaunchFailed(
            f"{places.data_dir} holds a platform.",
            way_out="Set DATA_DIR to an empty folder, or move that one away.",
        )
    target.mkdir()
    try:
        _unpack(file, target)
        _check(_manifest_of(target, file))
        _check_used(settings, target)
    except BaseException:
        shutil.rmtree(target)
        raise
    yield target
    shutil.rmtree(target)


def _remove_unfinished(places: Places) -> None:
    shutil.rmtree(_cluster(places), ignore_errors=True)
    (places.data_dir / _PLATFORM).unlink(missing_ok=True)
    shutil.rmtree(places.restoring)


def _unpack(file: Path, target: Path) -> None:
    """Write the files of a backup, and nothing else that an archive may contain."""
    try:
        with gzip.open(file) as packed:
            with tarfile.open(fileobj=packed, mode="r|") as archive:
                for member in archive:
                    _extract(archive, member, target)
            # To the end, where the checksum is.
            while packed.read(_PIECE_BYTES):
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise _no_backup(file) from exc


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = archive.extractfile(member)
    if content and member.name in _FILES:
        with (target / member.name).open("wb") as copy:
            shutil.copyfileobj(content, copy)


def _manifest_of(folder: Path, file: Path) -> Manifest:
    try:
        return Manifest.model_validate_json((folder / _MANIFEST).read_bytes())
    except (FileNotFoundError, ValidationError) as exc:
        raise _no_backup(file) from exc


def _check(manifest: Manifest) -> None:
    is_newer = manifest.format > FORMAT or manifest.letta != letta.VERSION
    if is_newer or (manifest.revision and not knows_schema(manifest.revision)):
        raise LaunchFailed(
            "The backup comes from another release.", way_out="Install that release, then restore."
        )


def _check_used(settings: Settings, found: Path) -> None:
    """Refuse what the settings would leave unused: it would look restored, and be lost."""
    for name, file, is_elsewhere in (
        ("DATABASE_URL", _PLATFORM, settings.database_url.get_secret_value()),
        ("LETTA_BASE_URL", _LETTA, settings.letta_base_url),
    ):
        if is_elsewhere and (found / file).exists():
            raise LaunchFailed(
                f"The backup has a database of its own, and {name} names another.",
                way_out=f"Unset {name}, then restore.",
            )


def _nothing_to_save(data_dir: Path) -> LaunchFailed:
    return LaunchFailed(
        f"There is no platform in {data_dir}.", way_out="Set DATA_DIR to the platform's folder."
    )


def _no_backup(file: Path) -> LaunchFailed:
    return LaunchFailed(
        f"{file} is not a complete backup.",
        way_out="Name a file that `chat-platform backup` wrote.",
    )
