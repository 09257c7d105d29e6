"""The price of each model, as listed by the billing gateway; refreshed every few minutes."""

import asyncio
import time
from collections.abc import Callable

from chat_platform.context import AppContext
from chat_platform.errors import PlatformError
from chat_platform.ports import ModelPrice

FRESH_SECONDS = 300
_ASK_AGAIN_SECONDS = 5


class PriceList:
    """The prices, per process. While the gateway is down an old list is better than none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._prices: dict[str, ModelPrice] = {}
        self._ask_at = 0.0
        self._lock = asyncio.Lock()

    async def price_of(self, ctx: AppContext, model: str) -> ModelPrice | None:
        """Return the model's price, None if it has none. Raises Unavailable, UpstreamFailed."""
        price = self._prices.get(model)
        if price is None or self._clock() >= self._ask_at:
            await self._refresh(ctx)
            price = self._prices.get(model)
        return price

    async def _refresh(self, ctx: AppContext) -> None:
        async with self._lock:
            if self._prices and self._clock() < self._ask_at:
                return
            try:
                # A starting gateway returns an empty list: its models still exist.
                self._prices = await ctx.billing.prices() or self._prices
                self._ask_at = self._clock() + FRESH_SECONDS
            except PlatformError:
                if not self._prices:
                    raise
                self._ask_at = self._clock() + _ASK_AGAIN_SECONDS
