"""Which tabs in this process wait for news of their account, and the wait itself.

A closed tab sends nothing, so each wait is a lease that the page renews.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from chat_platform.context import AppContext
from chat_platform.turns.events import TurnEvent
from chat_platform.values.ids import AccountId

LEASE_SECONDS = 75.0
"""More than two intervals of conversation.js's calls, since one may get lost."""

Tab = tuple[str, AccountId]
"""A browser tab's token, and whose account it shows."""

_leased_until: dict[Tab, float] = {}


def renew(tab: Tab, seconds: float = LEASE_SECONDS) -> bool:
    """Extend the tab's wait; return whether a new wait must be started in this process."""
    now = time.monotonic()
    is_new = _leased_until.get(tab, 0.0) <= now
    if is_new:
        _forget_ended(now)
    _leased_until[tab] = now + seconds
    return is_new


def _forget_ended(now: float) -> None:
    """Forget the tabs that were gone before their wait began: no end of it forgets them."""
    for tab in [tab for tab, until in _leased_until.items() if until <= now]:
        del _leased_until[tab]


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
