"""Which tabs wait for news of their account in this process, and the wait itself.

A tab that is closed says nothing, so each wait is a lease that the page renews.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from chat_platform.context import AppContext
from chat_platform.ids import AccountId
from chat_platform.turn_events import TurnEvent

LEASE_SECONDS = 75.0
"""Longer than two of conversation.js's calls are apart: one may get lost."""

Tab = tuple[str, AccountId]
"""A browser tab's token, and whose account it shows."""

_leased_until: dict[Tab, float] = {}


def renew(tab: Tab, seconds: float = LEASE_SECONDS) -> bool:
    """Extend the tab's wait; return whether nobody waits for it yet in this process."""
    now = time.monotonic()
    is_new = _leased_until.get(tab, 0.0) <= now
    _leased_until[tab] = now + seconds
    return is_new


async def news_of(ctx: AppContext, tab: Tab) -> AsyncGenerator[None, None]:
    """Yield each time a turn begins in the tab's account, until the lease runs out."""
    _, account_id = tab
    try:
        with ctx.turn_feed.listen(account_id) as news:
            while (left := _leased_until.get(tab, 0.0) - time.monotonic()) > 0:
                if await _arrived(news, left):
                    yield
    finally:
        _leased_until.pop(tab, None)


async def _arrived(news: asyncio.Queue[Sequence[TurnEvent]], seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.get()
            return True
    return False
