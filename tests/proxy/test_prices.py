"""What happens to known prices when the gateway answers oddly."""

import pytest

from chat_platform.context import AppContext
from chat_platform.errors import UpstreamFailed
from chat_platform.ports import ModelPrice
from chat_platform.proxy.prices import FRESH_SECONDS, PriceList
from tests.fakes import FakeGateway

PRICE = ModelPrice(1000, 1000)


class Clock:
    """The list is too old at each access."""

    now = 0.0

    def __call__(self) -> float:
        self.now += FRESH_SECONDS + 1
        return self.now


class _Html(FakeGateway):
    async def prices(self) -> dict[str, ModelPrice]:
        raise UpstreamFailed("Billing answered no JSON.", code="billing_failed")


@pytest.mark.parametrize("odd", [FakeGateway(price_list={}), _Html()], ids=["empty", "html"])
async def test_known_prices_outlive_an_odd_answer(
    ctx: AppContext, gateway: FakeGateway, odd: FakeGateway
):
    gateway.price_list = {"demo-chat": PRICE}
    known = PriceList(Clock())
    await known.price_of(ctx, "demo-chat")
    object.__setattr__(ctx, "billing", odd)

    assert await known.price_of(ctx, "demo-chat") == PRICE


async def test_a_model_that_is_no_more_listed_has_no_price(ctx: AppContext, gateway: FakeGateway):
    known = PriceList(Clock())
    await known.price_of(ctx, "demo-chat")
    del gateway.price_list["demo-chat"]

    assert await known.price_of(ctx, "demo-chat") is None
