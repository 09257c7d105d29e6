"""The tables. Times are UTC milliseconds (`*_ms`), money is integer nano-dollars (`*_nano_usd`).

Rules that the database itself must enforce (one running turn per account, one account per
address) are unique indexes here, so that every process and both databases enforce them.

In a query, `col(Turn.id)` keeps the type of an id; `Turn.id` does not.
"""

# SQLModel types __tablename__ as a declared_attr; a plain string is its documented use.
# pyright: reportAssignmentType=false
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import AutoString, Field, SQLModel

# Importing the tables includes these.
from chat_platform.models import registration as registration
from chat_platform.models import spending as spending
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import (
    AccountId,
    AgentId,
    CallId,
    ConversationId,
    MessageId,
    TurnId,
    new_id,
)

# AutoString: SQLModel cannot tell the column type of a `NewType`.
# SQLite auto-increments only a column declared exactly INTEGER; Postgres needs 64 bits.
_COUNTER = BigInteger().with_variant(Integer, "sqlite")
_JSON = JSON().with_variant(JSONB(), "postgresql")


def _ms(**kwargs: Any) -> Any:
    return Field(sa_type=BigInteger, **kwargs)


def _nano(**kwargs: Any) -> Any:
    return Field(default=0, sa_type=BigInteger, **kwargs)


def _text(**kwargs: Any) -> Any:
    return Field(sa_type=Text, **kwargs)


class Account(SQLModel, table=True):
    """A person; owns everything below. `email` is stored normalised."""

    __tablename__ = "accounts"
    __table_args__ = (
        Index("uq_accounts_identity", "auth_provider", "auth_subject", unique=True),
        Index("uq_accounts_mailbox", "mailbox", unique=True),
        CheckConstraint("role in ('person', 'admin')", name="ck_accounts_role"),
    )

    id: AccountId = Field(sa_type=AutoString, default_factory=new_id, primary_key=True)
    email: str = _text(unique=True)
    mailbox: str | None = _text(default=None)
    """The mailbox behind the address, to recognise one person; null in development."""
    name: str = _text(default="")
    role: str = _text(default="person")
    language: str = _text(default="")
    """One of `LANGUAGES`, or empty: the browser's language."""
    theme: str = _text(default="system")
    auth_provider: str = _text()
    """`embedded` or `supabase`."""
    auth_subject: str = _text()
    """The provider's own id of the person."""
    password_hash: str | None = _text(default=None)
    """Embedded accounts only."""
    token_version: int = 0
    """Access tokens with an older version are invalid."""
    billing_key_version: int = 1
    billing_key_encrypted: str | None = _text(default=None)
    """The account's BillingKey if the gateway created it; null if it is derived."""
    disabled_at_ms: int | None = _ms(default=None)
    deleting_at_ms: int | None = _ms(default=None)
    """Set when deletion starts: the account can no longer sign in, its data is being deleted."""
    created_at_ms: int = _ms(default_factory=now_ms)
    last_active_at_ms: int | None = _ms(default=None)


class Agent(SQLModel, table=True):
    """The account's agent in the agent runtime."""

    __tablename__ = "agents"

    account_id: AccountId = Field(
        sa_type=AutoString, primary_key=True, foreign_key="accounts.id", ondelete="CASCADE"
    )
    agent_id: AgentId = _text(unique=True)
    """The runtime's id for it, as in the proxy's URL."""
    created_at_ms: int = _ms(default_factory=now_ms)


class Conversation(SQLModel, table=True):
    __tablename__ = "conversations"
    __table_args__ = (
        Index(
            "uq_conversations_default",
            "account_id",
            unique=True,
            sqlite_where=text("is_default"),
            postgresql_where=text("is_default"),
        ),
    )

    id: ConversationId = Field(sa_type=AutoString, default_factory=new_id, primary_key=True)
    account_id: AccountId = Field(sa_type=AutoString, foreign_key="accounts.id", ondelete="CASCADE")
    is_default: bool = True
    created_at_ms: int = _ms(default_factory=now_ms)


class Turn(SQLModel, table=True):
    """One running turn, or one memory action, per account at a time: the TurnLock."""

    __tablename__ = "turns"
    __table_args__ = (
        Index(
            "uq_turns_running",
            "account_id",
            unique=True,
            sqlite_where=text("status = 'running'"),
            postgresql_where=text("status = 'running'"),
        ),
        Index("uq_turns_idempotency", "account_id", "idempotency_key", unique=True),
        Index("ix_turns_account", "account_id", "created_at_ms"),
        Index(
            "ix_turns_untold",
            "account_id",
            "created_at_ms",
            sqlite_where=text("not is_known_to_agent"),
            postgresql_where=text("not is_known_to_agent"),
        ),
        Index(
            "ix_turns_loose_run",
            "account_id",
            sqlite_where=text("run_until_ms is not null"),
            postgresql_where=text("run_until_ms is not null"),
        ),
        CheckConstraint(
            "status in ('running', 'finished', 'failed', 'cancelled')", name="ck_turns_status"
        ),
    )

    id: TurnId = Field(sa_type=AutoString, default_factory=new_id, primary_key=True)
    account_id: AccountId = Field(sa_type=AutoString, foreign_key="accounts.id", ondelete="CASCADE")
    conversation_id: ConversationId | None = Field(
        sa_type=AutoString, default=None, foreign_key="conversations.id", ondelete="CASCADE"
    )
    kind: str = _text(default="message")
    """`message`, or `memory` for an action on the memory page that holds the lock."""
    status: str = _text(default="running")
    idempotency_key: str | None = _text(default=None)
    request_hash: str | None = _text(default=None)
    owner: str = _text()
    """The process that is running it."""
    lease_until_ms: int = _ms()
    """After this, other processes may settle the turn."""
    runtime_run_id: str | None = _text(default=None)
    """The agent runtime's id for the run, if another process can take it over."""
    run_until_ms: int | None = _ms(default=None)
    """For a turn that has ended: its run may still be going on, but not longer than this."""
    cancel_requested_at_ms: int | None = _ms(default=None)
    error_code: str | None = _text(default=None)
    error_detail: str | None = _text(default=None)
    is_known_to_agent: bool = True
    """False if the runtime dropped the exchange: the agent is told about it in its next turn."""
    created_at_ms: int = _ms(default_factory=now_ms)
    ended_at_ms: int | None = _ms(default=None)


class TurnEventRow(SQLModel, table=True):
    """The durable log of a turn: one row per TurnEvent, written only by `turns/event_log.py`."""

    __tablename__ = "turn_events"

    turn_id: TurnId = Field(
        sa_type=AutoString, primary_key=True, foreign_key="turns.id", ondelete="CASCADE"
    )
    number: int = Field(primary_key=True)
    type: str = _text()
    data: dict[str, Any] = Field(sa_column=Column(_JSON, nullable=False))
    created_at_ms: int = _ms(default_factory=now_ms)


class Message(SQLModel, table=True):
    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_conversation", "conversation_id", "position"),
        CheckConstraint("role in ('user', 'assistant')", name="ck_messages_role"),
        CheckConstraint("status in ('complete', 'partial', 'failed')", name="ck_messages_status"),
    )

    position: int | None = Field(
        default=None, sa_column=Column(_COUNTER, primary_key=True, autoincrement=True)
    )
    """Increases with every message: the order of the history."""
    id: MessageId = Field(sa_type=AutoString, default_factory=new_id, unique=True)
    account_id: AccountId = Field(
        sa_type=AutoString, foreign_key="accounts.id", ondelete="CASCADE", index=True
    )
    conversation_id: ConversationId = Field(
        sa_type=AutoString, foreign_key="conversations.id", ondelete="CASCADE"
    )
    turn_id: TurnId = Field(
        sa_type=AutoString, foreign_key="turns.id", ondelete="CASCADE", index=True
    )
    role: str = _text()
    content: str = _text()
    status: str = _text(default="complete")
    created_at_ms: int = _ms(default_factory=now_ms)


class ModelCall(SQLModel, table=True):
    """The Ledger: one row for each request through the proxy.

    `account_id` has no foreign key: amounts outlive the account, without naming it.
    """

    __tablename__ = "model_calls"
    __table_args__ = (
        Index("ix_model_calls_account", "account_id", "started_at_ms"),
        Index("ix_model_calls_turn", "turn_id"),
        Index(
            "ix_model_calls_open",
            "lease_until_ms",
            sqlite_where=text("state = 'dispatched'"),
            postgresql_where=text("state = 'dispatched'"),
        ),
        Index(
            "ix_model_calls_unsettled_cost",
            "started_at_ms",
            sqlite_where=text("cost_source in ('pending', 'estimated')"),
            postgresql_where=text("cost_source in ('pending', 'estimated')"),
        ),
        CheckConstraint(
            "state in ('dispatched', 'settled', 'failed', 'cancelled', 'unknown')",
            name="ck_model_calls_state",
        ),
    )

    id: CallId = Field(sa_type=AutoString, default_factory=new_id, primary_key=True)
    """Our call id; travels to LiteLLM and back."""
    account_id: AccountId = _text()
    agent_id: AgentId = _text()
    turn_id: TurnId | None = _text(default=None)
    kind: str = _text()
    """`chat` or `embedding` inside a turn, `background` outside any."""
    model: str = _text()
    state: str = _text(default="dispatched")
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano_usd: int = _nano()
    cost_source: str = _text(default="pending")
    """`header`, `stream`, `reconciled`, `estimated` or `pending`."""
    reserved_nano_usd: int = _nano()
    """The worst case, reserved in the budget while the call is open."""
    period_start_ms: int = _ms(default=0)
    """The budget period it is charged to."""
    upstream_status: int | None = None
    error_code: str | None = _text(default=None)
    gateway_call_id: str | None = _text(default=None)
    response_id: str | None = _text(default=None)
    owner: str = _text()
    lease_until_ms: int = _ms()
    started_at_ms: int = _ms(default_factory=now_ms)
    first_byte_ms: int | None = None
    """Milliseconds from dispatch to the first byte of the answer."""
    total_ms: int | None = None


class Budget(SQLModel, table=True):
    """What an account may spend in a period, and has spent. Counters change with ledger rows."""

    __tablename__ = "budgets"

    account_id: AccountId = Field(
        sa_type=AutoString, primary_key=True, foreign_key="accounts.id", ondelete="CASCADE"
    )
    limit_nano_usd: int = _nano()
    period: str = _text()
    """`30d`, `1mo`, ..."""
    period_start_ms: int = _ms()
    period_end_ms: int = _ms()
    spent_nano_usd: int = _nano()
    reserved_nano_usd: int = _nano()
    open_calls: int = 0
    background_spent_nano_usd: int = _nano()
    background_reserved_nano_usd: int = _nano()
    earlier_nano_usd: int = _nano(sa_column_kwargs={"server_default": "0"})
    """The part of `spent` that an earlier, deleted account of the same person spent."""


class BlockRevision(SQLModel, table=True):
    """A past value of a MemoryBlock, and what changed it."""

    __tablename__ = "block_revisions"
    __table_args__ = (Index("ix_block_revisions", "account_id", "label", "position"),)

    position: int | None = Field(
        default=None, sa_column=Column(_COUNTER, primary_key=True, autoincrement=True)
    )
    account_id: AccountId = Field(sa_type=AutoString, foreign_key="accounts.id", ondelete="CASCADE")
    label: str = _text()
    revision: str = _text()
    """A hash of the value."""
    value: str = _text()
    cause: str = _text()
    """`agent`, `person` or `undo`."""
    turn_id: TurnId | None = _text(default=None)
    message_id: MessageId | None = _text(default=None)
    step: int | None = None
    changed_at_ms: int = _ms(default_factory=now_ms)


class SignIn(SQLModel, table=True):
    """A browser or API client that is signed in. Its secret lives in SignInSecret, hashed."""

    __tablename__ = "sign_ins"

    id: str = Field(default_factory=new_id, primary_key=True)
    account_id: AccountId = Field(
        sa_type=AutoString, foreign_key="accounts.id", ondelete="CASCADE", index=True
    )
    kind: str = _text()
    """`browser` (cookie) or `api` (refresh token)."""
    device: str = _text(default="")
    created_at_ms: int = _ms(default_factory=now_ms)
    last_seen_at_ms: int = _ms(default_factory=now_ms)
    expires_at_ms: int = _ms()
    revoked_at_ms: int | None = _ms(default=None)


class SignInSecret(SQLModel, table=True):
    """The hash of a cookie or refresh token. Reuse of a refresh token means theft."""

    __tablename__ = "sign_in_secrets"

    secret_hash: str = Field(primary_key=True)
    sign_in_id: str = Field(foreign_key="sign_ins.id", ondelete="CASCADE", index=True)
    used_at_ms: int | None = _ms(default=None)
    created_at_ms: int = _ms(default_factory=now_ms)


class ApiToken(SQLModel, table=True):
    """A person's long-lived token for REST clients, hashed."""

    __tablename__ = "api_tokens"

    id: str = Field(default_factory=new_id, primary_key=True)
    account_id: AccountId = Field(
        sa_type=AutoString, foreign_key="accounts.id", ondelete="CASCADE", index=True
    )
    token_hash: str = Field(unique=True)
    prefix: str = _text()
    name: str = _text()
    scopes: str = _text()
    """Space-separated: `chat memory usage`."""
    created_at_ms: int = _ms(default_factory=now_ms)
    expires_at_ms: int | None = _ms(default=None)
    last_used_at_ms: int | None = _ms(default=None)
    revoked_at_ms: int | None = _ms(default=None)


class OneTimeCode(SQLModel, table=True):
    """A short-lived code for a password reset, hashed."""

    __tablename__ = "one_time_codes"

    code_hash: str = Field(primary_key=True)
    account_id: AccountId = Field(
        sa_type=AutoString, foreign_key="accounts.id", ondelete="CASCADE", index=True
    )
    purpose: str = _text()
    expires_at_ms: int = _ms()
    used_at_ms: int | None = _ms(default=None)


class AuditEntry(SQLModel, table=True):
    """Who did what when, without content. Outlives the accounts it names."""

    __tablename__ = "audit_entries"

    position: int | None = Field(
        default=None, sa_column=Column(_COUNTER, primary_key=True, autoincrement=True)
    )
    at_ms: int = _ms(default_factory=now_ms)
    actor_id: AccountId | None = _text(default=None)
    action: str = _text()
    subject_id: str | None = _text(default=None)
    detail: dict[str, Any] = Field(sa_column=Column(_JSON, nullable=False))
