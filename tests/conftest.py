"""Fixtures for all tests: a context on a fresh database with fakes at the three ports."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import hypothesis
import pytest
import structlog
from fastapi import FastAPI
from pydantic import SecretStr

from chat_platform.adapters.identity.local import LocalIdentity
from chat_platform.adapters.identity.passwords import PasswordHasher
from chat_platform.api.app import create_api
from chat_platform.billing import ledger
from chat_platform.context import AppContext
from chat_platform.database.engine import migrate
from chat_platform.database.writer import GroupWriter
from chat_platform.settings import Settings
from chat_platform.wiring import new_context
from tests.api.documented import ensure_documented
from tests.fakes import FakeGateway, FakeMailer, FakeMemory, FakeRuntime
from tests.litellm_rig import litellm_rig
from tests.peers import embedded_peers, platform
from tests.people import alice, bob, make_person, root
from tests.pgbouncer import transaction_pooler
from tests.postgres import migrated_postgres, postgres_server, postgres_url
from tests.redis_server import own_redis, redis_url
from tests.warm_engine import open_warm_engine

__all__ = [
    "alice",
    "bob",
    "embedded_peers",
    "litellm_rig",
    "make_person",
    "migrated_postgres",
    "own_redis",
    "platform",
    "postgres_server",
    "postgres_url",
    "redis_url",
    "root",
    "transaction_pooler",
]

GLOBAL_KEY = "sk-global-key-of-the-tests-0123456789"


# How long an example takes says something about the machine only. A fixture that the examples of a
# test share is meant to be shared.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.function_scoped_fixture,
    ],
)
hypothesis.settings.load_profile("any machine")

# Rich tracebacks print every local variable: half the time of a test with many failures.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("sqlite", "postgres", "both", "pooler"),
        default="sqlite",
        help="the database under every test that opens a context",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--database")
        kinds = ("sqlite", "postgres") if chosen == "both" else (chosen,)
        metafunc.parametrize("database_kind", kinds, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With another database, run only tests that use one: the rest was run with SQLite."""
    if config.getoption("--database") not in ("postgres", "pooler"):
        return
    others = [item for item in items if "database_kind" not in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if "database_kind" in getattr(item, "fixturenames", ())]


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated SQLite file, copied for every test."""
    file = tmp_path_factory.mktemp("template") / "platform.db"
    asyncio.run(migrate(f"sqlite+aiosqlite:///{file}"))
    return file


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, migrated database for this test: SQLite, or with `--database` Postgres.

    `pooler` is Postgres behind a transaction pooler.
    """
    if database_kind == "pooler":
        pooler = request.getfixturevalue("transaction_pooler")
        return pooler.before(request.getfixturevalue("postgres_url"))
    if database_kind == "postgres":
        return request.getfixturevalue("postgres_url")
    file = tmp_path / "platform.db"
    shutil.copy(request.getfixturevalue("migrated_sqlite"), file)
    return f"sqlite+aiosqlite:///{file}"


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        environment="test",
        registration="open",
        data_dir=tmp_path,
        database_url=SecretStr(database_url),
        secret_key=SecretStr("s" * 40),
        letta_global_api_key=SecretStr(GLOBAL_KEY),
        litellm_master_key=SecretStr("sk-master-of-the-tests"),
    )


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def memory() -> FakeMemory:
    return FakeMemory()


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def mailer() -> FakeMailer:
    return FakeMailer()


@pytest.fixture
async def ctx(
    settings: Settings,
    runtime: FakeRuntime,
    memory: FakeMemory,
    gateway: FakeGateway,
    mailer: FakeMailer,
) -> AsyncIterator[AppContext]:
    async with open_test_context(settings, runtime, memory, gateway, mailer) as ctx:
        yield ctx


@asynccontextmanager
async def open_test_context(
    settings: Settings,
    runtime: FakeRuntime,
    memory: FakeMemory,
    gateway: FakeGateway,
    mailer: FakeMailer,
) -> AsyncIterator[AppContext]:
    """A whole context: a real database and real embedded accounts, fakes at the other ports."""
    engine = open_warm_engine(settings.database)
    writer = GroupWriter(settings.database)
    cheap = PasswordHasher(memory_kib=64, rounds=1)
    ctx = new_context(
        settings,
        engine,
        writer,
        runtime=runtime,
        memory=memory,
        billing=gateway,
        identity=LocalIdentity(engine, cheap, mailer),
    )
    yield ctx
    await ctx.running_turns.interrupt()
    await ledger.flush(ctx)
    await writer.close()
    await engine.dispose()


@pytest.fixture(scope="session")
def api() -> FastAPI:
    """The whole API, assembled once: each test's `client` gives it its own context."""
    return create_api()


@pytest.fixture
async def client(api: FastAPI, ctx: AppContext) -> AsyncIterator[httpx.AsyncClient]:
    """An in-process REST client of the whole API, which accepts only documented answers."""
    api.state.ctx = ctx
    # These were built from another test's settings.
    api.middleware_stack = None
    transport = httpx.ASGITransport(app=api, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport,
        base_url="http://platform.test",
        event_hooks={"response": [ensure_documented]},
    ) as client:
        yield client
