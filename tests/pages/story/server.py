"""The server of `tests.web_server` with the story's data, for axe and the screenshots.

Serve it with granian: `tests.pages.story.server:app`, as a factory.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from sqlmodel import col, select

import chat_platform.app as platform
from chat_platform.billing.platform_budget import recount
from chat_platform.context import app_context
from chat_platform.database.engine import reading
from chat_platform.errors import NotSignedIn, agent_unavailable
from chat_platform.models import Account
from chat_platform.ports import Identity, MemoryBlock, Passage
from chat_platform.values.ids import AgentId
from tests.fakes import FakeMemory
from tests.pages.story.telling import Teller
from tests.web_server import app

__all__ = ["app"]
CAPS = {"platform_budget": "250", "platform_daily_budget": "1"}


@dataclass
class PartlyBrokenMemory(FakeMemory):
    """Does not answer for the agents in `broken`."""

    broken: set[AgentId] = field(default_factory=set)

    async def blocks(self, agent_id: AgentId) -> list[MemoryBlock]:
        self._check(agent_id)
        return await super().blocks(agent_id)

    async def passages(
        self, agent_id: AgentId, *, query: str = "", limit: int = 50, before: str | None = None
    ) -> list[Passage]:
        self._check(agent_id)
        return await super().passages(agent_id, query=query, limit=limit, before=before)

    def _check(self, agent_id: AgentId) -> None:
        if agent_id in self.broken:
            raise agent_unavailable()


class CodeByMail:
    """Confirms addresses of existing accounts; the code is always `code`."""

    async def resend(self, email: str) -> None:
        pass

    async def confirm(self, email: str, code: str) -> Identity:
        if code != "code":
            raise NotSignedIn("This code is wrong or too old.", code="invalid_code")
        query = select(Account).where(col(Account.email) == email)
        async with reading(app_context().engine) as session:
            account = (await session.exec(query)).one()
        return Identity(account.auth_subject, email, account.name)


@contextlib.asynccontextmanager
async def with_story() -> AsyncIterator[None]:
    """Runs inside the lifespan, after the fakes are in place."""
    memory = PartlyBrokenMemory()
    settings = app_context().settings.model_copy(update=CAPS)
    ctx = replace(app_context(), settings=settings, memory=memory, confirmation=CodeByMail())
    memory.broken.add(await Teller(ctx, memory).tell())
    await recount(ctx)
    platform.serve(ctx)
    yield


app.register_lifespan_task(with_story)
