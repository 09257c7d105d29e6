"""The test run's own Postgres, with a fresh database for every test that needs one."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from chat_platform.database.engine import migrate
from chat_platform.launcher.postgres import Postgres, throwaway_postgres
from tests.people import Person
from tests.registered import Templates

_TEMPLATE = "migrated"
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2_000_000_000
_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    # Not pytest's own temporary folder: as root, Postgres's user could not enter it.
    folder = Path(tempfile.mkdtemp(prefix="chat-platform-postgres-", dir=_folder_in_memory()))
    try:
        with throwaway_postgres(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: Postgres) -> Postgres:
    """The server with one migrated database, from which every test's own is copied."""
    _execute(postgres_server, f"create database {_TEMPLATE}")
    asyncio.run(migrate(postgres_server.url(_TEMPLATE)))
    return postgres_server


@pytest.fixture(scope="session")
def postgres_templates(
    migrated_postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Templates:
    def copy(template: str | None) -> str:
        name = f"test_{next(_numbers)}"
        _execute(migrated_postgres, f"create database {name} template {template or _TEMPLATE}")
        return name

    return Templates(copy, migrated_postgres.url, tmp_path_factory.mktemp("postgres"))


@pytest.fixture
def postgres_url(
    migrated_postgres: Postgres,
    postgres_templates: Templates,
    request: pytest.FixtureRequest,
    registered: dict[str, Person],
) -> Iterator[str]:
    """The URL of a fresh, migrated database, which knows the test's people."""
    template = postgres_templates.template_for(request)
    registered.update(template.own_people())
    name = postgres_templates.copy(template.name)
    yield migrated_postgres.url(name)
    _execute(migrated_postgres, f"drop database {name} with (force)")


def _folder_in_memory() -> Path | None:
    """Return a folder in memory, if there is one with room.

    A database consists of 300 files: on some disks it takes half a second to create, there 0.03 s.
    """
    is_usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)
    return _MEMORY if is_usable and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES else None


def _execute(server: Postgres, statement: str) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(statement)  # pyright: ignore[reportArgumentType, reportCallIssue]
