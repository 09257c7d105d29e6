"""The page's edge table: every failure in a person's words, and what the browser does about it."""

# Reflex types an event's call as a callback; its exception hook wants exactly EventSpec.
# pyright: reportReturnType=false
import reflex as rx
import structlog
from reflex.event import EventSpec

from chat_platform.errors import NotSignedIn, PlatformError
from chat_platform.ids import new_id
from chat_platform.state.account import AccountState

log = structlog.get_logger()


def answer_exception(exception: Exception) -> EventSpec | None:
    """Tell the person of a failed event; Reflex calls this for every handler that raises."""
    if isinstance(exception, NotSignedIn):
        return rx.redirect("/login")
    if isinstance(exception, PlatformError):
        return AccountState.show_problem(exception.code, exception.message)
    request_id = new_id()
    log.error("page_event.failed", request_id=request_id, exc_info=exception)
    return AccountState.show_problem("internal_error", request_id)
