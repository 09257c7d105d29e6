"""The API on a real port, in its own thread and event loop, for tools that call it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from sqlalchemy import update
from sqlmodel import col

from chat_platform.api.app import create_api
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import Message
from chat_platform.settings import Settings
from tests.contexts import open_test_context
from tests.fakes import FakeGateway, FakeMailer, FakeMemory, FakeRuntime
from tests.people import Person, new_person
from tests.turn_rows import add_messages
from tests.waiting import eventually


@dataclass
class Served:
    url: str
    person: Person
    """The signed-in person, an administrator: every route is open to them."""


@contextmanager
def serving(settings: Settings, *, message_id: str = "") -> Iterator[Served]:
    """Serve until the block ends, with one message of the person under this id."""
    ready, served = threading.Event(), []
    config = uvicorn.Config(create_api(), host="127.0.0.1", port=0, log_level="critical")
    server = uvicorn.Server(config)

    async def serve() -> None:
        fakes = (FakeRuntime(), FakeMemory(), FakeGateway(), FakeMailer())
        async with open_test_context(settings, *fakes) as ctx:
            config.app.state.ctx = ctx  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess]
            person = await new_person(ctx, "Root", role="admin")
            if message_id:
                await _know_message(ctx, person, message_id)
            running = asyncio.create_task(server.serve())
            await eventually(lambda: server.started, seconds=30)
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


async def _know_message(ctx: AppContext, person: Person, message_id: str) -> None:
    (message,) = await add_messages(ctx, person.id, ["Hello"])
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(Message).where(col(Message.id) == message.id).values(id=message_id)
        )
