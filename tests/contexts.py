"""A whole context for a test: a real database and real embedded accounts, fakes at the ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from chat_platform.adapters.identity.local import LocalIdentity
from chat_platform.adapters.identity.passwords import PasswordHasher
from chat_platform.billing import ledger
from chat_platform.context import AppContext
from chat_platform.database.writer import GroupWriter
from chat_platform.ports import TraceCollector
from chat_platform.settings import Settings
from chat_platform.wiring import new_context
from tests.fakes import FakeGateway, FakeMailer, FakeMemory, FakeRuntime
from tests.warm_engine import open_warm_engine

GLOBAL_KEY = "sk-global-key-of-the-tests-0123456789"


def new_settings(data_dir: Path, database_url: str) -> Settings:
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        environment="test",
        registration="open",
        data_dir=data_dir,
        database_url=SecretStr(database_url),
        secret_key=SecretStr("s" * 40),
        letta_global_api_key=SecretStr(GLOBAL_KEY),
        litellm_master_key=SecretStr("sk-master-of-the-tests"),
    )


@asynccontextmanager
async def open_test_context(
    settings: Settings,
    runtime: FakeRuntime,
    memory: FakeMemory,
    gateway: FakeGateway,
    mailer: FakeMailer,
    traces: TraceCollector | None = None,
) -> AsyncIterator[AppContext]:
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
        traces=traces,
    )
    yield ctx
    await ctx.running_turns.interrupt()
    await ledger.flush(ctx)
    await writer.close()
    await engine.dispose()
