"""What every part of the running server shares: settings, database, adapters."""

from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from chat_platform.db import GroupWriter
from chat_platform.ids import new_id
from chat_platform.open_calls import OpenCalls
from chat_platform.ports import (
    AddressConfirmation,
    AgentMemory,
    AgentRuntime,
    BillingGateway,
    ForeignTokens,
    IdentityProvider,
)
from chat_platform.rate_limits import RateLimits
from chat_platform.running_turns import RunningTurns
from chat_platform.settings import Settings
from chat_platform.turn_feed import TurnFeed


@dataclass(frozen=True)
class AppContext:
    settings: Settings
    engine: AsyncEngine
    writer: GroupWriter
    runtime: AgentRuntime
    memory: AgentMemory
    billing: BillingGateway
    identity: IdentityProvider
    open_calls: OpenCalls = field(default_factory=OpenCalls)
    """The model calls that this process is relaying."""
    confirmation: AddressConfirmation | None = None
    """None where addresses are not confirmed."""
    foreign_tokens: ForeignTokens | None = None
    """None where our own access tokens are the only ones."""
    limits: RateLimits = field(default_factory=RateLimits)
    turn_feed: TurnFeed = field(default_factory=TurnFeed)
    running_turns: RunningTurns = field(default_factory=RunningTurns)
    process_id: str = field(default_factory=new_id)
    """Owner of the turns and calls that this process runs."""


_current: list[AppContext] = []


def set_app_context(ctx: AppContext | None) -> None:
    """Called by the lifespan alone: the context that state classes find."""
    _current[:] = [ctx] if ctx else []


def app_context() -> AppContext:
    if not _current:
        raise RuntimeError("the server has not started")
    return _current[0]
