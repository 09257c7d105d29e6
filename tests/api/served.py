"""The API on a real port, in a thread and an event loop of its own, for tools that call it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from chat_platform.api.app import create_api
from chat_platform.settings import Settings
from tests.conftest import open_test_context
from tests.fakes import FakeGateway, FakeMailer, FakeMemory, FakeRuntime
from tests.people import Person, new_person


@dataclass
class Served:
    url: str
    person: Person
    """Who is signed in, an administrator: every route is open to them."""


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    ready, served = threading.Event(), []
    config = uvicorn.Config(create_api(), host="127.0.0.1", port=0, log_level="critical")
    server = uvicorn.Server(config)

    async def serve() -> None:
        fakes = (FakeRuntime(), FakeMemory(), FakeGateway(), FakeMailer())
        async with open_test_context(settings, *fakes) as ctx:
            config.app.state.ctx = ctx  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess]
            person = await new_person(ctx, "Root", role="admin")
            running = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            served.append(Served(f"http://127.0.0.1:{port}", person))
            ready.set()
            await running

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30), "the API did not start"
        yield served[0]
    finally:
        server.should_exit = True
        thread.join(30)
