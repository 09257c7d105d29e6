"""Fakes for the three ports, and nothing else: hand-written, deterministic, in memory."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from chat_platform.agents.blocks import no_block
from chat_platform.errors import (
    Conflict,
    NotFound,
    NotSignedIn,
    Unavailable,
    agent_unavailable,
    billing_unavailable,
)
from chat_platform.ports import (
    AgentState,
    Identity,
    MemoryBlock,
    ModelPrice,
    Passage,
    RunCancelled,
    RunEvent,
    RunStarted,
    SpendRecord,
    TextPiece,
)
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, AgentId
from chat_platform.values.spans import Span, SpanId
from tests.waiting import eventually


@dataclass
class FakeRuntime:
    """An agent runtime whose replies a test scripts.

    `script` has the events and exceptions of the next runs, one list per run; without any, the
    agent answers "You said: <text>". `gate`, if set, holds the run before its last event.
    """

    script: list[list[RunEvent | Exception]] = field(default_factory=list)
    posted: list[tuple[AgentId, str, str]] = field(default_factory=list)
    agents: dict[AccountId, AgentId] = field(default_factory=dict)
    deleted: list[AgentId] = field(default_factory=list)
    cancelled: list[AgentId] = field(default_factory=list)
    open_runs: dict[str, AgentId] = field(default_factory=dict)
    """Runs that have neither ended nor been cancelled, by id."""
    gate: asyncio.Event | None = None
    is_down: bool = False

    async def ensure_agent(
        self, account_id: AccountId, agent_id: AgentId | None, *, person_name: str
    ) -> AgentState:
        await self.check()
        await asyncio.sleep(0)
        if account_id not in self.agents:
            again = f"-{len(self.deleted) + 1}" if self.deleted else ""
            self.agents[account_id] = AgentId(f"agent-{account_id}{again}")
        return AgentState(self.agents[account_id], "demo-chat", now_ms())

    async def run(
        self, agent_id: AgentId, text: str, *, note: str = ""
    ) -> AsyncGenerator[RunEvent, None]:
        await self.check()
        self.posted.append((agent_id, text, note))
        events = self.script.pop(0) if self.script else [TextPiece(f"You said: {text}")]
        run_id = f"run-{len(self.posted)}"
        self.open_runs[run_id] = agent_id
        yield RunStarted(run_id)
        for number, event in enumerate(events, 1):
            if self.gate and number == len(events):
                await self._wait(run_id, self.gate)
                if run_id not in self.open_runs:
                    raise RunCancelled
            if isinstance(event, Exception):
                del self.open_runs[run_id]
                raise event
            yield event
        # Not in a `finally`: a run continues when nobody reads it any more.
        self.open_runs.pop(run_id, None)

    async def _wait(self, run_id: str, gate: asyncio.Event) -> None:
        await eventually(lambda: gate.is_set() or run_id not in self.open_runs, seconds=None)

    async def resume(self, agent_id: AgentId, run_id: str) -> AsyncGenerator[RunEvent, None]:
        raise Unavailable("This runtime keeps no runs.")
        yield  # pragma: no cover

    async def cancel(self, agent_id: AgentId, run_id: str | None = None) -> None:
        await self.check()
        self.cancelled.append(agent_id)
        for open_id, agent in list(self.open_runs.items()):
            if agent == agent_id and run_id in (None, open_id):
                del self.open_runs[open_id]

    async def delete_agent(self, agent_id: AgentId) -> None:
        await self.check()
        self.deleted.append(agent_id)
        self.agents = {who: made for who, made in self.agents.items() if made != agent_id}

    async def check(self) -> str:
        if self.is_down:
            raise agent_unavailable()
        return "0.16.8"


@dataclass
class FakeMemory:
    """Blocks and passages of every agent, in memory."""

    values: dict[tuple[AgentId, str], str] = field(default_factory=dict)
    archive: dict[AgentId, list[Passage]] = field(default_factory=dict)

    async def blocks(self, agent_id: AgentId) -> list[MemoryBlock]:
        return [self._block(agent_id, label) for label in ("persona", "human")]

    def _block(self, agent_id: AgentId, label: str) -> MemoryBlock:
        value = self.values.get((agent_id, label), f"The {label} block.")
        return MemoryBlock(label, f"About the {label}", value, 2000, None)

    async def write_block(self, agent_id: AgentId, label: str, value: str) -> MemoryBlock:
        if label not in ("persona", "human"):
            raise no_block()
        self.values[agent_id, label] = value
        return self._block(agent_id, label)

    async def passages(
        self, agent_id: AgentId, *, query: str = "", limit: int = 50, before: str | None = None
    ) -> list[Passage]:
        newest = [p for p in reversed(self.archive.get(agent_id, [])) if query in p.text]
        if before is not None:
            ids = [p.id for p in newest]
            newest = newest[ids.index(before) + 1 :] if before in ids else []
        return newest[:limit]

    async def count(self, agent_id: AgentId) -> tuple[int, int]:
        return len(self.archive.get(agent_id, [])), 0

    async def add_passage(self, agent_id: AgentId, text: str) -> Passage:
        passages = self.archive.setdefault(agent_id, [])
        passages.append(Passage(f"passage-{agent_id}-{len(passages)}", text, now_ms()))
        return passages[-1]

    async def delete_passage(self, agent_id: AgentId, passage_id: str) -> None:
        passages = self.archive.get(agent_id, [])
        kept = [p for p in passages if p.id != passage_id]
        if len(kept) == len(passages):
            raise NotFound("There is no such passage.")
        self.archive[agent_id] = kept


@dataclass
class FakeGateway:
    """A billing gateway with two priced models; `booked` has its spend logs."""

    versions: dict[AccountId, int] = field(default_factory=dict)
    blocked: set[AccountId] = field(default_factory=set)
    closed: list[AccountId] = field(default_factory=list)
    booked: list[SpendRecord] | None = None
    price_list: dict[str, ModelPrice] = field(
        default_factory=lambda: {
            "demo-chat": ModelPrice(300_000_000, 2_500_000_000, 8192),
            "demo-embedding": ModelPrice(20_000_000, 0),
        }
    )
    is_down: bool = False

    async def open_account(self, account_id: AccountId, *, key_version: int) -> str:
        await self.check()
        self.versions[account_id] = key_version
        return f"sk-fake-{account_id}-{key_version}"

    async def replace_key(self, account_id: AccountId, *, key_version: int) -> str:
        return await self.open_account(account_id, key_version=key_version)

    async def set_blocked(self, account_id: AccountId, *, is_blocked: bool) -> None:
        await self.check()
        (self.blocked.add if is_blocked else self.blocked.discard)(account_id)

    async def close_account(self, account_id: AccountId) -> None:
        await self.check()
        self.closed.append(account_id)

    async def prices(self) -> dict[str, ModelPrice]:
        await self.check()
        return self.price_list

    async def spend(
        self, account_id: AccountId, *, since_ms: int, until_ms: int
    ) -> Sequence[SpendRecord] | None:
        await self.check()
        return self.booked

    async def check(self) -> str:
        if self.is_down:
            raise billing_unavailable()
        return "1.83.0"


@dataclass
class FakeIdentity:
    """An identity provider that keeps passwords as they are; a reset code is always `code`."""

    name: str = "embedded"
    sends_mail: bool = True
    passwords: dict[str, str] = field(default_factory=dict)

    async def register(self, email: str, password: str, *, name: str) -> Identity | None:
        if email in self.passwords:
            raise Conflict("This address has an account already. Sign in.", code="email_taken")
        self.passwords[email] = password
        return Identity(subject=email, email=email, name=name)

    async def check_password(self, email: str, password: str) -> Identity:
        if self.passwords.get(email) != password:
            raise NotSignedIn("Address or password is wrong.", code="invalid_credentials")
        return Identity(subject=email, email=email, name="")

    async def change_password(self, subject: str, *, current: str, new: str) -> None:
        await self.check_password(subject, current)
        self.passwords[subject] = new

    async def send_reset(self, email: str) -> None:
        pass

    async def reset_password(self, email: str, code: str, new: str) -> Identity:
        if code != "code" or email not in self.passwords:
            raise NotSignedIn("This code is wrong or too old.", code="invalid_code")
        self.passwords[email] = new
        return Identity(subject=email, email=email, name="")

    async def delete(self, subject: str) -> None:
        self.passwords.pop(subject, None)


@dataclass
class FakeMailer:
    """Keeps the mail that was sent as (to, subject, text)."""

    sent: list[tuple[str, str, str]] = field(default_factory=list)

    async def send(self, to: str, *, subject: str, text: str) -> None:
        self.sent.append((to, subject, text))


@dataclass
class FakeTraces:
    """Keeps the recorded spans."""

    spans: list[Span] = field(default_factory=list)

    def record(self, span: Span) -> None:
        self.spans.append(span)

    def traceparent(self, span_id: SpanId) -> str:
        return f"00-{span_id.trace_id:032x}-{span_id.span_id:016x}-01"
