"""A page's event is named in the log by its own id and by the account of its tab."""

from typing import Any

import pytest
from reflex_base.event.context import EventContext
from structlog.contextvars import clear_contextvars, get_contextvars

from chat_platform.state.event_ids import name_event
from tests.people import Person


@pytest.fixture(autouse=True)
def unnamed():
    clear_contextvars()
    yield
    clear_contextvars()


def event_of(owner: str) -> EventContext:
    no_manager: Any = None
    return EventContext(token=f"tab.{owner}", state_manager=no_manager, enqueue_impl=no_manager)


def test_an_event_has_an_id_and_the_account_of_its_tab(alice: Person):
    event = event_of(alice.id)

    with event:
        name_event()

    assert get_contextvars() == {"request_id": event.txid, "account_id": alice.id}


def test_a_strangers_event_has_only_an_id():
    event = event_of("nobody")

    with event:
        name_event()

    assert get_contextvars() == {"request_id": event.txid}


def test_outside_of_events_there_is_nothing_to_name():
    name_event()

    assert get_contextvars() == {}
