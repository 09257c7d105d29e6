"""The platform on a Postgres behind a pooler, as Supabase offers it, in both of its modes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, col, select

from chat_platform.accounts.profiles import account_for
from chat_platform.database.engine import migrate, open_engine, reading, transaction
from chat_platform.database.writer import GroupWriter
from chat_platform.launcher.postgres import Postgres
from chat_platform.models import Account, AuditEntry
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from tests.contexts import open_test_context
from tests.fakes import FakeGateway, FakeMailer, FakeMemory, FakeRuntime
from tests.pgbouncer import SERVER_CONNECTIONS, PgBouncer, pooling

pytestmark = pytest.mark.programs

DATABASE = "behind_a_pooler"


@pytest.fixture(scope="module", params=["transaction", "session"])
def pooler(request: pytest.FixtureRequest, postgres_server: Postgres) -> Iterator[PgBouncer]:
    with pooling(postgres_server, request.param) as bouncer:
        yield bouncer


@pytest.fixture
def empty_url(postgres_server: Postgres, pooler: PgBouncer) -> Iterator[str]:
    """The address of an empty database behind the pooler, as an operator would write it."""
    with psycopg.connect(postgres_server.url(), autocommit=True) as admin:
        admin.execute(f"drop database if exists {DATABASE} with (force)".encode())
        admin.execute(f"create database {DATABASE}".encode())
    yield pooler.before(postgres_server.url(DATABASE))
    with psycopg.connect(postgres_server.url(), autocommit=True) as admin:
        admin.execute(f"drop database if exists {DATABASE} with (force)".encode())


def settings_for(url: str, connections: int = SERVER_CONNECTIONS) -> Settings:
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        database_url=SecretStr(url),
        database_connections=connections,
    )


@pytest.fixture
async def url(empty_url: str) -> str:
    """The address of a database that was migrated through the pooler."""
    url = settings_for(empty_url).database
    await migrate(url)
    return url


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(url, connections=SERVER_CONNECTIONS)
    yield engine
    await engine.dispose()


async def test_migrations_run_through_it_and_again(url: str, engine: AsyncEngine):
    await migrate(url)

    async with reading(engine) as session:
        query = "select relname from pg_class where relkind = 'r' and relrowsecurity"
        secured = {name for (name,) in await session.execute(text(query))}
    assert {*SQLModel.metadata.tables, "alembic_version"} <= secured


async def test_transactions_of_several_engines_share_few_connections(
    url: str, pooler: PgBouncer, engine: AsyncEngine
):
    another = engine
    if pooler.mode == "transaction":
        # In this mode, more connections than the server has are no problem.
        another = open_engine(url)

    async def write(through: AsyncEngine, number: int) -> None:
        async with transaction(through) as session:
            session.add(AuditEntry(action=f"number {number}", detail={"number": str(number)}))
            await session.flush()
            # The same statement again and again: a driver would prepare it.
            for _ in range(7):
                await session.execute(text("select pg_backend_pid()"))

    await asyncio.gather(*(write((engine, another)[n % 2], n) for n in range(60)))

    async with reading(engine) as session:
        written = (await session.exec(select(AuditEntry.action))).all()
    await another.dispose()
    assert sorted(written) == sorted(f"number {number}" for number in range(60))


async def test_the_group_writer_writes_through_it(url: str, engine: AsyncEngine):
    writer = GroupWriter(url)

    def record(connection: Connection) -> None:
        entries = SQLModel.metadata.tables["audit_entries"]
        connection.execute(entries.insert().values(action="grouped", detail={}, at_ms=now_ms()))

    await asyncio.gather(*(writer.write(record) for _ in range(50)))

    await writer.close()
    async with reading(engine) as session:
        assert len((await session.exec(select(AuditEntry))).all()) == 50


async def test_a_failed_transaction_leaves_nothing_for_the_next_client(
    url: str, engine: AsyncEngine
):
    peers = FakeRuntime(), FakeMemory(), FakeGateway(), FakeMailer()
    # The group writer uses some of the pool too.
    own = open_engine(url, connections=SERVER_CONNECTIONS - 3)
    async with open_test_context(settings_for(url), *peers) as ctx:

        async def register(email: str) -> Account:
            registered = await ctx.identity.register(email, "password123", name="")
            assert registered is not None
            return await account_for(replace(ctx, engine=own), registered)

        await register("alice@example.com")
        results = await asyncio.gather(
            *(register("alice@example.com") for _ in range(10)),
            *(register(f"p{n}@example.com") for n in range(10)),
            return_exceptions=True,
        )
    await own.dispose()

    assert [type(result).__name__ for result in results] == ["Conflict"] * 10 + ["Account"] * 10
    async with reading(engine) as session:
        emails = (await session.exec(select(col(Account.email)))).all()
    assert len(emails) == 11


async def test_it_may_drop_connections_that_waited(
    url: str, engine: AsyncEngine, postgres_server: Postgres
):
    async with reading(engine) as session:
        await session.execute(text("select 1"))
    with psycopg.connect(postgres_server.url(), autocommit=True) as admin:
        ended = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
        admin.execute(ended.encode(), (DATABASE,))

    async with reading(engine) as session:
        assert (await session.execute(text("select 1"))).scalar_one() == 1


async def test_a_process_opens_no_more_connections_than_it_may(url: str, engine: AsyncEngine):
    async def hold() -> None:
        async with reading(engine) as session:
            await session.execute(text("select pg_sleep(0.2)"))

    # In session mode a fifth connection would wait for the pooler until it gives up.
    await asyncio.wait_for(asyncio.gather(*(hold() for _ in range(12))), 8)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_the_public_roles_find_every_table_closed(
    empty_url: str, pooler: PgBouncer, postgres_server: Postgres, role: str
):
    url = postgres_server.url(DATABASE)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"create role {role} login password 'of-the-public'".encode())
        owner.execute(f"grant usage on schema public to {role}".encode())
        owner.execute(
            f"alter default privileges in schema public grant all on tables to {role}".encode()
        )
    try:
        await migrate(settings_for(empty_url).database)
        with pooling(postgres_server, pooler.mode, **{role: "of-the-public"}) as public:
            through = public.before(url).replace(
                url.split("@")[0], f"postgresql://{role}:of-the-public"
            )
            with psycopg.connect(through, autocommit=True, prepare_threshold=None) as stranger:
                assert stranger.execute("select current_user").fetchone() == (role,)
                for table in [*SQLModel.metadata.tables, "alembic_version"]:
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        stranger.execute(f"select * from {table}".encode())
    finally:
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute(f"drop owned by {role}".encode())
            owner.execute(f"drop role {role}".encode())
