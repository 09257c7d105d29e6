"""All figures that an operator watches, as every door shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from chat_platform import __version__
from chat_platform.billing.platform_budget import PlatformBudget, platform_budget
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.operations.background import Background, background
from chat_platform.operations.failures import Failures, failures
from chat_platform.operations.peers import Peer, peers
from chat_platform.operations.people import People, people
from chat_platform.operations.spending import Spending, spending
from chat_platform.operations.times import times_at
from chat_platform.values.clock import now_ms


@dataclass(frozen=True)
class Overview:
    at_ms: int
    version: str
    schema: str
    """The database's last migration."""
    people: People
    spending: Spending
    caps: PlatformBudget
    failures: Failures
    peers: Sequence[Peer]
    background: Background


async def overview(ctx: AppContext) -> Overview:
    """Return everything as it is now. A peer that is down is reported, and raises nothing."""
    times = times_at(now_ms())
    return Overview(
        at_ms=times.now_ms,
        version=__version__,
        schema=await _schema(ctx),
        people=await people(ctx, times),
        spending=await spending(ctx, times),
        caps=await platform_budget(ctx),
        failures=await failures(ctx, times),
        peers=await peers(ctx),
        background=await background(ctx, times),
    )


async def _schema(ctx: AppContext) -> str:
    async with reading(ctx.engine) as session:
        return (await session.execute(text("select version_num from alembic_version"))).scalar_one()
