"""Runs the agents on Letta: creates and repairs them, streams their runs, deletes them.

Their memory is read and changed in `memory`.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import httpx
import structlog
from letta_client import (
    AsyncLetta,
    AsyncStream,
    ConflictError,
    DefaultAsyncHttpxClient,
    InternalServerError,
    NotFoundError,
    omit,
)
from letta_client.types import AgentState as LettaAgent
from letta_client.types import MessageCreateParam
from letta_client.types.agents import LettaStreamingResponse

from chat_platform.adapters.letta.config import (
    BEING_DELETED,
    EMBEDDED_WITH,
    AgentPlan,
    account_tags,
    is_being_deleted,
)
from chat_platform.adapters.letta.errors import translated
from chat_platform.adapters.letta.passages import reembed_passages
from chat_platform.adapters.letta.stream import RunReader
from chat_platform.errors import PlatformError, agent_unavailable
from chat_platform.ports import AgentState, RunEvent, RunStarted
from chat_platform.settings import Settings
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, AgentId

log = structlog.get_logger()

_TRUST_SECONDS = 300
"""How long a check remains valid: only an operator could change the agent behind our back."""
_RETRY_REPAIR_SECONDS = 60
MAX_CHECKED = 10_000
"""How many agents' checks are remembered; others are checked again, in a few milliseconds."""
_MAX_STEPS = 100
"""Letta's own limit is 50, the answer included."""
_NO_REDIS = "Background streaming requires Redis"
# Letta pings every 20 s while the model is silent; longer silence means that Letta is gone.
_TIMEOUT = httpx.Timeout(connect=5, read=90, write=30, pool=10)
# No keep-alive: Letta closes a connection right after a complete 500, without announcing it, and a
# message posted on it in between would fail.
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=0)


def open_letta(settings: Settings) -> AsyncLetta:
    """Return the client that both adapters share. Retries are off: they post messages twice."""
    return AsyncLetta(
        base_url=settings.letta_base_url,
        api_key=settings.letta_api_token.get_secret_value() or None,
        max_retries=0,
        http_client=DefaultAsyncHttpxClient(timeout=_TIMEOUT, limits=_LIMITS),
    )


@dataclass(eq=False)
class _OpenRun:
    """A run that this process is reading; `leave` ends the reading."""

    leave: asyncio.Event = field(default_factory=asyncio.Event)
    run_id: str | None = None


@dataclass(frozen=True)
class _Checked:
    state: AgentState
    until: float


class LettaRuntime:
    """AgentRuntime on Letta 0.16."""

    def __init__(self, client: AsyncLetta, settings: Settings) -> None:
        self._client = client
        self._plan = AgentPlan.of(settings)
        self._keeps_runs = settings.has_redis
        """Whether Letta keeps runs in Redis depends on its settings; the first message shows it."""
        self._checked: OrderedDict[AgentId, _Checked] = OrderedDict()
        """The most recently checked agents, the latest last."""
        self._open_runs: dict[AgentId, set[_OpenRun]] = {}

    async def ensure_agent(
        self, account_id: AccountId, agent_id: AgentId | None, *, person_name: str
    ) -> AgentState:
        known = self._checked.get(agent_id) if agent_id else None
        if known and known.until > time.monotonic():
            return known.state
        with translated():
            agent = await self._find(account_id, agent_id)
            if agent is None:
                agent = await self._client.agents.create(
                    **self._plan.new_agent(account_id, person_name)
                )
            agent, is_settled = await self._repair(agent)
        state = AgentState(AgentId(agent.id), self._plan.chat_model, _created_at_ms(agent))
        trust_seconds = _TRUST_SECONDS if is_settled else _RETRY_REPAIR_SECONDS
        self._trust(state, trust_seconds)
        return state

    async def run(
        self, agent_id: AgentId, text: str, *, note: str = ""
    ) -> AsyncGenerator[RunEvent, None]:
        with translated():
            stream = await self._post(agent_id, _messages(text, note))
            async for event in self._events(agent_id, stream):
                yield event

    async def resume(self, agent_id: AgentId, run_id: str) -> AsyncGenerator[RunEvent, None]:
        if not self._keeps_runs:
            raise agent_unavailable()
        with translated():
            stream = await self._client.runs.messages.stream(
                run_id, starting_after=0, include_pings=True
            )
            async for event in self._events(agent_id, stream):
                yield event

    async def cancel(self, agent_id: AgentId, run_id: str | None = None) -> None:
        try:
            with translated(), suppress(ConflictError, NotFoundError):
                # Without an id Letta ends whatever runs when the request arrives, however late.
                named = [run_id] if run_id else omit
                await self._client.agents.messages.cancel(agent_id, run_ids=named)
        finally:
            # Letta looks for a cancellation only when the model's next piece comes: do not wait
            # for it. It never closes the model's stream: the proxy does.
            for run in self._open_runs.get(agent_id, ()):
                if run_id is None or run.run_id == run_id:
                    run.leave.set()

    async def delete_agent(self, agent_id: AgentId) -> None:
        self._checked.pop(agent_id, None)
        with translated():
            await self._delete(agent_id)

    async def check(self) -> str:
        with translated():
            return (await self._client.health(timeout=5)).version

    def _trust(self, state: AgentState, seconds: float) -> None:
        self._checked[state.agent_id] = _Checked(state, time.monotonic() + seconds)
        self._checked.move_to_end(state.agent_id)
        if len(self._checked) > MAX_CHECKED:
            self._checked.popitem(last=False)

    async def _find(self, account_id: AccountId, agent_id: AgentId | None) -> LettaAgent | None:
        """Return the account's agent, including one left behind by an interrupted call."""
        page = await self._client.agents.list(
            tags=account_tags(account_id),
            match_all_tags=True,
            include=["agent.tags"],
            order="asc",
            limit=10,
        )
        whole = [agent for agent in page.items if not is_being_deleted(agent)]
        chosen = next((agent for agent in whole if agent.id == agent_id), None)
        # Twins come from two processes that made the agent at once. The caller's record says
        # which one counts; without a record the other process may still be about to write it.
        garbage = [a for a in page.items if a not in whole or (chosen and a is not chosen)]
        for agent in garbage:
            log.info("agent.removed", agent_id=agent.id, account_id=account_id)
            await self._delete(AgentId(agent.id))
        return chosen or next(iter(whole), None)

    async def _repair(self, agent: LettaAgent) -> tuple[LettaAgent, bool]:
        """Make the agent match the plan; the flag is False if its archive does not match yet."""
        agent_id = AgentId(agent.id)
        if not self._plan.is_met_by(agent):
            log.info("agent.configured", agent_id=agent_id)
            agent = await self._client.agents.update(agent_id, **self._plan.configuration(agent_id))
        if self._plan.is_embedded(agent):
            return agent, True
        return agent, await self._reembed(agent_id)

    async def _reembed(self, agent_id: AgentId) -> bool:
        """Re-embed the archive; a failure does not keep the person from chatting."""
        model = self._plan.embedding_model
        try:
            with translated():
                passages = await reembed_passages(self._client, agent_id, model=model)
                await self._client.agents.update(agent_id, metadata={EMBEDDED_WITH: model})
        except PlatformError as exc:
            log.warning("agent.reembedding_failed", agent_id=agent_id, error=exc.code)
            return False
        log.info("agent.reembedded", agent_id=agent_id, passages=passages)
        return True

    async def _delete(self, agent_id: AgentId) -> None:
        """Blocks and archive first: they cannot be found once their agent is gone.

        The mark prevents an agent whose deletion was interrupted from being used again.
        """
        with suppress(NotFoundError):
            await self._client.agents.update(agent_id, metadata={BEING_DELETED: True})
            for archive in (await self._client.archives.list(agent_id=agent_id)).items:
                with suppress(NotFoundError):
                    await self._client.archives.delete(archive.id)
            for block in (await self._client.agents.blocks.list(agent_id)).items:
                with suppress(NotFoundError):
                    await self._client.blocks.delete(block.id)
            await self._client.agents.delete(agent_id)

    async def _post(
        self, agent_id: AgentId, messages: list[MessageCreateParam]
    ) -> AsyncStream[LettaStreamingResponse]:
        try:
            return await self._stream(agent_id, messages)
        except InternalServerError as exc:
            if not (self._keeps_runs and _NO_REDIS in str(exc)):
                raise
        # Refused before anything ran, so this is not a second message.
        log.warning("letta.keeps_no_runs")
        self._keeps_runs = False
        return await self._stream(agent_id, messages)

    async def _stream(
        self, agent_id: AgentId, messages: list[MessageCreateParam]
    ) -> AsyncStream[LettaStreamingResponse]:
        return await self._client.agents.messages.create(
            agent_id,
            messages=messages,
            streaming=True,
            stream_tokens=True,
            include_pings=True,
            include_compaction_messages=True,
            background=self._keeps_runs,
            max_steps=_MAX_STEPS,
        )

    async def _events(
        self, agent_id: AgentId, stream: AsyncStream[LettaStreamingResponse]
    ) -> AsyncGenerator[RunEvent, None]:
        reader = RunReader(self._plan.chat_model)
        run = _OpenRun()
        self._open_runs.setdefault(agent_id, set()).add(run)
        try:
            async for chunk in _until(run.leave, stream):
                for event in reader.read(chunk):
                    if isinstance(event, RunStarted):
                        run.run_id = event.run_id
                    yield event
            if not run.leave.is_set():
                reader.finish()
        except BaseException:
            # A failed run may mean that the agent has changed: check it next time.
            self._checked.pop(agent_id, None)
            raise
        finally:
            self._close_run(agent_id, run)
            await stream.close()

    def _close_run(self, agent_id: AgentId, run: _OpenRun) -> None:
        runs = self._open_runs[agent_id]
        runs.discard(run)
        if not runs:
            del self._open_runs[agent_id]


async def _until(
    leave: asyncio.Event, stream: AsyncStream[LettaStreamingResponse]
) -> AsyncIterator[LettaStreamingResponse]:
    """Yield what the stream brings until it is over or the event is set."""
    chunks = aiter(stream)
    end = asyncio.create_task(leave.wait())
    try:
        while True:
            chunk = asyncio.ensure_future(anext(chunks, None))
            await asyncio.wait({chunk, end}, return_when=asyncio.FIRST_COMPLETED)
            if not chunk.done():
                chunk.cancel()
                await asyncio.gather(chunk, return_exceptions=True)
                return
            if (arrived := chunk.result()) is None:
                return
            yield arrived
    finally:
        end.cancel()


def _messages(text: str, note: str) -> list[MessageCreateParam]:
    messages: list[MessageCreateParam] = [{"role": "user", "content": text}]
    if note:
        # A separate user message, in order: not every model accepts system messages midway.
        told = f"<platform_note>\n{note}\n</platform_note>"
        messages.insert(0, {"role": "user", "content": told})
    return messages


def _created_at_ms(agent: LettaAgent) -> int:
    created_at: datetime | None = agent.created_at
    return int(created_at.timestamp() * 1000) if created_at else now_ms()
