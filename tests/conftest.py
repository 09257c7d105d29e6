"""Fixtures for all tests: a context on a fresh database with fakes at the three ports."""

import gc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import hypothesis
import pytest
import structlog
from fastapi import FastAPI

from chat_platform.api.app import create_api
from chat_platform.context import AppContext
from chat_platform.settings import Settings
from tests.api.documented import ensure_documented
from tests.contexts import new_settings, open_test_context
from tests.fakes import FakeGateway, FakeMailer, FakeMemory, FakeRuntime
from tests.litellm_rig import litellm_rig
from tests.peers import embedded_peers, platform
from tests.people import alice, bob, make_person, registered, root
from tests.pgbouncer import transaction_pooler
from tests.postgres import (
    migrated_postgres,
    postgres_server,
    postgres_templates,
    postgres_url,
)
from tests.redis_server import own_redis, redis_url
from tests.sqlite import migrated_sqlite, sqlite_templates, sqlite_url

__all__ = [
    "alice",
    "bob",
    "embedded_peers",
    "litellm_rig",
    "make_person",
    "migrated_postgres",
    "migrated_sqlite",
    "own_redis",
    "platform",
    "postgres_server",
    "postgres_templates",
    "postgres_url",
    "redis_url",
    "registered",
    "root",
    "sqlite_templates",
    "sqlite_url",
    "transaction_pooler",
]


GARBAGE_THRESHOLD = 100_000
"""New objects between two collections (CPython's default: 700)."""

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
    parser.addoption(
        "--shape",
        choices=("embedded", "stack"),
        default="embedded",
        help="the platform of end-to-end tests: `make run`, or two servers behind nginx",
    )


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives as long as the run: a twelfth of the run's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--database")
        kinds = ("sqlite", "postgres") if chosen == "both" else (chosen,)
        metafunc.parametrize("database_kind", kinds, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With another database, run only tests that use one: the rest was run with SQLite."""
    if config.getoption("--shape") == "stack":
        _skip_the_embedded(items)
    if config.getoption("--database") not in ("postgres", "pooler"):
        return
    others = [item for item in items if "database_kind" not in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if "database_kind" in getattr(item, "fixturenames", ())]


def _skip_the_embedded(items: list[pytest.Item]) -> None:
    for item in items:
        marker = item.get_closest_marker("embedded")
        if marker:
            item.add_marker(pytest.mark.skip(reason=f"embedded only: {marker.args[0]}"))


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database for this test: SQLite, or with `--database` Postgres.

    `pooler` is Postgres behind a transaction pooler.
    """
    if database_kind == "sqlite":
        return request.getfixturevalue("sqlite_url")
    url = request.getfixturevalue("postgres_url")
    if database_kind == "pooler":
        return request.getfixturevalue("transaction_pooler").before(url)
    return url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return new_settings(tmp_path, database_url)


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
