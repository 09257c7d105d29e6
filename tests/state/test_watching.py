"""A tab waits for news of its account as long as it reports that it is open."""

import asyncio

from chat_platform.context import AppContext
from chat_platform.state.watching import Tab, _leased_until, news_of, renew
from chat_platform.turns import control
from chat_platform.values.ids import AccountId
from tests.people import Person


async def test_a_turn_that_begins_wakes_the_accounts_tabs_at_once(ctx: AppContext, alice: Person):
    tab: Tab = ("a tab", alice.id)
    renew(tab)
    news = news_of(ctx, tab)
    waiting = asyncio.ensure_future(anext(news))
    await asyncio.sleep(0)

    await control.start_turn(ctx, alice.account, text="Hello")

    async with asyncio.timeout(1):
        await waiting
    await news.aclose()


async def test_other_accounts_turns_wake_nobody(ctx: AppContext, alice: Person, bob: Person):
    tab: Tab = ("a tab", alice.id)
    renew(tab, 0.3)

    async def count() -> int:
        return len([None async for _ in news_of(ctx, tab)])

    counting = asyncio.create_task(count())
    await asyncio.sleep(0)
    await control.start_turn(ctx, bob.account, text="Hello")

    assert await counting == 0


async def test_the_wait_ends_when_the_tab_says_nothing_any_more(ctx: AppContext):
    tab: Tab = ("a tab", AccountId("nobody"))
    renew(tab, 0.05)

    async with asyncio.timeout(1):
        assert [None async for _ in news_of(ctx, tab)] == []

    assert renew(tab, 0.05)


async def test_a_tab_that_is_waited_for_needs_no_second_wait():
    tab: Tab = ("another tab", AccountId("nobody"))

    assert renew(tab)
    assert not renew(tab)


async def test_a_tab_that_goes_before_its_wait_begins_is_forgotten():
    gone: Tab = ("a tab that was closed", AccountId("nobody"))
    renew(gone, 0.0)

    renew(("the next tab", AccountId("nobody")))

    assert gone not in _leased_until
