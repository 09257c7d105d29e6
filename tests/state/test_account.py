"""Who uses a tab: its frame follows the sign-in, and nothing remains of the previous person."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from chat_platform.context import AppContext
from chat_platform.state.account import MAX_CRASH_CHARACTERS, AccountState
from chat_platform.state.chat import ChatState
from chat_platform.state.memory import MemoryState
from chat_platform.state.usage import UsageState
from tests.people import Person
from tests.state.tab import OpenTab
from tests.turn_talk import talk


async def loaded(person: Person, cookies: str = "") -> OpenTab:
    tab = OpenTab(f"{person.cookie}{cookies}")
    await tab.send(AccountState, "load")
    return tab


async def test_the_frame_shows_who_is_signed_in(alice: Person, root: Person):
    account = (await loaded(alice)).of(AccountState)

    assert (account.name, account.email) == ("Alice", "alice@example.com")
    assert not account.is_admin
    assert (await loaded(root)).of(AccountState).is_admin


@pytest.mark.parametrize(("cookies", "language"), [("", "en"), ("; language=ru", "ru")])
async def test_without_a_choice_the_browser_decides_on_the_language(
    alice: Person, cookies: str, language: str
):
    assert (await loaded(alice, cookies)).of(AccountState).language == language


async def test_another_account_in_the_same_tab_starts_from_nothing(
    ctx: AppContext, alice: Person, bob: Person
):
    await talk(ctx, alice, "Alice's secret")
    tab = await loaded(alice)
    for state in (ChatState, MemoryState, UsageState):
        await tab.send(state, "open")
    await tab.send(MemoryState, "edit", "human")
    assert "secret" in str(tab.everything())

    tab.use_cookie(bob.cookie)
    await tab.send(AccountState, "load")

    shown = str(tab.everything())
    assert tab.of(AccountState).email == "bob@example.com"
    assert "secret" not in shown
    assert alice.id not in shown
    assert (tab.of(MemoryState).editing, tab.of(ChatState)._known) == ("", [])


async def test_the_same_account_keeps_what_the_tab_shows(alice: Person):
    tab = await loaded(alice)
    await tab.send(MemoryState, "open")

    await tab.send(AccountState, "load")

    assert tab.of(MemoryState).is_loaded


async def test_who_is_signed_out_is_sent_away_and_leaves_nothing(ctx: AppContext, alice: Person):
    await talk(ctx, alice, "Alice's secret")
    tab = await loaded(alice)
    await tab.send(ChatState, "open")

    tab.use_cookie("")
    (away,) = await tab.send(AccountState, "load")

    assert "/login" in str(away)
    assert "secret" not in str(tab.everything())
    assert tab.of(AccountState).email == ""


async def test_a_notice_is_counted_so_that_the_same_words_show_again(alice: Person):
    tab = await loaded(alice)

    await tab.send(AccountState, "show_problem", "Gone.", "{}")
    await tab.send(AccountState, "dismiss_notice")
    await tab.send(AccountState, "show_problem", "Gone.", "{}")

    account = tab.of(AccountState)
    assert (account.notice, account.notice_number) == ("Gone.", 2)


@pytest.mark.parametrize("error", ["x" * 100_000, "", None, {"a": 1}])
async def test_a_crash_is_logged_in_short_whatever_the_browser_sends(alice: Person, error: Any):
    tab = await loaded(alice)

    with capture_logs() as logs:
        await tab.send(AccountState, "report_crash", error)

    (entry,) = [entry for entry in logs if entry["event"] == "page.crashed"]
    assert len(entry["error"]) <= MAX_CRASH_CHARACTERS
