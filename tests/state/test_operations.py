"""The page of what an operator watches: who may see it, and how its figures read."""

import pytest

from chat_platform.context import AppContext
from chat_platform.errors import NotFound
from chat_platform.settings import Settings
from chat_platform.state.operations import OperationsState
from chat_platform.values.clock import now_ms
from tests.fakes import FakeGateway
from tests.operations.test_overview import add_call
from tests.people import Person
from tests.state.tab import OpenTab


async def opened(person: Person) -> OpenTab:
    tab = OpenTab(person.cookie)
    await tab.send(OperationsState, "open")
    return tab


async def test_others_are_sent_to_the_missing_page(alice: Person):
    tab = OpenTab(alice.cookie)

    (away,) = await tab.send(OperationsState, "open")

    assert "/404" in str(away)
    assert not tab.of(OperationsState).is_loaded
    with pytest.raises(NotFound):
        await tab.send(OperationsState, "refresh")


async def test_figures_are_words_in_the_persons_language(ctx: AppContext, root: Person):
    await add_call(ctx, now_ms(), cost_nano_usd=1_500_000_000)

    shown = (await opened(root)).of(OperationsState)

    today, month = shown.spending
    assert (today["name"], today["value"], today["about"]) == ("Today", "$1.50", "1 model call")
    assert month["value"] == "$1.50"
    [model] = shown.models
    assert (model["name"], model["value"], model["share"]) == ("demo-chat", "$1.50", "100.0%")
    assert shown.is_loaded
    assert shown.as_of.startswith("As of ")


async def test_a_peer_that_is_down_stands_out(root: Person, gateway: FakeGateway):
    gateway.is_down = True

    shown = (await opened(root)).of(OperationsState)

    states = {peer["name"]: peer["state"] for peer in shown.parts}
    assert states == {
        "AI Chat Platform": "",
        "Database": "",
        "Agent server": "",
        "Billing gateway": "bad",
    }


async def test_a_refresh_shows_what_has_changed(ctx: AppContext, root: Person):
    tab = await opened(root)
    await add_call(ctx, now_ms())

    await tab.send(OperationsState, "refresh")

    assert tab.of(OperationsState).spending[0]["about"] == "1 model call"


class TestWithCaps:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"platform_daily_budget": "2"})

    async def test_the_used_part_of_a_cap_is_a_gauge(self, root: Person):
        shown = (await opened(root)).of(OperationsState)

        [cap] = shown.caps
        assert (cap["value"], cap["share"], cap["state"]) == ("$0.00 of $2.00", "0.0%", "")
