"""What is written to the ledger: an intent before a call, then its settlement. Plain data."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from chat_platform.billing.platform_caps import CapRefusal
from chat_platform.billing.reservations import BudgetRefusal
from chat_platform.values.ids import AccountId, AgentId, CallId, TurnId
from chat_platform.values.money import NANO_PER_USD

CallKind = Literal["chat", "embedding", "background"]
CallState = Literal["dispatched", "settled", "failed", "cancelled", "unknown"]
CostSource = Literal["header", "stream", "reconciled", "estimated", "pending"]

LEASE_SECONDS = 30
"""How long a call belongs to its process without a renewal."""
LOOK_BACK_MS = 48 * 3_600_000
"""Older calls keep our estimate: the gateway would have reported them by now."""

MAX_TOKENS = 100_000_000
MAX_COST_NANO_USD = 10_000 * NANO_PER_USD
"""More than any call uses or costs: a larger figure is the gateway's mistake, and may not even
fit into its column."""


class Tokens(NamedTuple):
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0


def sane_tokens(tokens: Tokens) -> Tokens:
    """Return them within the limits of their columns."""
    return Tokens(*(min(max(0, count), MAX_TOKENS) for count in tokens))


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """The settings for new budgets, and for every budget's background share."""

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
    """The version of the BillingKey that the call is sent with."""
    kind: Literal["chat", "embedding"]
    model: str
    worst_case_nano_usd: int
    owner: str
    now_ms: int
    terms: BudgetTerms
    prompt_tokens: int = 0
    """Our estimate, in case the gateway never reports them."""
    least_nano_usd: int = 0
    """With less than this the call is not worth sending."""


IntentRefusal = Literal[
    BudgetRefusal,
    CapRefusal,
    "agent_not_found",
    "account_disabled",
    "key_replaced",
    "turn_cancelled",
    "turn_over",
]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was written; the call must not be sent."""

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
    """How a call ended, as reported by the process that made it."""

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
    """A call whose process died: how it ended is unknown until the gateway reports it."""

    call_id: CallId
    account_id: AccountId
    lease_until_ms: int
    """The lease that ran out: a call whose lease has been renewed since stays open."""
    cost_nano_usd: int = 0
    """The estimated cost of its prompt, which was sent as far as we know."""


@dataclass(frozen=True, slots=True)
class Correction:
    """The gateway's figures for a call whose cost was uncertain."""

    call_id: CallId
    account_id: AccountId
    cost_nano_usd: int
    prompt_tokens: int
    completion_tokens: int
    is_success: bool
    response_id: str | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A call whose cost will never be reported: its provisional cost becomes our estimate."""

    call_id: CallId
    account_id: AccountId


@dataclass(frozen=True, slots=True)
class Renewal:
    """Open calls whose process is alive."""

    call_ids: list[CallId]


Entry = Intent | Settlement | Expiry | Correction | GivenUp | Renewal


class CallRow(NamedTuple):
    """The columns of `model_calls` that a change needs, in the order they are read."""

    id: CallId
    account_id: AccountId
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
    started_at_ms: int
    lease_until_ms: int
    upstream_status: int | None
    error_code: str | None
    gateway_call_id: str | None
    response_id: str | None
    first_byte_ms: int | None
    total_ms: int | None
