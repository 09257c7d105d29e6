"""Names each event of a page in the log: the event's id, and the account of its tab."""

from reflex.app import App
from reflex.event import Event
from reflex.middleware.middleware import Middleware
from reflex.state import BaseState, StateUpdate
from reflex_base.event.context import EventContext
from structlog.contextvars import bind_contextvars

from chat_platform.state.account import NOBODY


class EventIds(Middleware):
    """Each event has a task of its own, whose lines get the ids."""

    async def preprocess(self, app: App, state: BaseState, event: Event) -> StateUpdate | None:
        name_event()
        return None


def name_event() -> None:
    """Put the ids of the current event into the log's lines."""
    try:
        context = EventContext.get()
    except LookupError:
        return
    bind_contextvars(request_id=context.txid)
    # `PageSockets` has put the account into the token.
    owner = context.token.rpartition(".")[2]
    if owner not in ("", NOBODY):
        bind_contextvars(account_id=owner)
