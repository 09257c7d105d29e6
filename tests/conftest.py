"""Fixtures of every suite: a context on a fresh database with fakes at the three ports."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from chat_platform.context import AppContext
from chat_platform.db import GroupWriter, migrate, open_engine
from chat_platform.settings import Settings
from tests.fakes import FakeGateway, FakeIdentity, FakeMemory, FakeRuntime

GLOBAL_KEY = "sk-global-key-of-the-tests-0123456789"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated SQLite file, copied for every test."""
    file = tmp_path_factory.mktemp("template") / "platform.db"
    asyncio.run(migrate(f"sqlite+aiosqlite:///{file}"))
    return file


@pytest.fixture
def settings(tmp_path: Path, migrated_sqlite: Path) -> Settings:
    shutil.copy(migrated_sqlite, tmp_path / "platform.db")
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        environment="test",
        data_dir=tmp_path,
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
async def ctx(
    settings: Settings, runtime: FakeRuntime, memory: FakeMemory, gateway: FakeGateway
) -> AsyncIterator[AppContext]:
    """A context on a fresh database, with fakes at the ports."""
    engine = open_engine(settings.database)
    writer = GroupWriter(settings.database)
    yield AppContext(
        settings=settings,
        engine=engine,
        writer=writer,
        runtime=runtime,
        memory=memory,
        billing=gateway,
        identity=FakeIdentity(),
    )
    await writer.close()
    await engine.dispose()
