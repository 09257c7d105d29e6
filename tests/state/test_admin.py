"""The administration page: who may see it, its long lists, and what a budget may be."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from chat_platform.accounts import audit
from chat_platform.accounts.profiles import get_account
from chat_platform.billing import ledger
from chat_platform.billing.budgets import budget_of
from chat_platform.billing.ledger_rows import Opened
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.errors import NotFound
from chat_platform.models import Account
from chat_platform.state.admin import (
    PAGE_ACCOUNTS,
    PAGE_ENTRIES,
    AdminState,
    action_words,
    period_words,
)
from chat_platform.values.ids import AccountId
from chat_platform.values.periods import is_period
from chat_platform.web.i18n import words_in
from tests.ledger_entries import CENT, intent, new_payer, settlement
from tests.people import Person
from tests.state.tab import OpenTab

DOLLAR = 1_000_000_000
EN, RU = words_in("en"), words_in("ru")


async def opened(person: Person) -> OpenTab:
    tab = OpenTab(person.cookie)
    await tab.send(AdminState, "open")
    return tab


async def add_accounts(ctx: AppContext, count: int) -> list[str]:
    """Store accounts; return their addresses, newest first."""
    async with transaction(ctx.engine) as session:
        for n in range(count):
            email = f"person{n}@example.com"
            session.add(Account(email=email, auth_provider="embedded", auth_subject=email))
            await session.flush()
    return [f"person{n}@example.com" for n in reversed(range(count))]


def emails(tab: OpenTab) -> list[str]:
    return [account["email"] for account in tab.of(AdminState).accounts]


async def test_others_are_sent_to_the_missing_page(alice: Person):
    (away,) = await OpenTab(alice.cookie).send(AdminState, "open")

    assert "/404" in str(away)


@pytest.mark.parametrize(
    ("handler", "arguments"),
    [
        ("search", [{"words": "a"}]),
        ("show_more", []),
        ("show_more_entries", []),
        ("edit", ["somebody"]),
        ("save_budget", [{"limit": "1", "period": "30d"}]),
        ("set_disabled", ["somebody", True]),
    ],
)
async def test_to_others_nothing_of_it_exists(
    ctx: AppContext, alice: Person, root: Person, handler: str, arguments: list[Any]
):
    tab = OpenTab(alice.cookie)
    wanted = [root.id if argument == "somebody" else argument for argument in arguments]
    wanted = [{**w, "account": root.id} if isinstance(w, dict) else w for w in wanted]

    with pytest.raises(NotFound):
        await tab.send(AdminState, handler, *wanted)

    assert (emails(tab), tab.of(AdminState).entries) == ([], [])
    assert (await get_account(ctx, root.id)).disabled_at_ms is None
    assert (await budget_of(ctx, root.id)).limit_nano_usd == 5 * DOLLAR


async def test_every_account_is_listed_once_page_after_page(ctx: AppContext, root: Person):
    newest_first = await add_accounts(ctx, 2 * PAGE_ACCOUNTS)
    tab = await opened(root)
    assert emails(tab) == newest_first[:PAGE_ACCOUNTS]

    await tab.send(AdminState, "show_more")
    await tab.send(AdminState, "show_more")
    await tab.send(AdminState, "show_more")

    assert emails(tab) == [*newest_first, root.account.email]
    assert tab.of(AdminState).next_before == ""


async def test_the_platforms_caps_are_shown_where_they_are_set(ctx: AppContext, root: Person):
    assert (await opened(root)).of(AdminState).caps == []
    object.__setattr__(ctx.settings, "platform_budget", "0.02")
    object.__setattr__(ctx.settings, "platform_daily_budget", "0.01")
    payer = await new_payer(ctx, "payer")
    entry = intent(ctx, payer)
    assert isinstance(await ledger.open_call(ctx, entry), Opened)
    await ledger.settle_call(ctx, settlement(entry, CENT))

    caps = (await opened(root)).of(AdminState).caps

    assert [(cap["name"], cap["about"], cap["share"], cap["state"]) for cap in caps] == [
        ("All time", "$0.01 of $0.02", "50.0%", ""),
        ("Today, until 00:00 UTC", "$0.01 of $0.01", "100.0%", "spent"),
    ]


async def test_a_search_goes_on_with_its_own_pages(ctx: AppContext, root: Person):
    newest_first = await add_accounts(ctx, PAGE_ACCOUNTS + 5)
    tab = await opened(root)

    await tab.send(AdminState, "search", {"words": " PERSON "})
    await tab.send(AdminState, "show_more")

    assert emails(tab) == newest_first


@pytest.mark.parametrize("words", ["nobody", "%", "_", "\\"])
async def test_a_search_without_a_match_says_so(root: Person, words: str):
    tab = await opened(root)

    await tab.send(AdminState, "search", {"words": words})

    assert tab.of(AdminState).has_found_nobody


async def test_the_page_opens_anew_without_the_last_search(root: Person, alice: Person):
    tab = await opened(root)
    await tab.send(AdminState, "search", {"words": "alice"})

    await tab.send(AdminState, "open")

    assert emails(tab) == [alice.account.email, root.account.email]


def told(tab: OpenTab) -> list[Any]:
    """The entries, except for those of the tests' own sign-ins."""
    return [entry for entry in tab.of(AdminState).entries if entry["action"] != "Signed in"]


async def test_every_entry_is_listed_once_page_after_page(ctx: AppContext, root: Person):
    for n in range(PAGE_ENTRIES + 5):
        async with transaction(ctx.engine) as session:
            audit.record(session, actor_id=root.id, action=f"action.{n}", subject_id=root.id)
    tab = await opened(root)
    assert len(tab.of(AdminState).entries) == PAGE_ENTRIES

    await tab.send(AdminState, "show_more_entries")
    await tab.send(AdminState, "show_more_entries")

    actions = [entry["action"] for entry in told(tab)]
    assert actions == [f"action.{n}" for n in reversed(range(PAGE_ENTRIES + 5))]
    assert tab.of(AdminState).entries_before == 0


async def test_an_entry_names_people_where_it_can(ctx: AppContext, root: Person, alice: Person):
    async with transaction(ctx.engine) as session:
        audit.record(session, actor_id=None, action="account.made_admin", subject_id=root.id)
        audit.record(session, actor_id=AccountId("gone"), action="token.made", subject_id="a token")
        audit.record(session, actor_id=alice.id, action="account.exported", subject_id=alice.id)
        audit.record(session, actor_id=None, action="sign_in.failed", subject_id=alice.id)
        audit.record(session, actor_id=None, action="account.deleted", subject_id="gone too")

    tab = await opened(root)

    shown = [(e["actor"], e["action"], e["subject"]) for e in told(tab)]
    assert shown == [
        ("the server", "Account deleted", ""),
        ("someone not signed in", "Incorrect password or code", "alice@example.com"),
        ("alice@example.com", "Data exported", ""),
        ("gone", "API token created", ""),
        ("from the command line", "Made an administrator", "root@example.com"),
    ]


async def save(tab: OpenTab, person: Person, limit: Any, period: Any = "30d") -> None:
    form = {"account": person.id, "limit": limit, "period": period}
    await tab.send(AdminState, "save_budget", form)


@pytest.mark.parametrize(
    ("limit", "nano_usd", "shown"),
    [
        ("7.25", 7_250_000_000, "7.25"),
        (" 10 ", 10 * DOLLAR, "10"),
        ("0", 0, "0"),
        ("0.000000001", 1, "0.000000001"),
        ("1000000", 1_000_000 * DOLLAR, "1000000"),
    ],
)
async def test_an_amount_is_kept_exactly_and_offered_again(
    ctx: AppContext, root: Person, alice: Person, limit: str, nano_usd: int, shown: str
):
    tab = await opened(root)
    await tab.send(AdminState, "edit", alice.id)

    await save(tab, alice, limit)

    assert (await budget_of(ctx, alice.id)).limit_nano_usd == nano_usd
    (row,) = [a for a in tab.of(AdminState).accounts if a["id"] == alice.id]
    assert (row["limit"], tab.of(AdminState).editing) == (shown, "")
    assert tab.of(AdminState).entries[0]["action"] == "Budget changed"


@pytest.mark.parametrize(
    "limit",
    [
        *("abc", "-1", "1e9", "1e999999", "", " ", "NaN", "Infinity", "-0.000000001", "5,00"),
        *("0.0000000001", "1000000.01", "1" * 5000, "$5", None, 5, {"a": 1}),
    ],
)
async def test_what_is_no_amount_changes_nothing(
    ctx: AppContext, root: Person, alice: Person, limit: Any
):
    tab = await opened(root)

    await save(tab, alice, limit)

    assert re.search(
        "such as 5.00|from 0 to 1,000,000|at most 1,000", tab.of(AdminState).admin_problem
    )
    assert (await budget_of(ctx, alice.id)).limit_nano_usd == 5 * DOLLAR
    assert told(tab) == []


@pytest.mark.parametrize("period", ["", "30", "1w", "30s", "0d", "-1d", "1y", "30d\n", None, 30])
async def test_what_is_no_period_changes_nothing(
    ctx: AppContext, root: Person, alice: Person, period: Any
):
    tab = await opened(root)

    await save(tab, alice, "1", period)

    assert "like 30d, 12h or 1mo" in tab.of(AdminState).admin_problem
    assert (await budget_of(ctx, alice.id)).limit_nano_usd == 5 * DOLLAR


@pytest.mark.parametrize(
    ("period", "english", "russian"),
    [
        ("1d", "every day", "каждый день"),
        ("7d", "every 7 days", "каждые 7 дней"),
        ("21d", "every 21 days", "каждый 21 день"),
        ("1h", "every hour", "каждый час"),
        ("24h", "every 24 hours", "каждые 24 часа"),
        ("1mo", "every month", "каждый месяц"),
        ("3mo", "every 3 months", "каждые 3 месяца"),
        ("9999d", "every 9,999 days", "каждые 9\xa0999 дней"),
    ],
)
def test_every_kind_of_period_has_words(period: str, english: str, russian: str):
    assert is_period(period)
    assert period_words(EN, period) == english
    assert period_words(RU, period) == russian


async def test_a_disabled_account_is_marked_and_may_be_enabled(
    ctx: AppContext, root: Person, alice: Person
):
    tab = await opened(root)

    await tab.send(AdminState, "set_disabled", alice.id, True)
    assert [a["is_disabled"] for a in tab.of(AdminState).accounts] == [True, False]
    await tab.send(AdminState, "set_disabled", alice.id, False)

    assert (await get_account(ctx, alice.id)).disabled_at_ms is None
    assert [e["action"] for e in told(tab)] == [
        "Account enabled",
        "Account disabled",
    ]


async def test_administrators_cannot_shut_themselves_out(
    ctx: AppContext, root: Person, alice: Person
):
    tab = await opened(root)
    await tab.send(AdminState, "set_disabled", root.id, True)
    assert tab.of(AdminState).admin_problem == "You cannot disable yourself."

    await tab.send(AdminState, "set_disabled", alice.id, True)

    assert tab.of(AdminState).admin_problem == ""
    assert (await get_account(ctx, root.id)).disabled_at_ms is None


async def test_an_account_that_is_gone_is_told(root: Person):
    tab = await opened(root)

    await tab.send(AdminState, "set_disabled", "nobody", True)

    assert tab.of(AdminState).admin_problem == "There is no such account."


async def test_a_second_press_closes_the_budgets_form(root: Person, alice: Person):
    tab = await opened(root)
    await tab.send(AdminState, "edit", alice.id)

    await tab.send(AdminState, "edit", alice.id)

    assert tab.of(AdminState).editing == ""


def _noted_actions() -> set[str]:
    """Every action that some module records in the audit log."""
    notes = [
        keyword.value
        for file in Path(audit.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute | ast.Name)
        if getattr(call.func, "attr", "") == "record"
        for keyword in call.keywords
        if keyword.arg == "action"
    ]
    texts = [
        node.value for note in notes for node in ast.walk(note) if isinstance(node, ast.Constant)
    ]
    return {text for text in texts if isinstance(text, str)}


def test_the_actions_are_found():
    assert {"account.disabled", "account.enabled", "invitation.used"} <= _noted_actions()


@pytest.mark.parametrize("action", sorted(_noted_actions()))
def test_every_action_has_words_in_both_languages(action: str):
    assert action_words(EN, action) != action
    assert re.search("[а-я]", action_words(RU, action))


def test_an_action_without_words_is_shown_by_its_name():
    assert action_words(EN, "moon.landed") == "moon.landed"
