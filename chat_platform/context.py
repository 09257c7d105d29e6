"""What every part of the running server shares: settings, database, adapters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncEngine

from chat_platform.database.writer import GroupWriter
from chat_platform.ports import (
    AddressConfirmation,
    AgentMemory,
    AgentRuntime,
    BillingGateway,
    ForeignTokens,
    IdentityProvider,
    TraceCollector,
)
from chat_platform.process.rate_limits import RateLimits
from chat_platform.settings import Settings
from chat_platform.values.ids import new_id

if TYPE_CHECKING:
    # Parts of the domain, which itself imports this module: `wiring` makes them.
    from chat_platform.accounts.open_readers import OpenReaders
    from chat_platform.billing.open_calls import OpenCalls
    from chat_platform.billing.unsettled import Unsettled
    from chat_platform.turns.feed import TurnFeed
    from chat_platform.turns.running import RunningTurns


@dataclass(frozen=True)
class AppContext:
    """One process's context. `wiring.new_context` makes it."""

    settings: Settings
    engine: AsyncEngine
    writer: GroupWriter
    runtime: AgentRuntime
    memory: AgentMemory
    billing: BillingGateway
    identity: IdentityProvider
    open_calls: OpenCalls
    """The model calls that this process is relaying."""
    unsettled: Unsettled
    """Settlements of model calls that the database could not store yet."""
    open_readers: OpenReaders
    """The readers to whom this process is sending long answers."""
    confirmation: AddressConfirmation | None
    """None if addresses are not confirmed."""
    foreign_tokens: ForeignTokens | None
    """None if only our own access tokens are accepted."""
    traces: TraceCollector | None
    """None if nobody collects traces."""
    limits: RateLimits
    turn_feed: TurnFeed
    running_turns: RunningTurns
    process_id: str = field(default_factory=new_id)
    """This process's name as the owner of turns and calls."""


_current: list[AppContext] = []


def set_app_context(ctx: AppContext | None) -> None:
    """Called only by the lifespan: sets the context for the state classes."""
    _current[:] = [ctx] if ctx else []


def app_context() -> AppContext:
    if not _current:
        raise RuntimeError("the server has not started")
    return _current[0]
