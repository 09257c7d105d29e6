"""Accepts only values that our own pages send; handlers decide what to do with them."""

from collections.abc import Mapping

import structlog
from reflex.app import App
from reflex.event import Event
from reflex.middleware.middleware import Middleware
from reflex.state import BaseState, StateUpdate

from chat_platform.values.texts import is_storable

log = structlog.get_logger()

_OURS = ".chat_platform___state___"
"""Part of the name of each event of our states, but of none of Reflex's own."""


class OwnEvents(Middleware):
    """Drops an event with values that our pages never send: a forged one."""

    async def preprocess(self, app: App, state: BaseState, event: Event) -> StateUpdate | None:
        if _OURS not in event.name or is_own(event.payload):
            return None
        log.warning("page_event.dropped", name=event.name)
        return StateUpdate()


def is_own(payload: Mapping[str, object]) -> bool:
    """Tell whether forms are dicts, `is_...` is a boolean, and the rest is text."""
    return all(_fits(name, value) for name, value in payload.items())


def _fits(name: str, value: object) -> bool:
    if name == "form":
        return isinstance(value, Mapping)
    if name.startswith("is_"):
        return isinstance(value, bool)
    return isinstance(value, str) and is_storable(value)
