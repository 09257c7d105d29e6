"""The settings page: name, appearance, a new password, and deleting the account."""

import asyncio
from typing import Any

import pytest

from chat_platform.accounts import setup_code, sign_in_rows
from chat_platform.accounts.profiles import get_account
from chat_platform.accounts.setup_code import wrong_setup_code
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.errors import Invalid
from chat_platform.models import Account
from chat_platform.state import settings as page
from chat_platform.state.account import AccountState
from chat_platform.state.settings import SettingsState
from tests.api.test_rate_limits import from_address
from tests.fakes import FakeGateway
from tests.people import PASSWORD, Person
from tests.state.tab import OpenTab


async def opened(person: Person) -> OpenTab:
    tab = OpenTab(person.cookie)
    await tab.send(SettingsState, "open")
    return tab


async def test_the_page_opens_with_what_is_stored(alice: Person):
    settings = (await opened(alice)).of(SettingsState)

    assert (settings.full_name, settings.chosen_language) == ("Alice", "")


async def test_a_saved_name_is_tidied_and_shown_everywhere(ctx: AppContext, alice: Person):
    tab = await opened(alice)

    await tab.send(SettingsState, "save_name", {"name": "  Alice\tB.\n"})

    assert tab.of(SettingsState).full_name == tab.of(AccountState).name == "Alice B."
    assert tab.of(AccountState).notice == "Saved."
    assert (await get_account(ctx, alice.id)).name == "Alice B."


async def test_without_a_name_the_address_stands_for_it(alice: Person):
    tab = await opened(alice)

    await tab.send(SettingsState, "save_name", {"name": " "})

    assert tab.of(AccountState).name == "alice"


async def test_a_name_that_is_too_long_is_refused(ctx: AppContext, alice: Person):
    tab = await opened(alice)

    with pytest.raises(Invalid):
        await tab.send(SettingsState, "save_name", {"name": "x" * 201})

    assert (await get_account(ctx, alice.id)).name == "Alice"


async def test_a_chosen_language_is_kept_and_spoken(ctx: AppContext, alice: Person):
    tab = await opened(alice)

    await tab.send(SettingsState, "choose_language", "ru")
    await tab.send(SettingsState, "save_name", {"name": "Алиса"})

    assert tab.of(AccountState).notice == "Сохранено."
    assert (await get_account(ctx, alice.id)).language == "ru"


async def test_a_chosen_look_is_kept(ctx: AppContext, alice: Person):
    tab = await opened(alice)

    await tab.send(SettingsState, "choose_theme", "dark")

    assert tab.of(AccountState).theme == "dark"
    assert (await get_account(ctx, alice.id)).theme == "dark"


@pytest.mark.parametrize(
    ("handler", "value"), [("choose_language", "de"), ("choose_theme", "<script>")]
)
async def test_what_there_is_none_of_cannot_be_chosen(
    ctx: AppContext, alice: Person, handler: str, value: str
):
    tab = await opened(alice)

    with pytest.raises(Invalid):
        await tab.send(SettingsState, handler, value)

    account = await get_account(ctx, alice.id)
    assert (account.language, account.theme) == ("", "system")


async def change_password(tab: OpenTab, current: Any, new: Any) -> None:
    await tab.send(SettingsState, "change_password", {"current": current, "new": new})


async def test_a_new_password_ends_the_other_sign_ins_and_empties_the_form(
    ctx: AppContext, alice: Person
):
    tab = await opened(alice)

    await change_password(tab, PASSWORD, "another battery")

    settings = tab.of(SettingsState)
    assert settings.password_form == 1
    assert (settings.current_problem, settings.new_problem) == ("", "")
    assert settings.notice == (
        "Your password has been changed. Other devices have been signed out, and API "
        "tokens have been revoked."
    )
    assert [row.kind for row in await sign_in_rows.list_sign_ins(ctx, alice.id)] == ["browser"]


@pytest.mark.parametrize("current", ["not it", "", None])
async def test_a_wrong_password_is_told_at_its_field(alice: Person, current: Any):
    tab = await opened(alice)

    await change_password(tab, current, "another battery")

    settings = tab.of(SettingsState)
    assert settings.current_problem == "Incorrect password."
    assert (settings.new_problem, settings.password_form) == ("", 0)


@pytest.mark.parametrize("new", ["short", "", "x" * 73, "password123", "п" * 1001, "x" * 100_000])
async def test_a_weak_password_is_told_at_its_field(alice: Person, new: str):
    tab = await opened(alice)

    await change_password(tab, PASSWORD, new)

    settings = tab.of(SettingsState)
    assert settings.new_problem.startswith("Choose a password of at ")
    assert settings.current_problem == ""


async def test_problems_are_gone_when_the_page_is_opened_again(alice: Person):
    tab = await opened(alice)
    await change_password(tab, "not it", "another battery")
    await tab.send(SettingsState, "delete_account", {"password": "not it"})

    await tab.send(SettingsState, "open")

    settings = tab.of(SettingsState)
    assert (settings.current_problem, settings.deletion_problem) == ("", "")


async def test_guessing_the_password_is_stopped_in_words(alice: Person):
    tab = await opened(alice)

    for _ in range(11):
        await change_password(tab, "a guess", "another battery")

    assert tab.of(SettingsState).current_problem.startswith("Too many attempts.")


async def test_one_ipv6_house_is_one_guesser_in_the_pages_and_in_rest(
    ctx: AppContext, alice: Person
):
    wrong = {"email": alice.account.email, "password": "not this one"}
    async with from_address(ctx, "2001:db8:1:2::1") as guesser:
        for _ in range(10):
            await guesser.post("/api/v1/auth/login", json=wrong)
    beside = OpenTab(alice.cookie, ip="2001:db8:1:2:ffff::9")
    elsewhere = OpenTab(alice.cookie, ip="2001:db8:1:3::1")

    await change_password(beside, PASSWORD, "another battery")
    await change_password(elsewhere, "a guess", "another battery")

    assert beside.of(SettingsState).current_problem.startswith("Too many attempts.")
    assert elsewhere.of(SettingsState).current_problem == "Incorrect password."


@pytest.mark.parametrize("form", [{}, {"password": "not it"}, {"password": None}])
async def test_without_the_password_the_account_stays(
    ctx: AppContext, alice: Person, form: dict[str, Any]
):
    tab = await opened(alice)

    assert await tab.send(SettingsState, "delete_account", form) == []

    assert tab.of(SettingsState).deletion_problem == "Incorrect password."
    assert (await get_account(ctx, alice.id)).deleting_at_ms is None


async def test_a_deleted_account_is_gone_everywhere(
    ctx: AppContext, alice: Person, gateway: FakeGateway
):
    tab = await opened(alice)

    (away,) = await tab.send(SettingsState, "delete_account", {"password": PASSWORD})
    await asyncio.gather(*page._deletions)

    assert "/login?notice=account_deleted" in str(away)
    assert gateway.closed == [alice.id]
    async with reading(ctx.engine) as session:
        assert await session.get(Account, alice.id) is None


async def offered(ctx: AppContext) -> str:
    code = await setup_code.offer_setup_code(ctx.engine, ctx.settings)
    assert code
    return code


async def test_the_page_asks_for_a_setup_code_only_while_one_is_unused(
    ctx: AppContext, alice: Person, bob: Person
):
    assert not (await opened(alice)).of(SettingsState).awaits_setup_code
    code = await offered(ctx)
    tabs = [await opened(alice), await opened(bob)]
    assert all(tab.of(SettingsState).awaits_setup_code for tab in tabs)

    await tabs[0].send(SettingsState, "use_setup_code", {"setup_code": code.lower()})

    assert not tabs[0].of(SettingsState).awaits_setup_code
    assert tabs[0].of(AccountState).is_admin
    assert tabs[0].of(AccountState).notice == "You are an administrator now."
    assert (await get_account(ctx, alice.id)).role == "admin"
    assert not (await opened(bob)).of(SettingsState).awaits_setup_code


async def test_an_administrator_is_not_asked_for_it(ctx: AppContext, root: Person):
    await setup_code.renew_setup_code(ctx.engine, ctx.settings)

    assert not (await opened(root)).of(SettingsState).awaits_setup_code


@pytest.mark.parametrize("code", ["", "wrong", None, 7, "AAAA-AAAA-AAAA-AAAA-AAAA"])
async def test_a_wrong_setup_code_makes_nobody_an_administrator(
    ctx: AppContext, alice: Person, code: Any
):
    await offered(ctx)
    tab = await opened(alice)

    await tab.send(SettingsState, "use_setup_code", {"setup_code": code})

    problem = tab.of(SettingsState).setup_code_problem
    assert problem == wrong_setup_code().message
    assert tab.of(SettingsState).awaits_setup_code
    assert (await get_account(ctx, alice.id)).role == "person"


async def test_guessing_a_setup_code_is_stopped(ctx: AppContext, alice: Person):
    code, tab = await offered(ctx), await opened(alice)
    for _ in range(20):
        await tab.send(SettingsState, "use_setup_code", {"setup_code": "wrong"})

    await tab.send(SettingsState, "use_setup_code", {"setup_code": code})

    assert tab.of(SettingsState).setup_code_problem.startswith("Too many")
    assert (await get_account(ctx, alice.id)).role == "person"
