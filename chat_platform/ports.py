"""What the platform needs from others: an agent runtime, a billing gateway, an identity provider.

Adapters implement these Protocols and translate every vendor failure into a PlatformError.
Nothing here names a vendor.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from chat_platform.values.ids import AccountId, AgentId, CallId
from chat_platform.values.spans import Span, SpanId

StepKind = Literal["model_call", "tool_call", "memory_edit", "embedding", "compaction"]
StepStatus = Literal["started", "done", "failed"]


@dataclass(frozen=True)
class RunStarted:
    """The runtime accepted the message; `run_id` lets another process take the run over."""

    run_id: str | None


@dataclass(frozen=True)
class TextPiece:
    """The next piece of the reply, in order."""

    text: str


@dataclass(frozen=True)
class StepChanged:
    """The agent began or ended a step. `detail` is short and safe to show to its person."""

    kind: StepKind
    name: str
    status: StepStatus
    detail: str = ""


RunEvent = RunStarted | TextPiece | StepChanged


@dataclass(frozen=True)
class MemoryBlock:
    label: str
    description: str
    value: str
    limit: int
    """In characters. The runtime may not enforce it: we do."""
    updated_at_ms: int | None


@dataclass(frozen=True)
class Passage:
    id: str
    text: str
    created_at_ms: int


@dataclass(frozen=True)
class AgentState:
    agent_id: AgentId
    model: str
    created_at_ms: int


class RunCancelled(Exception):
    """A run was ended by `cancel`, and its reader did not ask for it."""


class AgentRuntime(Protocol):
    """Runs the stateful agents. Errors: Unavailable, UpstreamFailed, BudgetSpent."""

    async def ensure_agent(
        self, account_id: AccountId, agent_id: AgentId | None, *, person_name: str
    ) -> AgentState:
        """Return the account's agent, created or updated to match the settings.

        Finds an agent created by an earlier, interrupted call. Callers serialise per account.
        """
        ...

    def run(
        self, agent_id: AgentId, text: str, *, note: str = ""
    ) -> AsyncGenerator[RunEvent, None]:
        """Post the message once and yield what happens until the run is over.

        `note` tells the agent what it lacks from earlier turns. Closing the iterator does not end
        the run; `cancel` does. Never retries: a second post would be a second message. Raises
        RunCancelled when the run was cancelled elsewhere: it ends by itself for who cancelled it.
        """
        ...

    def resume(self, agent_id: AgentId, run_id: str) -> AsyncGenerator[RunEvent, None]:
        """Yield all events of a run from its beginning; Unavailable if the runtime cannot."""
        ...

    async def cancel(self, agent_id: AgentId, run_id: str | None = None) -> None:
        """End that run, or whatever the agent is running; without effect when there is none.

        Once it has returned, the run begins no further step. Raises Unavailable.
        """
        ...

    async def delete_agent(self, agent_id: AgentId) -> None:
        """Delete the agent with its blocks and archive; succeeds if it no longer exists."""
        ...

    async def check(self) -> str | None:
        """Return its version if it tells. Raise Unavailable when the runtime cannot serve."""
        ...


class AgentMemory(Protocol):
    """Reads and changes what an agent remembers. Errors as AgentRuntime's, and NotFound."""

    async def blocks(self, agent_id: AgentId) -> list[MemoryBlock]: ...

    async def write_block(self, agent_id: AgentId, label: str, value: str) -> MemoryBlock: ...

    async def passages(
        self, agent_id: AgentId, *, query: str = "", limit: int = 50, before: str | None = None
    ) -> list[Passage]:
        """Newest first; with a query, closest in meaning first (embedding it costs)."""
        ...

    async def count(self, agent_id: AgentId) -> tuple[int, int]:
        """Return the number of passages in the archive and of messages in recall."""
        ...

    async def add_passage(self, agent_id: AgentId, text: str) -> Passage: ...

    async def delete_passage(self, agent_id: AgentId, passage_id: str) -> None: ...


@dataclass(frozen=True)
class ModelPrice:
    """What a model costs, in nano-dollars per million tokens (exact for every listed price)."""

    input_nano_usd_per_million: int
    output_nano_usd_per_million: int
    max_output_tokens: int | None = None


@dataclass(frozen=True)
class SpendRecord:
    """What the gateway recorded for one call."""

    call_id: CallId
    cost_nano_usd: int
    prompt_tokens: int
    completion_tokens: int
    is_success: bool
    gateway_call_id: str | None = None
    response_id: str | None = None


class BillingGateway(Protocol):
    """Owns keys and prices. Errors: Unavailable, UpstreamFailed."""

    async def open_account(self, account_id: AccountId, *, key_version: int) -> str:
        """Return the account's BillingKey, created idempotently with its safety limit."""
        ...

    async def replace_key(self, account_id: AccountId, *, key_version: int) -> str:
        """Revoke all older keys of the account and return its new one."""
        ...

    async def set_blocked(self, account_id: AccountId, *, is_blocked: bool) -> None: ...

    async def close_account(self, account_id: AccountId) -> None:
        """Delete the account's keys and user; succeeds if they no longer exist."""
        ...

    async def prices(self) -> dict[str, ModelPrice]:
        """Return the price of every model that the gateway can charge for, by model name."""
        ...

    async def spend(
        self, account_id: AccountId, *, since_ms: int, until_ms: int
    ) -> Sequence[SpendRecord] | None:
        """Return what the gateway recorded for our calls, or None if it keeps no spend logs."""
        ...

    async def check(self) -> str | None:
        """Return its version if it tells. Raise Unavailable when the gateway cannot serve."""
        ...


@dataclass(frozen=True)
class Identity:
    """A person as the identity provider knows them. `email` is normalised."""

    subject: str
    email: str
    name: str
    password_hash: str | None = field(default=None, repr=False)
    """For a new person whose password our own database stores."""


class IdentityProvider(Protocol):
    """Verifies who a person is.

    Errors: NotSignedIn, NotAllowed, Conflict, Invalid, RateLimited, Unavailable.
    """

    name: str
    sends_mail: bool
    """True if one-time codes can be sent by email."""

    async def register(self, email: str, password: str, *, name: str) -> Identity | None:
        """Return the new identity, or None when the address must be confirmed first."""
        ...

    async def check_password(self, email: str, password: str) -> Identity: ...

    async def change_password(self, subject: str, *, current: str, new: str) -> None: ...

    async def send_reset(self, email: str) -> None:
        """Send a one-time code if the address is known; the result never reveals it."""
        ...

    async def reset_password(self, email: str, code: str, new: str) -> Identity: ...

    async def delete(self, subject: str) -> None:
        """Delete the person; succeeds if they no longer exist."""
        ...


class AddressConfirmation(Protocol):
    """Confirms addresses with a code sent by email. Raises the errors of IdentityProvider."""

    async def resend(self, email: str) -> None:
        """Send the code again if the address is waiting for one; the result never reveals it."""
        ...

    async def confirm(self, email: str, code: str) -> Identity: ...


class ForeignTokens(Protocol):
    """Verifies access tokens issued by the identity provider itself.

    Errors: NotSignedIn, Unavailable.
    """

    async def identity_of(self, token: str) -> Identity: ...

    async def ensure_current(self, token: str) -> None:
        """Ask the provider whether the token's person still exists."""
        ...


class TraceCollector(Protocol):
    """Collects what took how long, for operators. Never fails, and waits for nothing."""

    def record(self, span: Span) -> None:
        """Take a span that has ended. Called in the event loop."""
        ...

    def traceparent(self, span_id: SpanId) -> str:
        """Return the span's id as W3C's header `traceparent`."""
        ...


class Mailer(Protocol):
    """Sends mail to people. Errors: Unavailable."""

    async def send(self, to: str, *, subject: str, text: str) -> None: ...
