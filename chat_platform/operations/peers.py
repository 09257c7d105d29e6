"""Whether each part that a message needs is available, how quickly it answers, and its version."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass

from sqlalchemy import text

from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.errors import PlatformError

PART_SECONDS = 5
"""How long a part may take to answer. Those who ask, Prometheus too, wait about ten."""
OK = "ok"


@dataclass(frozen=True)
class Peer:
    name: str
    """`database`, `agent_server` or `billing_gateway`."""
    word: str
    """`ok`, or what is wrong with it."""
    ms: int
    """How long it took to answer, or to fail."""
    version: str
    """Empty if it does not tell."""

    @property
    def is_ok(self) -> bool:
        return self.word == OK


async def peers(ctx: AppContext, *, seconds: float = PART_SECONDS) -> list[Peer]:
    checks = {
        "database": _database(ctx),
        "agent_server": ctx.runtime.check(),
        "billing_gateway": ctx.billing.check(),
    }
    return await asyncio.gather(*(_checked(name, check, seconds) for name, check in checks.items()))


async def parts_of(ctx: AppContext, *, seconds: float = PART_SECONDS) -> dict[str, str]:
    """Return for each part that a message needs `ok`, or what is wrong with it."""
    return {peer.name: peer.word for peer in await peers(ctx, seconds=seconds)}


async def _checked(name: str, check: Awaitable[str | None], seconds: float) -> Peer:
    began = time.perf_counter()
    word, version = OK, None
    try:
        version = await asyncio.wait_for(check, seconds)
    except PlatformError as error:
        word = str(error)
    except Exception:
        word = "failing"
    ms = round((time.perf_counter() - began) * 1000)
    return Peer(name, word, ms, version or "")


async def _database(ctx: AppContext) -> str:
    is_sqlite = ctx.settings.is_on_sqlite
    question = "select sqlite_version()" if is_sqlite else "show server_version"
    async with reading(ctx.engine) as session:
        version = (await session.execute(text(question))).scalar_one()
    return f"{'SQLite' if is_sqlite else 'PostgreSQL'} {version.partition(' ')[0]}"
