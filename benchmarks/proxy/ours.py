"""Our proxy alone by its own listener, with auth, budget checks and the durable ledger on.

`python -m benchmarks.proxy.ours PORT` serves it so; `app` is for granian, as on the main port. Both
read DATABASE_URL and LITELLM_BASE_URL; `fill` creates the accounts, agents and old ledger rows.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop
from pydantic import SecretStr
from sqlalchemy import insert
from starlette.types import Receive, Scope, Send

from benchmarks.proxy.load import AGENTS
from chat_platform.adapters.identity.local import LocalIdentity
from chat_platform.context import AppContext
from chat_platform.database.engine import migrate, open_engine, transaction
from chat_platform.database.writer import GroupWriter
from chat_platform.models import Account, Agent, ModelCall, Turn
from chat_platform.process.collector import spare_the_collector
from chat_platform.proxy.app import ModelProxy, create_proxy
from chat_platform.proxy.listener import listening
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from chat_platform.wiring import new_context
from tests.fakes import FakeGateway, FakeMemory, FakeRuntime

KEY = "sk-key-of-the-benchmark"
PAGE = 5000


def settings_of(database_url: str, upstream_url: str) -> Settings:
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        environment="test",
        database_url=SecretStr(database_url),
        secret_key=SecretStr("s" * 40),
        letta_global_api_key=SecretStr(KEY),
        litellm_base_url=upstream_url,
        litellm_has_database=False,
        user_default_budget="1000000",
    )


@asynccontextmanager
async def context(settings: Settings) -> AsyncIterator[AppContext]:
    engine = open_engine(settings.database)
    writer = GroupWriter(settings.database)
    try:
        yield new_context(
            settings,
            engine,
            writer,
            runtime=FakeRuntime(),
            memory=FakeMemory(),
            billing=FakeGateway(),
            identity=LocalIdentity(engine),
        )
    finally:
        await writer.close()
        await engine.dispose()


async def fill(database_url: str, *, accounts: int, calls: int) -> None:
    """Create a migrated database with this many accounts, each with a turn, and ledger rows."""
    await migrate(database_url)
    engine = open_engine(database_url)
    people = [f"account-{n}" for n in range(max(accounts, AGENTS))]
    for start in range(0, len(people), PAGE):
        page = people[start : start + PAGE]
        async with transaction(engine) as session:
            await session.execute(insert(Account), [_account(name) for name in page])
            await session.execute(insert(Agent), [_agent(name) for name in page])
            await session.execute(insert(Turn), [_turn(name) for name in page])
    template = _old_call()
    for start in range(0, calls, PAGE):
        rows = [
            {**template, "id": f"old-{n}", "account_id": people[n % len(people)]}
            for n in range(start, start + PAGE)
        ]
        async with transaction(engine) as session:
            await session.execute(insert(ModelCall), rows)
    await engine.dispose()


def _account(name: str) -> dict[str, object]:
    return Account(id=name, email=name, auth_provider="embedded", auth_subject=name).model_dump()


def _agent(name: str) -> dict[str, object]:
    return Agent(account_id=name, agent_id=name.replace("account", "agent")).model_dump()


def _turn(name: str) -> dict[str, object]:
    return Turn(account_id=name, owner="bench", lease_until_ms=now_ms() + 10**7).model_dump()


def _old_call() -> dict[str, object]:
    return ModelCall(
        account_id="",
        agent_id="agent-0",
        kind="chat",
        model="demo-chat",
        state="settled",
        cost_source="header",
        cost_nano_usd=54_800,
        owner="old",
        lease_until_ms=0,
    ).model_dump()


class Served:
    """The proxy with a lifespan, as granian requires."""

    def __init__(self) -> None:
        self._proxy: ModelProxy = create_proxy()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._proxy(scope, receive, send)
            return
        settings = settings_of(os.environ["DATABASE_URL"], os.environ["LITELLM_BASE_URL"])
        await receive()
        async with context(settings) as ctx, self._proxy.serving(ctx):
            spare_the_collector()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def app() -> Served:
    return Served()


async def listen(port: int) -> None:
    """Serve the proxy by its own listener until SIGINT or SIGTERM."""
    settings = settings_of(os.environ["DATABASE_URL"], os.environ["LITELLM_BASE_URL"])
    proxy, stopping = create_proxy(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with context(settings) as ctx, proxy.serving(ctx), listening(proxy, port):
        spare_the_collector()
        await stopping.wait()


if __name__ == "__main__":
    uvloop.run(listen(int(sys.argv[1])))
