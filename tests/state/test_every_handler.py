"""Every event that a browser may send to the pages, with every kind of bad cookie.

Browsers may call any public method of a state class, whatever the pages show.
"""

import contextlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import reflex as rx
from reflex.event import EventHandler, EventSpec
from sqlalchemy import text, update
from sqlmodel import SQLModel, col

import chat_platform.pages  # noqa: F401  (imports every state class)
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import NotFound, NotSignedIn, PlatformError
from chat_platform.models import Account, SignIn
from chat_platform.state.account import AccountState
from chat_platform.state.administrator import AdministratorState
from chat_platform.values.clock import now_ms
from chat_platform.values.cookies import PLAIN_SIGN_IN_COOKIE
from tests.belongings import belongings_of
from tests.fakes import FakeMemory
from tests.people import PASSWORD, Person
from tests.state.tab import OpenTab, Tab

OF_THE_TAB_ALONE = {"dismiss_notice", "show_problem", "setvar"}
"""They show or hide what this tab already has."""
ALSO_OF_THE_TAB = {"MemoryState.edit", "MemoryState.stop_editing"}


@dataclass(frozen=True)
class Handler:
    state: type[rx.State]
    name: str
    handler: EventHandler

    def __str__(self) -> str:
        return f"{self.state.__name__}.{self.name}"

    def names(self) -> list[str]:
        return list(inspect.signature(self.handler.fn).parameters)[1:]

    def arguments(self, ids: dict[str, str]) -> list[Any]:
        return [{} if name == "form" else ids.get(name, "none") for name in self.names()]


def _states(state: type[rx.State]) -> Iterator[type[rx.State]]:
    yield state
    for below in state.__subclasses__():
        yield from _states(below)


HANDLERS = [
    Handler(state, name, handler)
    for state in dict.fromkeys(_states(AccountState))
    for name, handler in state.event_handlers.items()
    if name not in OF_THE_TAB_ALONE
]
GUARDED = [handler for handler in HANDLERS if str(handler) not in ALSO_OF_THE_TAB]


async def call(handler: Handler, cookie: str) -> Any:
    """Send the event; return what its first answer was."""
    return await send(handler, Tab(OpenTab(cookie).of(handler.state)), {})


async def send(handler: Handler, tab: Tab, ids: dict[str, str]) -> Any:
    outcome = handler.handler.fn(tab, *handler.arguments(ids))
    if inspect.isasyncgen(outcome):
        return await anext(outcome)
    return await outcome if inspect.isawaitable(outcome) else outcome


def is_sent_away(answer: Any) -> bool:
    return isinstance(answer, EventSpec) and "redirect" in str(answer)


async def everything(ctx: AppContext) -> dict[str, Any]:
    async with reading(ctx.engine) as session:
        return {
            name: [tuple(row) for row in await session.execute(text(f"select * from {name}"))]
            for name in SQLModel.metadata.tables
        }


async def _bad_cookie(kind: str, ctx: AppContext, person: Person) -> str:
    if kind == "none":
        return ""
    if kind == "made up":
        return f"{PLAIN_SIGN_IN_COOKIE}=made-up"
    if kind == "refresh token":
        return f"{PLAIN_SIGN_IN_COOKIE}={person.refresh_token}"
    async with transaction(ctx.engine) as session:
        of_person, of_account = col(SignIn.account_id) == person.id, col(Account.id) == person.id
        changes = {
            "revoked": update(SignIn).where(of_person).values(revoked_at_ms=now_ms()),
            "expired": update(SignIn).where(of_person).values(expires_at_ms=now_ms()),
            "disabled": update(Account).where(of_account).values(disabled_at_ms=now_ms()),
            "deleted": update(Account).where(of_account).values(deleting_at_ms=now_ms()),
        }
        await session.exec(changes[kind])
    return person.cookie


def test_every_state_of_ours_is_walked():
    ours = {s for s in _states(rx.State) if s.__module__.startswith("chat_platform.")}

    assert ours == set(_states(AccountState))


@pytest.mark.parametrize(
    "kind", ["none", "made up", "refresh token", "revoked", "expired", "disabled", "deleted"]
)
async def test_without_a_live_sign_in_no_event_does_anything(
    ctx: AppContext, root: Person, kind: str
):
    cookie = await _bad_cookie(kind, ctx, root)
    before = await everything(ctx)

    for handler in GUARDED:
        with contextlib.suppress(NotSignedIn):
            assert is_sent_away(await call(handler, cookie)), f"{handler} answered {kind}"

    assert await everything(ctx) == before


@pytest.mark.parametrize(
    "handler",
    [h for h in GUARDED if issubclass(h.state, AdministratorState) and h.name != "load"],
    ids=str,
)
async def test_to_others_the_administrators_events_do_not_exist(
    ctx: AppContext, alice: Person, handler: Handler
):
    with contextlib.suppress(NotFound):
        assert is_sent_away(await call(handler, alice.cookie))


@pytest.mark.parametrize(
    "handler",
    [h for h in GUARDED if any(name.endswith("_id") for name in h.names())],
    ids=str,
)
async def test_bob_reaches_nothing_by_alices_ids(
    ctx: AppContext, memory: FakeMemory, alice: Person, bob: Person, handler: Handler
):
    hers = await belongings_of(ctx, memory, alice)
    await belongings_of(ctx, memory, bob)
    before, kept = await rows_of(ctx, alice), str(memory.archive)

    told = [await outcome(handler, bob, ids) for ids in (hers, {})]

    assert told[0] == told[1]
    assert await rows_of(ctx, alice) == before
    assert str(memory.archive) == kept


async def rows_of(ctx: AppContext, person: Person) -> dict[str, Any]:
    """Return the rows that name the person; Bob's events may create some of his own."""
    tables = await everything(ctx)
    return {name: [row for row in rows if person.id in row] for name, rows in tables.items()}


async def outcome(handler: Handler, person: Person, ids: dict[str, str]) -> str:
    """Return everything that the person's page learns from the event, except the ids it sent."""
    tab = Tab(OpenTab(person.cookie).of(handler.state))
    try:
        answer = await send(handler, tab, ids)
    except PlatformError as exc:
        answer = (type(exc).__name__, exc.code, exc.message)
    shown = f"{answer} {tab.state.dict()}"
    for name in ids:
        shown = shown.replace(ids[name], "none")
    return shown


async def test_a_live_sign_in_is_let_in(alice: Person):
    (load,) = [h for h in HANDLERS if str(h) == "AccountState.load"]

    assert await call(load, alice.cookie) is None


@pytest.mark.parametrize("end", ["password", "sign-in", "disabled"])
async def test_an_open_tab_loses_its_sign_in_at_its_next_event(
    client: httpx.AsyncClient, alice: Person, root: Person, end: str
):
    (load,) = [h for h in HANDLERS if str(h) == "AccountState.load"]
    tab = Tab(OpenTab(alice.cookie).of(load.state))
    assert await send(load, tab, {}) is None

    if end == "password":
        change = {"current": PASSWORD, "new": "another battery"}
        await client.post("/api/v1/user/password", json=change, headers=alice.headers)
    elif end == "sign-in":
        listed = await client.get("/api/v1/user/sign-ins", headers=alice.headers)
        (browser,) = [s["id"] for s in listed.json()["sign_ins"] if s["kind"] == "browser"]
        await client.delete(f"/api/v1/user/sign-ins/{browser}", headers=alice.headers)
    else:
        path = f"/api/v1/admin/accounts/{alice.id}"
        await client.patch(path, json={"disabled": True}, headers=root.headers)

    assert is_sent_away(await send(load, tab, {}))
