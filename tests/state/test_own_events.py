"""Whatever a browser sends, a handler gets values it can use, or is not called."""

import contextlib
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
from reflex.event import Event
from reflex.state import State

from chat_platform.context import AppContext
from chat_platform.errors import PlatformError
from chat_platform.state.admin import AdminState
from chat_platform.state.own_events import OwnEvents, is_own
from tests.people import Person
from tests.state.tab import OpenTab
from tests.state.test_every_handler import HANDLERS, Handler, rows_of

FIELDS = (
    *("account", "code", "confirm", "current", "days", "label", "limit", "name", "new", "nonce"),
    *("password", "period", "revision", "scope-chat", "text", "value", "what", "words"),
)
ODD: list[Any] = [
    *(None, 5, 1.5, True, [], [["a", 1]], {}, {"a": {"b": 1}}),
    *("", " ", "none", "x" * 100_000, "\0", "\ud800", "'; drop table accounts; --", "../../x"),
]
WITH_ARGUMENTS = [handler for handler in HANDLERS if handler.names()]


def payloads(handler: Handler) -> Iterator[dict[str, Any]]:
    """Yield events with each odd value as an argument, and in each field of a form."""
    for odd in ODD:
        yield dict.fromkeys(handler.names(), odd)
        if "form" in handler.names():
            yield {"form": dict.fromkeys(FIELDS, odd)}


@pytest.mark.parametrize("handler", WITH_ARGUMENTS, ids=str)
def test_handlers_take_only_what_is_let_in(handler: Handler):
    hints = get_type_hints(handler.handler.fn)

    for name in handler.names():
        kind = bool if name.startswith("is_") else str
        assert hints[name] == (dict[str, Any] if name == "form" else kind)


@pytest.mark.parametrize("handler", WITH_ARGUMENTS, ids=str)
async def test_no_odd_value_breaks_a_handler_or_harms_somebody_else(
    ctx: AppContext, alice: Person, root: Person, handler: Handler
):
    before = await rows_of(ctx, alice)

    for payload in payloads(handler):
        if is_own(payload):
            with contextlib.suppress(PlatformError):
                await OpenTab(root.cookie).send(handler.state, handler.name, *payload.values())

    assert await rows_of(ctx, alice) == before


@pytest.mark.parametrize(
    ("payload", "is_let_in"),
    [
        ({"account_id": "an id"}, True),
        ({"account_id": "an id", "is_disabled": True}, True),
        ({"form": {"words": 5}}, True),
        ({"account_id": None}, False),
        ({"account_id": True}, False),
        ({"account_id": "an id", "is_disabled": "yes"}, False),
        ({"account_id": ["an id"]}, False),
        ({"account_id": "\ud800"}, False),
        ({"form": "words"}, False),
    ],
)
async def test_an_event_that_was_written_by_hand_is_dropped(
    payload: dict[str, Any], is_let_in: bool
):
    assert await passes(f"{AdminState.get_full_name()}.edit", payload) == is_let_in


async def test_reflexs_own_events_pass():
    assert await passes(f"{State.get_full_name()}.hydrate", {"anything": 5})


async def passes(name: str, payload: dict[str, Any]) -> bool:
    neither: Any = None
    event = Event(name=name, payload=payload)
    return await OwnEvents().preprocess(neither, neither, event) is None
