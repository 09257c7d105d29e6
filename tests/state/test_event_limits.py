"""How often one person may do what on the pages: every handler, in the same counts as REST."""

import httpx
import pytest

from chat_platform.context import AppContext
from chat_platform.errors import PlatformError, RateLimited
from chat_platform.process.rate_limits import SEARCHES_OF_ACCOUNT
from chat_platform.state.chat import ChatState
from chat_platform.state.search import SearchState
from tests.api.test_account_limits import COSTLY, use_up
from tests.people import Person
from tests.state.tab import OpenTab
from tests.state.test_every_handler import HANDLERS, Handler

READS = {
    "AccessState.open",
    "AccountState.load",
    "AdminState.open",
    "AdminState.show_more_entries",
    "ChatState.check",
    "ChatState.follow",
    "ChatState.open",
    "ChatState.show_message",
    "ChatState.show_newer",
    "ChatState.show_newest",
    "ChatState.show_older",
    "ChatState.watch",
    "InvitationsState.open",
    "InvitationsState.show_more_invitations",
    "MemoryState.open",
    "ReceiptState.toggle",
    "SearchState.open_result",
    "SettingsState.open",
}
"""They read a page of existing data."""
OF_THE_TAB = {
    "AccountState.fall_asleep",
    "AdminState.edit",
    "ArchiveState.doubt",
    "MemoryState.edit",
    "MemoryState.stop_editing",
}
"""They open and close what the page shows."""
ALWAYS = {
    "AccessState.end_others",
    "AccessState.end_sign_in",
    "AccessState.revoke_token",
    "ChatState.stop",
    "SettingsState.change_password",
    "SettingsState.delete_account",
}
"""They end a credential or the spending; those that need a password count the wrong ones."""
MESSAGES = {"ChatState.send", "ChatState.try_again"}
"""The turn counts them, and the composer shows the refusal itself."""


@pytest.mark.parametrize("handler", HANDLERS, ids=str)
async def test_every_handler_is_limited_or_has_a_reason(
    ctx: AppContext, root: Person, handler: Handler
):
    await use_up(ctx, root, *COSTLY)
    is_refused = False

    try:
        await OpenTab(root.cookie).send(handler.state, handler.name, *handler.arguments({}))
    except RateLimited:
        is_refused = True
    except PlatformError:
        pass

    assert is_refused == (str(handler) not in READS | OF_THE_TAB | ALWAYS | MESSAGES)


async def test_a_message_of_a_page_counts_as_one_of_rest(ctx: AppContext, alice: Person):
    await use_up(ctx, alice, *COSTLY)
    tab = OpenTab(alice.cookie)

    await tab.send(ChatState, "send", {"text": "Hello", "nonce": "one"})

    assert tab.of(ChatState).refusal == "Too many attempts. Wait a little and try again."


async def test_a_pages_search_counts_with_those_of_rest(client: httpx.AsyncClient, alice: Person):
    await OpenTab(alice.cookie).send(SearchState, "search", {"words": "heron"})

    answer = await client.get("/api/v1/chat/search?q=heron", headers=alice.headers)

    assert answer.headers["ratelimit"].startswith('"search";r=118;')


async def test_alices_searches_on_a_page_do_not_count_for_bob(
    ctx: AppContext, alice: Person, bob: Person
):
    await use_up(ctx, alice, SEARCHES_OF_ACCOUNT)
    tab = OpenTab(bob.cookie)

    await tab.send(SearchState, "search", {"words": "heron"})

    assert tab.of(SearchState).outcome == "0 messages found"
