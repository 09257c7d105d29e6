"""What each model costs, as the billing gateway lists it; asked again every few minutes."""

import asyncio
import time

from chat_platform.context import AppContext
from chat_platform.errors import PlatformError
from chat_platform.ports import ModelPrice

FRESH_SECONDS = 300
_ASK_AGAIN_SECONDS = 5


class PriceList:
    """The prices of one process. An old list is better than none while the gateway is down."""

    def __init__(self) -> None:
        self._prices: dict[str, ModelPrice] = {}
        self._ask_at = 0.0
        self._lock = asyncio.Lock()

    async def price_of(self, ctx: AppContext, model: str) -> ModelPrice | None:
        """Return the model's price, None where it has none. Raises Unavailable, UpstreamFailed."""
        price = self._prices.get(model)
        if price is None or time.monotonic() >= self._ask_at:
            await self._refresh(ctx)
            price = self._prices.get(model)
        return price

    async def _refresh(self, ctx: AppContext) -> None:
        async with self._lock:
            if self._prices and time.monotonic() < self._ask_at:
                return
            try:
                self._prices = await ctx.billing.prices()
                self._ask_at = time.monotonic() + FRESH_SECONDS
            except PlatformError:
                if not self._prices:
                    raise
                self._ask_at = time.monotonic() + _ASK_AGAIN_SECONDS
