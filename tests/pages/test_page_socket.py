"""What the pages' socket sends to whom: a tab's token proves nothing."""

import inspect
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import httpx
import pytest
from reflex_base.registry import RegistrationContext

import chat_platform.pages  # noqa: F401  (registers every state and handler)
from tests.pages.page_socket import PageSocket, cookie_of, sign_up
from tests.pages.server import PagesServer
from tests.pages.visitor import PASSWORD, Visitor

pytestmark = pytest.mark.browser

SECRET = "the heron nests behind the boathouse"
STATE = "reflex___state____state"
ACCOUNT = f"{STATE}.chat_platform___state___account____account_state"
CHAT = f"{ACCOUNT}.chat_platform___state___chat____chat_state"
HYDRATE = f"{STATE}.hydrate"
_numbers = count(1)


@pytest.fixture
def alice(server: PagesServer) -> Iterator[httpx.Client]:
    with closing(sign_up(server.url, f"alice{next(_numbers)}@socket.example")) as client:
        yield client


@pytest.fixture
def token(server: PagesServer, alice: httpx.Client) -> str:
    """A tab in which Alice's message is shown."""
    token = f"tab-{next(_numbers)}"
    with PageSocket(server.url, cookie=cookie_of(alice), token=token) as socket:
        show(socket)
        socket.send(f"{CHAT}.send", {"form": {"text": SECRET, "nonce": token}})
        assert SECRET in socket.listen(until=SECRET)
        socket.listen(until="Take an umbrella", seconds=10)
    return token


def show(socket: PageSocket) -> None:
    for name in (HYDRATE, f"{ACCOUNT}.load", f"{CHAT}.open"):
        socket.send(name)


def every_event() -> list[str]:
    """Every event that a running server answers, Reflex's own included."""
    return sorted(RegistrationContext.get().event_handlers)


def test_reflexs_own_events_are_among_them():
    assert HYDRATE in every_event()
    assert len(every_event()) > 60


def test_alice_finds_her_message_again(server: PagesServer, alice: httpx.Client, token: str):
    with PageSocket(server.url, cookie=cookie_of(alice), token=token) as socket:
        show(socket)

        assert SECRET in socket.listen(until=SECRET)


def test_no_event_tells_another_person(server: PagesServer, token: str):
    with (
        closing(sign_up(server.url, f"bob{next(_numbers)}@socket.example")) as bob,
        PageSocket(server.url, cookie=cookie_of(bob), token=token) as socket,
    ):
        assert SECRET not in everything_told(socket)


def test_no_event_tells_somebody_without_a_cookie(server: PagesServer, token: str):
    with PageSocket(server.url, cookie="", token=token) as socket:
        assert SECRET not in everything_told(socket)


@pytest.mark.parametrize("who", ["another person", "nobody"])
def test_a_reply_still_arriving_is_not_told_to_who_takes_over_the_tabs_token(
    server: PagesServer, alice: httpx.Client, who: str
):
    token = f"taken-over-{who[:4]}"
    with PageSocket(server.url, cookie=cookie_of(alice), token=token) as socket:
        show(socket)
        socket.send(f"{CHAT}.send", {"form": {"text": "long 3000", "nonce": who}})
        socket.listen(until="freezes the rest")

    with (
        closing(sign_up(server.url, f"bob{next(_numbers)}@socket.example")) as bob,
        PageSocket(
            server.url, cookie=cookie_of(bob) if who != "nobody" else "", token=token
        ) as socket,
    ):
        assert "freezes the rest" not in socket.listen(until="freezes the rest", seconds=3)


@pytest.mark.parametrize("end", ["signed out", "deleted"])
def test_no_event_tells_who_is_no_longer_signed_in(
    server: PagesServer, alice: httpx.Client, token: str, end: str
):
    cookie = cookie_of(alice)
    leave(alice, end)

    with PageSocket(server.url, cookie=cookie, token=token) as socket:
        assert SECRET not in everything_told(socket)


@pytest.mark.parametrize("end", ["signed out", "deleted"])
def test_an_open_tab_hears_nothing_more_a_second_after_the_sign_in_ended(
    server: PagesServer, alice: httpx.Client, end: str
):
    with PageSocket(server.url, cookie=cookie_of(alice), token=f"open-{end[:3]}") as socket:
        show(socket)
        socket.send(f"{CHAT}.send", {"form": {"text": "long 3000", "nonce": end}})
        socket.listen(until="freezes the rest")

        leave(alice, end)

        assert "/login" in socket.listen(until="/login", seconds=2)
        socket.heard = ""
        assert "freezes the rest" not in socket.listen(seconds=1)


def test_who_signs_in_next_in_the_same_tab_receives_nothing_of_the_one_before(
    ada: Visitor, server: PagesServer
):
    frames: list[str] = []
    ada.page.on("websocket", lambda ws: ws.on("framereceived", lambda f: frames.append(str(f))))
    ada.open("/chat")
    ada.prompt.fill(SECRET)
    ada.prompt.press("Enter")
    ada.answers.first.wait_for()
    before = ada.page.evaluate("sessionStorage.token")

    ada.page.locator("form[action$='/session/logout'] button").first.click()
    ada.page.wait_for_url("**/login**")
    frames.clear()
    ada.email = f"bob{next(_numbers)}@socket.example"
    sign_up(server.url, ada.email).close()
    ada.sign_in(PASSWORD)
    ada.page.wait_for_url("**/chat")
    ada.wait_until_live()

    assert ada.page.evaluate("sessionStorage.token") != before
    assert frames
    assert not [frame for frame in frames if SECRET in frame]


def arguments_of(name: str) -> dict[str, Any]:
    """Return the event's arguments: it is refused if one is missing or of another type."""
    handler = RegistrationContext.get().event_handlers[name].handler
    given = {"form": {"text": "Hello", "words": "heron"}, "vars": {}, "hashes": []}
    names = list(inspect.signature(handler.fn).parameters)[1:]
    return {name: given.get(name, True if name.startswith("is_") else "none") for name in names}


def everything_told(socket: PageSocket) -> str:
    """Send every event that exists, hydrating twice, and return everything received."""
    for name in [HYDRATE, *every_event(), HYDRATE]:
        socket.send(name)
        socket.send(name, arguments_of(name))
    return socket.listen(seconds=1.5)


def leave(person: httpx.Client, how: str) -> None:
    if how == "signed out":
        answer = person.post("/api/v1/session/logout")
    else:
        answer = person.request("DELETE", "/api/v1/user", json={"password": PASSWORD})
    assert answer.status_code in (202, 303), answer.text
