"""Who may act for the person: tokens created, shown once and revoked, and sign-ins ended."""

import re
from typing import Any

import pytest
from sqlalchemy import update

from chat_platform.accounts import api_tokens, sign_in_rows
from chat_platform.accounts.api_tokens import MAX_TOKENS, Scope
from chat_platform.accounts.sign_in_rows import Visit
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.errors import Invalid, NotSignedIn
from chat_platform.models import ApiToken
from chat_platform.state.access import AccessState
from chat_platform.values.clock import now_ms
from tests.accounts.test_api_tokens import KEPT_NAMES, REFUSED_DAYS, REFUSED_NAMES
from tests.people import Person
from tests.state.tab import OpenTab

DAY_MS = 86_400_000
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


async def opened(person: Person) -> OpenTab:
    tab = OpenTab(person.cookie)
    await tab.send(AccessState, "open")
    return tab


def form(*scopes: str, name: Any = "Backup", days: Any = "") -> dict[str, Any]:
    return {"name": name, "days": days, **{f"scope-{scope}": "on" for scope in scopes}}


async def make(tab: OpenTab, *scopes: str, **fields: Any) -> None:
    await tab.send(AccessState, "make_token", form(*scopes, **fields))


async def test_a_new_token_is_shown_once_with_what_it_may(ctx: AppContext, alice: Person):
    tab = await opened(alice)

    await make(tab, "usage", "chat")

    access = tab.of(AccessState)
    found = await api_tokens.find_token(ctx, access.new_token)
    assert found
    assert found[0].scopes == "chat usage"
    assert [t["about"] for t in access.tokens] == ["Chat, Usage · never expires · never used"]
    assert access.token_form == 1
    await tab.send(AccessState, "open")
    assert (access.new_token, access.curl) == ("", "")


@pytest.mark.parametrize(
    ("scopes", "call"),
    [
        (("chat",), "/api/v1/chat/message"),
        (("memory",), "/api/v1/agent/memory"),
        (("usage",), "/api/v1/user/usage"),
        (("memory", "usage"), "/api/v1/agent/memory"),
        (("chat", "memory", "usage"), "/api/v1/chat/message"),
    ],
)
async def test_the_example_is_a_call_that_the_token_may_make(
    alice: Person, scopes: tuple[Scope, ...], call: str
):
    tab = await opened(alice)

    await make(tab, *scopes)

    access = tab.of(AccessState)
    assert f'"http://platform.test{call}"' in access.curl
    assert f"Bearer {access.new_token}" in access.curl


@pytest.mark.parametrize("name", [*REFUSED_NAMES, None])
async def test_a_token_needs_a_name(ctx: AppContext, alice: Person, name: Any):
    tab = await opened(alice)

    await make(tab, "chat", name=name)

    problem = tab.of(AccessState).name_problem
    assert re.match("Give the token a name of at most 100|Remove control characters", problem)
    assert await api_tokens.list_tokens(ctx, alice.id) == []


@pytest.mark.parametrize(("given", "kept"), KEPT_NAMES)
async def test_a_tokens_name_is_kept_on_one_line(alice: Person, given: str, kept: str):
    tab = await opened(alice)

    await make(tab, "chat", name=given)

    assert [token["name"] for token in tab.of(AccessState).tokens] == [kept]


async def test_everything_that_is_wrong_is_told_at_once(alice: Person):
    tab = await opened(alice)

    await make(tab, name=" ")

    access = tab.of(AccessState)
    assert (access.name_problem != "", access.rights_problem != "") == (True, True)


@pytest.mark.parametrize("scopes", [(), ("everything",), ("admin", "CHAT")])
async def test_a_token_needs_a_right_that_there_is(
    ctx: AppContext, alice: Person, scopes: tuple[str, ...]
):
    tab = await opened(alice)

    await make(tab, *scopes)

    assert tab.of(AccessState).rights_problem == "Choose at least one permission."
    assert await api_tokens.list_tokens(ctx, alice.id) == []


@pytest.mark.parametrize(
    ("days", "lives"),
    [("30", 30), ("365", 365), ("", None), ("3650", 3650), (7, None)],
)
async def test_a_token_lives_as_long_as_was_chosen(
    ctx: AppContext, alice: Person, days: Any, lives: int | None
):
    tab = await opened(alice)

    await make(tab, "chat", days=days)

    (token,) = await api_tokens.list_tokens(ctx, alice.id)
    ends = token.expires_at_ms
    assert (ends and (ends - token.created_at_ms) // DAY_MS) == lives


@pytest.mark.parametrize("days", [*map(str, REFUSED_DAYS), "1e9", "soon", " ", "٣", "9" * 500])
async def test_a_token_whose_lifetime_makes_no_sense_is_not_made(
    ctx: AppContext, alice: Person, days: str
):
    tab = await opened(alice)

    with pytest.raises(Invalid):
        await make(tab, "chat", days=days)

    assert await api_tokens.list_tokens(ctx, alice.id) == []


async def test_one_token_too_many_is_refused_in_words(ctx: AppContext, alice: Person):
    tab = await opened(alice)
    async with transaction(ctx.engine) as session:
        for n in range(MAX_TOKENS):
            session.add(
                ApiToken(
                    account_id=alice.id, token_hash=str(n), prefix="cp_", name="t", scopes="chat"
                )
            )

    await make(tab, "chat")

    access = tab.of(AccessState)
    assert access.name_problem.startswith("You already have 50 tokens, the maximum.")
    assert access.new_token == ""


async def test_a_revoked_token_is_gone_and_void(ctx: AppContext, alice: Person):
    tab = await opened(alice)
    await make(tab, "chat")
    access = tab.of(AccessState)

    await tab.send(AccessState, "revoke_token", access.tokens[0]["id"])

    assert access.tokens == []
    assert await api_tokens.find_token(ctx, access.new_token) is None


async def test_a_token_that_was_revoked_elsewhere_leaves_the_page(ctx: AppContext, alice: Person):
    tab = await opened(alice)
    await make(tab, "chat")
    token_id = tab.of(AccessState).tokens[0]["id"]
    await api_tokens.revoke_token(ctx, alice.id, token_id)

    await tab.send(AccessState, "revoke_token", token_id)

    assert tab.of(AccessState).tokens == []


async def test_an_expired_token_is_marked(ctx: AppContext, alice: Person):
    tab = await opened(alice)
    await make(tab, "chat", days="30")
    async with transaction(ctx.engine) as session:
        await session.exec(update(ApiToken).values(expires_at_ms=now_ms() - DAY_MS))

    await tab.send(AccessState, "open")

    assert [token["is_expired"] for token in tab.of(AccessState).tokens] == [True]


async def sign_in_elsewhere(ctx: AppContext, person: Person) -> str:
    elsewhere = Visit("browser", FIREFOX, "192.0.2.2")
    return (await sign_in_rows.open_sign_in(ctx, person.account, elsewhere)).sign_in_id


async def test_sign_ins_are_named_by_device_and_this_one_is_marked(ctx: AppContext, alice: Person):
    other = await sign_in_elsewhere(ctx, alice)

    access = (await opened(alice)).of(AccessState)

    (shown,) = [row for row in access.sign_ins if row["id"] == other]
    assert "Firefox" in shown["device"]
    assert [row["is_current"] for row in access.sign_ins].count(True) == 1
    assert access.has_others


async def test_one_sign_in_is_ended_and_the_others_stay(ctx: AppContext, alice: Person):
    other = await sign_in_elsewhere(ctx, alice)
    tab = await opened(alice)
    before = len(tab.of(AccessState).sign_ins)

    await tab.send(AccessState, "end_sign_in", other)

    assert other not in [row["id"] for row in tab.of(AccessState).sign_ins]
    assert len(tab.of(AccessState).sign_ins) == before - 1


async def test_a_sign_in_that_ended_elsewhere_leaves_the_page(ctx: AppContext, alice: Person):
    other = await sign_in_elsewhere(ctx, alice)
    tab = await opened(alice)
    await sign_in_rows.end_sign_in(ctx, alice.id, other)

    await tab.send(AccessState, "end_sign_in", other)

    assert other not in [row["id"] for row in tab.of(AccessState).sign_ins]


async def test_all_others_end_and_this_one_goes_on(ctx: AppContext, alice: Person):
    await sign_in_elsewhere(ctx, alice)
    tab = await opened(alice)

    await tab.send(AccessState, "end_others")

    access = tab.of(AccessState)
    assert [row["is_current"] for row in access.sign_ins] == [True]
    assert not access.has_others


async def test_who_ends_the_own_sign_in_is_signed_out(alice: Person):
    tab = await opened(alice)
    (own,) = [row["id"] for row in tab.of(AccessState).sign_ins if row["is_current"]]

    with pytest.raises(NotSignedIn):
        await tab.send(AccessState, "end_sign_in", own)


async def test_bob_ends_and_revokes_nothing_of_alices(ctx: AppContext, alice: Person, bob: Person):
    hers = await opened(alice)
    await make(hers, "chat")
    access = hers.of(AccessState)
    his = await opened(bob)

    await his.send(AccessState, "revoke_token", access.tokens[0]["id"])
    for row in access.sign_ins:
        await his.send(AccessState, "end_sign_in", row["id"])

    assert await api_tokens.find_token(ctx, access.new_token)
    assert len(await sign_in_rows.list_sign_ins(ctx, alice.id)) == len(access.sign_ins)
