"""Invitations on the administration page: created, shown once, listed with status, revoked."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import update

from chat_platform.accounts import admin
from chat_platform.accounts.refusals import DOMAIN_NOT_ALLOWED
from chat_platform.accounts.registration import Papers
from chat_platform.billing.budgets import budget_of
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.errors import NotAllowed, NotFound
from chat_platform.models import Account
from chat_platform.models.registration import Invitation
from chat_platform.settings import Settings
from chat_platform.state.admin import AdminState
from chat_platform.state.invitations import PAGE_INVITATIONS, InvitationsState
from chat_platform.values.addresses import invalid_email
from chat_platform.values.clock import now_ms
from tests.people import Person
from tests.registering import invitation, registered, under
from tests.state.tab import OpenTab

DOLLAR = 1_000_000_000
DAY_MS = 86_400_000


async def opened(person: Person) -> OpenTab:
    tab = OpenTab(person.cookie, address="/admin")
    await tab.send(InvitationsState, "open")
    return tab


async def make(tab: OpenTab, **form: Any) -> InvitationsState:
    """Send the form, and return the state after it."""
    await tab.send(InvitationsState, "make_invitation", {"email": "", "budget": "", **form})
    return tab.of(InvitationsState)


async def stored(ctx: AppContext) -> list[Invitation]:
    return (await admin.list_invitations(ctx)).invitations


async def code_of(ctx: AppContext, root: Person) -> tuple[OpenTab, str]:
    tab = await opened(root)
    return tab, (await make(tab)).new_code


@pytest.mark.parametrize(
    ("handler", "arguments"),
    [
        ("make_invitation", [{"email": "", "budget": ""}]),
        ("revoke_invitation", ["the invitation"]),
        ("show_more_invitations", []),
    ],
)
async def test_to_others_nothing_of_it_exists(
    ctx: AppContext, alice: Person, handler: str, arguments: list[Any]
):
    await invitation(ctx)
    (before,) = await stored(ctx)
    tab = await opened(alice)
    wanted = [before.id if argument == "the invitation" else argument for argument in arguments]

    with pytest.raises(NotFound):
        await tab.send(InvitationsState, handler, *wanted)

    assert await stored(ctx) == [before]
    assert tab.of(InvitationsState).invitations == []
    assert tab.of(InvitationsState).policy == ""


async def test_a_new_invitation_is_shown_once_with_its_link(ctx: AppContext, root: Person):
    tab = await opened(root)

    state = await make(tab)

    link = urlsplit(state.new_link)
    assert f"{link.scheme}://{link.netloc}{link.path}" == "http://platform.test/register"
    assert parse_qs(link.query) == {"invitation": [state.new_code]}
    assert state.invitation_form == 1
    await tab.send(InvitationsState, "open")
    assert (state.new_link, state.new_code) == ("", "")
    assert len(state.invitations) == 1


async def test_who_comes_with_it_has_its_budget(ctx: AppContext, root: Person):
    tab = await opened(root)
    code = (await make(tab, budget=" 7.50 ", days="30", email="Carol@Example.com")).new_code

    carol = await registered(under(ctx, "invite"), "carol@example.com", Papers(invitation=code))

    assert (await budget_of(ctx, carol.id)).limit_nano_usd == 7.5 * DOLLAR
    (row,) = await stored(ctx)
    assert row.created_by == root.id
    assert round((row.expires_at_ms - row.created_at_ms) / DAY_MS) == 30


@pytest.mark.parametrize("days", ["", "0", "-1", "366", "1e9", "7.5", None, 7, {"a": 1}])
async def test_an_expiry_that_the_page_does_not_offer_is_a_week(
    ctx: AppContext, root: Person, days: Any
):
    await make(await opened(root), days=days)

    (row,) = await stored(ctx)
    assert round((row.expires_at_ms - row.created_at_ms) / DAY_MS) == 7


@pytest.mark.parametrize(
    "budget", ["abc", "-1", "1e9", "NaN", "5,00", "$5", "0.0000000001", "1000000.01"]
)
async def test_what_is_no_budget_makes_no_invitation(ctx: AppContext, root: Person, budget: str):
    state = await make(await opened(root), budget=budget)

    assert re.match("Use an amount|A budget must be from 0 to 1,000,000", state.budget_problem)
    assert await stored(ctx) == []


@pytest.mark.parametrize(
    "email",
    ["carol", "carol@", "@example.com", "a@b@c.de", "o’brien@example.com", "ａ@example.com"],
)
async def test_what_is_no_address_makes_no_invitation(ctx: AppContext, root: Person, email: str):
    state = await make(await opened(root), email=email)

    assert state.email_problem == invalid_email().message
    assert await stored(ctx) == []


class TestWithDomains:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"registration_domains": "example.com"})

    async def test_an_address_that_could_not_register_is_not_invited(
        self, ctx: AppContext, root: Person
    ):
        state = await make(await opened(root), email="carol@company.com")

        assert state.email_problem == DOMAIN_NOT_ALLOWED
        assert await stored(ctx) == []


async def test_the_list_tells_how_each_stands(ctx: AppContext, root: Person):
    tab = await opened(root)
    _, code, _ = [(await make(tab, budget="2")).new_code for _ in range(3)]
    await make(tab, email="dan@example.com")
    await registered(ctx, "carol@example.com", Papers(invitation=code))
    waiting, revoked, used, expired = tab.of(InvitationsState).invitations
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(Invitation).where(Invitation.id == expired["id"]).values(expires_at_ms=now_ms())
        )
    await tab.send(InvitationsState, "revoke_invitation", revoked["id"])

    shown = tab.of(InvitationsState).invitations

    assert [(row["who"], row["is_waiting"]) for row in shown] == [
        ("dan@example.com", True),
        ("Anyone with the link", False),
        ("carol@example.com", False),
        ("Anyone with the link", False),
    ]
    abouts = [row["about"].split(" on ")[0] for row in shown]
    assert abouts == [
        "default budget · expires",
        "budget $2.00 · revoked",
        "budget $2.00 · used",
        "budget $2.00 · expired",
    ]
    assert [row["id"] for row in shown] == [waiting["id"], revoked["id"], used["id"], expired["id"]]


async def test_a_revoked_invitation_lets_nobody_in(ctx: AppContext, root: Person):
    tab, code = await code_of(ctx, root)
    (row,) = tab.of(InvitationsState).invitations

    await tab.send(InvitationsState, "revoke_invitation", row["id"])

    with pytest.raises(NotAllowed) as refused:
        await registered(under(ctx, "invite"), "carol@example.com", Papers(invitation=code))
    assert refused.value.code == "invitation_needed"


async def test_what_was_used_meanwhile_is_told(ctx: AppContext, root: Person):
    tab, code = await code_of(ctx, root)
    (row,) = tab.of(InvitationsState).invitations
    await registered(ctx, "carol@example.com", Papers(invitation=code))

    await tab.send(InvitationsState, "revoke_invitation", row["id"])

    state = tab.of(InvitationsState)
    assert state.invitations_problem.startswith("There is no such invitation")
    assert [row["who"] for row in state.invitations] == ["carol@example.com"]


async def test_every_invitation_is_listed_once_page_after_page(ctx: AppContext, root: Person):
    for _ in range(2 * PAGE_INVITATIONS + 3):
        await invitation(ctx)
    tab = await opened(root)
    assert len(tab.of(InvitationsState).invitations) == PAGE_INVITATIONS

    for _ in range(3):
        await tab.send(InvitationsState, "show_more_invitations")

    shown = [row["id"] for row in tab.of(InvitationsState).invitations]
    assert shown == sorted(shown, reverse=True)
    assert len(set(shown)) == len(shown) == 2 * PAGE_INVITATIONS + 3


async def test_what_was_done_is_noted_on_the_same_page(ctx: AppContext, root: Person):
    tab, _ = await code_of(ctx, root)
    (row,) = tab.of(InvitationsState).invitations

    await tab.send(InvitationsState, "revoke_invitation", row["id"])

    actions = [entry["action"] for entry in tab.of(AdminState).entries]
    assert actions[:2] == ["Invitation revoked", "Invitation created"]


@pytest.mark.parametrize(
    ("registration", "words"),
    [
        ("open", "Anyone can register here"),
        ("invite", "Each link lets one person register, once."),
        ("closed", "Registration is closed."),
        (None, "Each link lets one person register, once."),
    ],
)
async def test_the_page_says_what_an_invitation_is_good_for(
    ctx: AppContext, root: Person, registration: str | None, words: str
):
    object.__setattr__(ctx.settings, "registration", registration)

    assert (await opened(root)).of(InvitationsState).policy.startswith(words)


async def test_a_deleted_persons_invitation_names_nobody(ctx: AppContext, root: Person):
    tab = await opened(root)
    code = (await make(tab, email="carol@example.com")).new_code
    carol = await registered(ctx, "carol@example.com", Papers(invitation=code))
    async with transaction(ctx.engine) as session:
        await admin.invitations.forget_person(session, carol.id)
        await session.delete(await session.get_one(Account, carol.id))

    await tab.send(InvitationsState, "open")

    assert "carol" not in str(tab.of(InvitationsState).invitations)
