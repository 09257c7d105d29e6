"""The real application in this process, with its own database; only the ports are fakes."""

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI
from pydantic import SecretStr
from reflex.utils import format as reflex_format
from starlette.types import ASGIApp, Message

from chat_platform.api.app import create_api
from chat_platform.context import AppContext, set_app_context
from chat_platform.database.engine import migrate
from chat_platform.proxy.app import ModelProxy, create_proxy
from chat_platform.settings import Settings
from chat_platform.state.memory import MemoryState
from chat_platform.values.ids import AgentId
from tests.contexts import GLOBAL_KEY, open_test_context
from tests.fakes import FakeGateway, FakeMailer, FakeMemory, FakeRuntime
from tests.ledger_entries import Payer, start_turn
from tests.people import Person, new_person
from tests.proxy.fake_upstream import FakeUpstream
from tests.state.tab import OpenTab

_SOCKET_BYTES = 65_536


@dataclass
class World:
    ctx: AppContext
    api: FastAPI
    proxy: ModelProxy
    upstream: FakeUpstream
    runtime: FakeRuntime
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def person(self) -> Person:
        """Return a new person, so that the limits of one input do not affect another."""
        return await new_person(self.ctx, f"person{next(self._numbers)}")

    async def agent_of(self, person: Person) -> AgentId:
        await OpenTab(person.cookie, token=f"agent{person.id}").send(MemoryState, "open")
        return self.runtime.agents[person.id]

    async def payer(self) -> Payer:
        """Return somebody whose agent is answering."""
        person = await self.person()
        payer = Payer(person.id, await self.agent_of(person))
        await start_turn(self.ctx, payer)
        return payer

    async def rest(
        self,
        person: Person | None,
        route: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """Ask the REST API, `route` being such as "GET /chat/history"; return the status."""
        known = {"content-type": "application/json", "host": "platform.test", **(headers or {})}
        if person:
            known["authorization"] = f"Bearer {person.access_token}"
        status = await _ask(self.api, route.replace(" ", " /api/v1", 1), body, known)
        assert status not in (404, 405, 500), (route, status)
        return status

    async def call_model(self, payer: Payer, body: bytes) -> int:
        headers = {"authorization": f"Bearer {GLOBAL_KEY}"}
        route = f"POST /api/v1/llm-proxy/{payer.agent_id}/chat/completions"
        return await _ask(self.proxy, route, body, headers)


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        async with FakeUpstream().serving() as upstream:
            settings = _settings(Path(folder), upstream.url)
            await migrate(settings.database)
            runtime = FakeRuntime()
            ports = (runtime, FakeMemory(), FakeGateway(), FakeMailer())
            api, proxy = create_api(), create_proxy()
            async with open_test_context(settings, *ports) as ctx, proxy.serving(ctx):
                api.state.ctx = ctx
                set_app_context(ctx)
                yield World(ctx, api, proxy, upstream, runtime)
                set_app_context(None)


def _settings(folder: Path, litellm_url: str) -> Settings:
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        environment="test",
        registration="open",
        data_dir=folder,
        secret_key=SecretStr("s" * 40),
        letta_global_api_key=SecretStr(GLOBAL_KEY),
        litellm_master_key=SecretStr("sk-master-of-the-benchmark"),
        litellm_base_url=litellm_url,
        litellm_has_database=False,
        user_default_budget="1000",
    )


def as_a_socket_writes(tab: OpenTab) -> str:
    """Return what the page's socket sends of the tab's states."""
    return reflex_format.json_dumps(tab.everything())


async def _ask(app: ASGIApp, route: str, body: bytes, headers: dict[str, str]) -> int:
    """Send a request through the application, its body in the pieces of a socket."""
    starts = range(0, max(1, len(body)), _SOCKET_BYTES)
    pieces = [body[at : at + _SOCKET_BYTES] for at in starts]
    status: list[int] = []

    async def receive() -> Message:
        if not pieces:
            # The client stays until the answer is complete.
            await asyncio.Future()
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    await app(_scope(route, headers), receive, send)
    return status[0]


def _scope(route: str, headers: dict[str, str]) -> dict[str, object]:
    method, _, target = route.partition(" ")
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("192.0.2.7", 4000),
        "server": ("platform.test", 80),
    }
