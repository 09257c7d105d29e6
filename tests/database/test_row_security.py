"""On Supabase's Postgres our tables cannot be read with the key that browsers have."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlmodel import SQLModel

from chat_platform.database.engine import migrate
from chat_platform.database.row_security import PUBLIC_ROLES
from chat_platform.launcher.postgres import Postgres

DATABASE = "like_supabase"


@pytest.fixture
async def supabase_like(postgres_server: Postgres) -> str:
    """A migrated database whose public roles had been granted everything, as on Supabase."""
    with psycopg.connect(postgres_server.url(), autocommit=True) as admin:
        admin.execute(f"drop database if exists {DATABASE} with (force)".encode())
        admin.execute(f"create database {DATABASE}".encode())
        for role in PUBLIC_ROLES:
            admin.execute(f"drop role if exists {role}".encode())
            admin.execute(f"create role {role} nologin".encode())
    url = postgres_server.url(DATABASE)
    with psycopg.connect(url, autocommit=True) as database:
        for role in PUBLIC_ROLES:
            database.execute(f"grant usage on schema public to {role}".encode())
            for kind in ("tables", "sequences"):
                grant = f"grant all on {kind} to {role}"
                database.execute(f"alter default privileges in schema public {grant}".encode())
    await migrate(url)
    return url


@pytest.fixture
def connection(supabase_like: str, postgres_server: Postgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(supabase_like, autocommit=True) as connection:
        yield connection
        for role in PUBLIC_ROLES:
            connection.execute(f"drop owned by {role}".encode())
            connection.execute(f"drop role {role}".encode())


TABLES = [*SQLModel.metadata.tables, "alembic_version"]


async def test_every_table_has_row_level_security(connection: psycopg.Connection):
    query = "select relname from pg_class where relkind = 'r' and relrowsecurity"

    secured = {name for (name,) in connection.execute(query)}

    assert set(TABLES) <= secured


@pytest.mark.parametrize("role", PUBLIC_ROLES)
async def test_the_public_roles_read_and_write_no_table(connection: psycopg.Connection, role: str):
    connection.execute(f"set role {role}".encode())

    for table in TABLES:
        for statement in (f"select * from {table}", f"delete from {table}"):
            with pytest.raises(InsufficientPrivilege):
                connection.execute(statement.encode())

    connection.execute("reset role")


@pytest.mark.parametrize("role", PUBLIC_ROLES)
async def test_the_public_roles_count_with_no_sequence(connection: psycopg.Connection, role: str):
    query = "select oid::regclass::text from pg_class where relkind = 'S'"
    sequences = [name for (name,) in connection.execute(query)]
    connection.execute(f"set role {role}".encode())

    for sequence in sequences:
        with pytest.raises(InsufficientPrivilege):
            connection.execute(f"select nextval('{sequence}')".encode())

    connection.execute("reset role")
    assert sequences
