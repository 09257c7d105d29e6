"""What strangers send to the pages' socket never gets into the log, neither text nor bulk."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.pages.page_socket import NAMESPACE, PageSocket
from tests.web.bare_server import BareServer, bare_server

pytestmark = pytest.mark.programs

SECRET = "correct-horse-battery"
FORGED = "2026-01-01T00:00:00Z [error    ] everything.is_lost"
STATE = "reflex___state____state"
ACCOUNT = f"{STATE}.chat_platform___state___account____account_state"
SEND = f"{ACCOUNT}.chat_platform___state___chat____chat_state.send"
EVENT = f"42{NAMESPACE},"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareServer]:
    with bare_server(tmp_path_factory.mktemp("bare")) as running:
        yield running


def event(**fields: object) -> str:
    return EVENT + json.dumps(["event", fields])


UNWANTED: dict[str, Callable[[str], str]] = {
    "an unknown event": lambda words: event(name="no.such.event", payload={"password": words}),
    "a name that forges a line": lambda words: event(name=f"x\n{FORGED}", payload={"a": words}),
    "a name without end": lambda words: event(name="x" * 20_000, payload={"a": words}),
    "unknown arguments": lambda words: event(name=SEND, payload={"form": {}, "other": words}),
    "argument names that forge": lambda words: event(name=SEND, payload={f"\n{FORGED}": words}),
    "no arguments": lambda words: event(name=SEND, payload={}, token=words),
    "arguments of another type": lambda words: event(name=SEND, payload=words),
    "a list for a form": lambda words: event(name=SEND, payload={"form": [words]}),
    "no address": lambda words: event(name=SEND, payload={"form": {}}, router_data=words),
    "a text for an event": lambda words: EVENT + json.dumps(["event", words]),
    "a list for an event": lambda words: EVENT + json.dumps(["event", [words]]),
    "too many arguments": lambda words: EVENT + json.dumps(["event", {}, words]),
    "too few arguments": lambda words: EVENT + json.dumps(["event"]),
    "another message": lambda words: EVENT + json.dumps([words, words]),
    "a message without a name": lambda words: EVENT + json.dumps([{"name": words}]),
    "a connect of its own": lambda words: (
        EVENT + json.dumps(["connect", {"QUERY_STRING": f"token={words}"}, {"event": words}])
    ),
    "a disconnect of its own": lambda words: EVENT + json.dumps(["disconnect", words]),
    "an error of the page": lambda words: (
        EVENT + json.dumps(["client_error", {"error_type": "x", "message": words}])
    ),
    "an error of React": lambda words: event(
        name=f"{STATE}.reflex___state____frontend_event_exception_state.handle_frontend_exception",
        payload={"info": f"{words}\n{FORGED}", "component_stack": words},
    ),
    "broken JSON": lambda words: EVENT + '["event", {"' + words,
    "no JSON": lambda words: EVENT + words,
    "an unknown packet": lambda words: f"4{words}",
    "an unknown frame": lambda words: f"x{words}",
    "a binary packet": lambda words: f"451-{NAMESPACE},[{json.dumps(words)}]",
}


def say(server: BareServer, *messages: str) -> str:
    """Send them on one socket; return what the log has gained once all have been handled."""
    before = len(server.log)
    with PageSocket(server.url, cookie="", token=f"tab-{before}") as socket:
        for message in messages:
            socket.send_frame(message)
        socket.listen(seconds=0.5)
    return server.log[before:]


@pytest.mark.parametrize("kind", UNWANTED)
def test_no_word_of_it_is_written_down(server: BareServer, kind: str):
    written = say(server, UNWANTED[kind](SECRET))

    assert SECRET not in written
    assert not any(line.startswith(FORGED[:8] + "-01") for line in written.splitlines())
    assert len(written) < 2000


def test_unwanted_events_are_told_by_name_and_size(server: BareServer):
    written = say(server, event(name="no.such.event", payload={"a": "x" * 500}))

    assert "page_event.refused" in written
    assert "no.such.event" in written
    assert "about_characters=5" in written


def test_a_thousand_of_each_write_a_few_lines(server: BareServer):
    written = "".join(say(server, *[unwanted("x" * 5000)] * 100) for unwanted in UNWANTED.values())

    assert len(written) < 70_000


def test_the_sockets_address_is_not_written_down(server: BareServer):
    say(server, event(name=f"{STATE}.hydrate"))

    assert "token=tab" not in server.log
