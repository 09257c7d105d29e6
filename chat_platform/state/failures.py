"""Turns every failed page event into a message for the person, or a redirect."""

# Reflex types an event's call as a callback; its exception hook wants exactly EventSpec.
# pyright: reportReturnType=false
import json

import reflex as rx
import structlog
from reflex.event import EventSpec

from chat_platform.database.away import AWAY, unavailable
from chat_platform.errors import NotSignedIn, PlatformError, internal_error
from chat_platform.process.log_lines import without_words
from chat_platform.state.account import AccountState
from chat_platform.state.event_ids import name_event

log = structlog.get_logger()


def answer_exception(exception: Exception) -> EventSpec | None:
    """Show a failed event to the person; Reflex calls this for every handler that raises."""
    if isinstance(exception, NotSignedIn):
        return rx.redirect("/login")
    if isinstance(exception, PlatformError):
        return _shown(exception)
    name_event()
    if isinstance(exception, AWAY):
        log.error("page_event.no_database", error=type(exception).__name__)
        return _shown(unavailable())
    log.error("page_event.failed", exception=without_words(exception))
    return _shown(internal_error())


def _shown(error: PlatformError) -> EventSpec:
    """The handler knows the person's language, and is called by way of the browser."""
    return AccountState.show_problem(error.message, json.dumps(dict(error.values)))
