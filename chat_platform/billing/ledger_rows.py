"""What is written to the ledger: an intent before a call, then its settlement. Plain data."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from chat_platform.billing.reservations import BudgetRefusal
from chat_platform.ids import AccountId, AgentId, CallId, TurnId

CallKind = Literal["chat", "embedding", "background"]
CallState = Literal["dispatched", "settled", "failed", "cancelled", "unknown"]
CostSource = Literal["header", "stream", "reconciled", "estimated", "pending"]

LEASE_SECONDS = 30
"""How long a call belongs to its process without a sign of life."""
LOOK_BACK_MS = 48 * 3_600_000
"""Older calls keep our estimate: the gateway would have told by now."""


class Tokens(NamedTuple):
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """What the settings say of budgets: of new ones, and of every one's background share."""

    limit_nano_usd: int
    period: str
    background_percent: int


@dataclass(frozen=True, slots=True)
class Intent:
    """A call that is about to be sent."""

    call_id: CallId
    account_id: AccountId
    agent_id: AgentId
    key_version: int
    """Of the BillingKey that the call would be sent with."""
    kind: Literal["chat", "embedding"]
    model: str
    worst_case_nano_usd: int
    owner: str
    now_ms: int
    terms: BudgetTerms


IntentRefusal = Literal[
    BudgetRefusal, "agent_not_found", "account_disabled", "key_replaced", "turn_cancelled"
]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was written, nothing may be sent."""

    reason: IntentRefusal
    resets_at_ms: int | None = None
    spent_nano_usd: int = 0


@dataclass(frozen=True, slots=True)
class Opened:
    """The intent is committed: the call may be sent."""

    turn_id: TurnId | None
    held_nano_usd: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a call ended, said by the process that made it."""

    call_id: CallId
    account_id: AccountId
    state: Literal["settled", "failed", "cancelled"]
    tokens: Tokens
    cost_nano_usd: int
    cost_source: CostSource
    total_ms: int
    first_byte_ms: int | None = None
    upstream_status: int | None = None
    error_code: str | None = None
    gateway_call_id: str | None = None
    response_id: str | None = None


@dataclass(frozen=True, slots=True)
class Expiry:
    """A call whose process died: nobody can say how it ended, until the gateway does."""

    call_id: CallId
    account_id: AccountId
    now_ms: int


@dataclass(frozen=True, slots=True)
class Correction:
    """What the gateway booked for a call whose cost we did not know for sure."""

    call_id: CallId
    account_id: AccountId
    cost_nano_usd: int
    prompt_tokens: int
    completion_tokens: int
    is_success: bool
    response_id: str | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A call whose cost nobody will ever tell: its provisional cost becomes our estimate."""

    call_id: CallId
    account_id: AccountId


@dataclass(frozen=True, slots=True)
class Renewal:
    """Open calls whose process is alive."""

    call_ids: list[CallId]
    lease_until_ms: int


Entry = Intent | Settlement | Expiry | Correction | GivenUp | Renewal


class CallRow(NamedTuple):
    """The changing columns of a row of `model_calls`, in the order in which they are read."""

    id: CallId
    account_id: str
    kind: str
    state: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost_nano_usd: int
    cost_source: str
    reserved_nano_usd: int
    period_start_ms: int
    lease_until_ms: int
    upstream_status: int | None
    error_code: str | None
    gateway_call_id: str | None
    response_id: str | None
    first_byte_ms: int | None
    total_ms: int | None
