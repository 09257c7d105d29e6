"""A backup is one file; what it is restored to has every row, secret and nothing else."""

import asyncio
import gzip
import io
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from chat_platform.cli import app
from chat_platform.database.engine import migrate
from chat_platform.launcher.free_ports import free_port
from chat_platform.launcher.postgres import ensure_database, prepare, wait_until_ready
from chat_platform.launcher.processes import Running
from chat_platform.launcher.unprivileged import choose_folder, choose_user
from chat_platform.settings import Settings
from tests.open_folder import new_open_folder

pytestmark = pytest.mark.programs

PASSWORD = "a-password-of-lettas-database"
MEMORY = ("likes 'jazz' \N{EM DASH} \N{SNOWMAN}", "[1,2,3]")


def run(data_dir: Path, *arguments: str | Path, **settings: str) -> Result:
    """Run an operator's command on a DATA_DIR, with these settings."""
    umask = os.umask(0o022)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name in Settings.model_fields:
                patch.delenv(name.upper(), raising=False)
            for name, value in {"DATA_DIR": str(data_dir), **settings}.items():
                patch.setenv(name, value)
            patch.chdir(data_dir.parent)
            return CliRunner().invoke(app, [str(argument) for argument in arguments])
    finally:
        os.umask(umask)


@contextmanager
def letta_database(data_dir: Path) -> Iterator[psycopg.Connection]:
    """The embedded database, started for a moment."""
    folder = choose_folder(data_dir, choose_user())
    server = prepare(folder, password=PASSWORD, port=free_port())
    running = Running(server.program(data_dir / "log"), data_dir / "run")
    try:
        wait_until_ready(server, running)
        ensure_database(server, "letta", extension="vector")
        with psycopg.connect(server.url("letta")) as connection:
            yield connection
    finally:
        running.stop()


@pytest.fixture(scope="module")
def platform_dir() -> Iterator[Path]:
    """A DATA_DIR as a platform leaves it when it stops; tests do not change it."""
    with new_open_folder() as above:
        data_dir = above / "data"
        data_dir.mkdir(mode=0o711)
        ledger = data_dir / "platform.db"
        asyncio.run(migrate(f"sqlite+aiosqlite:///{ledger}"))
        with closing(sqlite3.connect(ledger)) as database:
            database.execute("create table kept (words text)")
            database.execute("insert into kept values ('paid')")
            database.commit()
        (data_dir / "secrets.env").write_text(
            f"SECRET_KEY={'k' * 40}\nLETTA_DATABASE_PASSWORD={PASSWORD}\n"
        )
        with letta_database(data_dir) as database:
            database.execute("create table memories (words text, place vector(3))")
            database.execute("insert into memories values (%s, %s)", MEMORY)
        yield data_dir


@pytest.fixture(scope="module")
def saved(platform_dir: Path) -> Path:
    file = platform_dir.parent / "saved.tar.gz"
    done = run(platform_dir, "backup", file)
    assert done.exit_code == 0, done.stderr
    return file


def test_everything_is_in_a_restored_platform(platform_dir: Path, saved: Path, open_folder: Path):
    elsewhere = open_folder / "elsewhere"

    restored = run(elsewhere, "restore", saved)

    assert saved.stat().st_mode & 0o777 == 0o600
    assert restored.exit_code == 0, restored.stderr
    assert (elsewhere / "secrets.env").read_text() == (platform_dir / "secrets.env").read_text()
    with closing(sqlite3.connect(elsewhere / "platform.db")) as ledger:
        assert ledger.execute("select words from kept").fetchall() == [("paid",)]
    with letta_database(elsewhere) as database:
        assert database.execute("select words, place::text from memories").fetchall() == [MEMORY]
    assert not (elsewhere / "restoring").exists()
    assert list(saved.parent.glob(".backup-*")) == []


def test_a_backup_of_a_ledger_in_use_is_of_one_moment(
    platform_dir: Path, saved: Path, open_folder: Path
):
    file = open_folder / "saved.tar.gz"
    with closing(sqlite3.connect(platform_dir / "platform.db", isolation_level=None)) as ledger:
        ledger.execute("begin immediate")
        ledger.execute("insert into kept values ('not yet committed')")

        done = run(platform_dir, "backup", file)
        ledger.execute("rollback")

    assert done.exit_code == 0, done.stderr
    with tarfile.open(file) as archive:
        archive.extract("platform.db", open_folder)
    with closing(sqlite3.connect(open_folder / "platform.db")) as copy:
        assert copy.execute("select words from kept").fetchall() == [("paid",)]


def test_nothing_is_ever_overwritten(platform_dir: Path, saved: Path):
    before = saved.read_bytes()

    again, onto = run(platform_dir, "backup", saved), run(platform_dir, "restore", saved)

    assert (again.exit_code, onto.exit_code) == (1, 1)
    assert f"{saved} exists" in again.stderr
    assert f"{platform_dir} holds a platform" in onto.stderr
    assert saved.read_bytes() == before
    assert (platform_dir / "platform.db").exists()


@pytest.mark.parametrize("length", [0, 1, 100, 2000, -1])
def test_half_a_backup_is_refused_and_leaves_nothing(saved: Path, tmp_path: Path, length: int):
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(saved.read_bytes()[:length])

    refused = run(tmp_path / "data", "restore", cut)

    assert refused.exit_code == 1
    assert "is not a complete backup" in refused.stderr
    assert not (tmp_path / "data" / "restoring").exists()


def test_a_restore_that_was_killed_is_told_and_done_again(saved: Path, open_folder: Path):
    elsewhere = open_folder / "elsewhere"
    run(elsewhere, "restore", saved)
    # As it is after a kill between Letta's database and the ledger.
    (elsewhere / "restoring").mkdir()
    (elsewhere / "platform.db").unlink()

    started = run(elsewhere, "up", PORT=str(free_port()))
    again = run(elsewhere, "restore", saved)

    assert started.exit_code == 1
    assert "is not complete" in started.stderr
    assert again.exit_code == 0, again.stderr
    assert (elsewhere / "platform.db").exists()


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ('{"format": 2, "made_at": ""}', "from another release"),
        ('{"format": 1, "made_at": "", "letta": "0.17.0"}', "from another release"),
        ('{"format": 1, "made_at": "", "revision": "9999"}', "from another release"),
        ('{"format": "x"}', "is not a complete backup"),
        ("[]", "is not a complete backup"),
        ("", "is not a complete backup"),
    ],
)
def test_what_this_release_cannot_read_is_refused(tmp_path: Path, manifest: str, said: str):
    file = tmp_path / "file"
    _archive(file, {"manifest.json": manifest, "secrets.env": "SECRET_KEY=x"})

    refused = run(tmp_path / "data", "restore", file)

    assert refused.exit_code == 1
    assert said in refused.stderr
    assert not (tmp_path / "data" / "restoring").exists()


@pytest.mark.parametrize("setting", ["DATABASE_URL", "LETTA_BASE_URL"])
def test_a_database_that_would_not_be_used_is_not_restored(
    saved: Path, tmp_path: Path, setting: str
):
    urls = {"DATABASE_URL": "postgresql://x@127.0.0.1:1/x", "LETTA_BASE_URL": "http://127.0.0.1:1"}

    refused = run(tmp_path / "data", "restore", saved, **{setting: urls[setting]})

    assert refused.exit_code == 1
    assert f"Unset {setting}" in refused.stderr
    assert not (tmp_path / "data" / "restoring").exists()


def test_an_archive_writes_nowhere_else(tmp_path: Path):
    file = tmp_path / "file"
    names = ("../outside", "/tmp/chat-platform-outside", "secrets.env/../../outside", "run/x")
    _archive(file, dict.fromkeys(names, "evil") | {"manifest.json": "{}"})

    refused = run(tmp_path / "data", "restore", file)

    assert refused.exit_code == 1
    assert not (tmp_path / "outside").exists()
    assert not Path("/tmp/chat-platform-outside").exists()
    assert not (tmp_path / "data" / "run" / "x").exists()


def test_what_is_not_embedded_is_named(platform_dir: Path, tmp_path: Path):
    outside = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}

    partly = run(platform_dir, "backup", tmp_path / "1", **outside)
    letta = {"LETTA_BASE_URL": "http://127.0.0.1:1"}
    nothing = run(platform_dir, "backup", tmp_path / "2", **outside, **letta)

    assert partly.exit_code == 0, partly.stderr
    assert "DATABASE_URL is not in it" in partly.stdout
    assert nothing.exit_code == 1
    assert "LETTA_BASE_URL is not in it" in nothing.stderr
    assert not (tmp_path / "2").exists()


def test_a_folder_without_a_platform_has_nothing_to_save(tmp_path: Path):
    said = run(tmp_path / "data", "backup", tmp_path / "file")

    assert said.exit_code == 1
    assert "There is no platform in" in said.stderr
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("file", ["missing/file", "data"])
def test_a_file_that_cannot_be_is_one_clear_line(platform_dir: Path, tmp_path: Path, file: str):
    (tmp_path / "data").mkdir()

    for command in ("backup", "restore"):
        said = run(
            platform_dir if command == "backup" else tmp_path / "new", command, tmp_path / file
        )

        assert said.exit_code == 1
        assert said.stderr
        assert isinstance(said.exception, SystemExit)


def test_a_database_of_a_newer_release_is_refused_in_one_line(tmp_path: Path):
    run(tmp_path, "migrate")
    with closing(sqlite3.connect(tmp_path / "platform.db")) as ledger:
        ledger.execute("update alembic_version set version_num = '9999'")
        ledger.commit()

    said = run(tmp_path, "migrate")

    assert said.exit_code == 1
    assert "The database belongs to a newer release." in said.stderr


def _archive(file: Path, members: dict[str, str]) -> None:
    with gzip.open(file, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
