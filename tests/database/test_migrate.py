"""Migrations build what the models describe, also when many processes migrate at once."""

import asyncio
import sys
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from sqlalchemy.engine import make_url

from alembic import command
from chat_platform.database.engine import NotUtf8, Unreachable, migrate, sync_url
from chat_platform.launcher.postgres import Postgres

_ALEMBIC = Path(__file__).resolve().parents[2] / "alembic"
_MIGRATE = "import asyncio, sys; from chat_platform.database.engine import migrate;"
_MIGRATE += " sys.stdin.read(); asyncio.run(migrate(sys.argv[1]))"


async def _migrate_five_times(url: str) -> list[bytes]:
    """Return what went wrong in each process."""
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _MIGRATE, url),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(5)
    ]
    ended = await asyncio.gather(*(process.communicate(b"") for process in processes))
    return [
        error for process, (_, error) in zip(processes, ended, strict=True) if process.returncode
    ]


def test_a_migrated_database_has_what_the_models_describe(database_url: str):
    config = Config()
    config.set_main_option("script_location", str(_ALEMBIC))
    config.set_main_option("sqlalchemy.url", sync_url(database_url).replace("%", "%%"))

    command.check(config)


@pytest.mark.slow
async def test_five_processes_migrate_a_fresh_postgres_at_once(postgres_server: Postgres):
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("create database migrated_at_once")

    assert await _migrate_five_times(postgres_server.url("migrated_at_once")) == []


@pytest.mark.slow
async def test_five_processes_migrate_a_fresh_file_at_once(tmp_path: Path):
    assert await _migrate_five_times(f"sqlite+aiosqlite:///{tmp_path}/platform.db") == []


def test_a_database_in_another_encoding_is_refused(postgres_server: Postgres):
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(
            "create database plain encoding 'SQL_ASCII' locale 'C' template template0"
        )

    with pytest.raises(NotUtf8, match="encoding is SQL_ASCII"):
        asyncio.run(migrate(async_url(postgres_server, "plain")))


def test_a_database_that_does_not_let_us_in_is_told_without_the_password(
    postgres_server: Postgres,
):
    url = make_url(async_url(postgres_server, "postgres")).set(password="a-wrong-password")

    with pytest.raises(Unreachable, match="password authentication failed") as raised:
        asyncio.run(migrate(url.render_as_string(hide_password=False)))

    assert "a-wrong-password" not in str(raised.value)


def async_url(server: Postgres, database: str) -> str:
    return server.url(database).replace("postgresql:", "postgresql+psycopg:")
