"""Applies REST's rate limits to the pages' events."""

from reflex.app import App
from reflex.event import Event
from reflex.middleware.middleware import Middleware
from reflex.state import BaseState, StateUpdate
from reflex_base.registry import RegistrationContext

from chat_platform.accounts.limits import count, rule_of
from chat_platform.context import app_context
from chat_platform.process.rate_limits import Rule
from chat_platform.state.account import AccountState


class EventLimits(Middleware):
    """Refuses events over the limit; the page says so, and the form keeps its text.

    Runs after TabOwners. Handlers without a mark count as reads.
    """

    async def preprocess(self, app: App, state: BaseState, event: Event) -> StateUpdate | None:
        """Pass the event on; raises RateLimited."""
        if rule := _rule_of_event(event.name):
            shown = await state._get_root_state().get_state(AccountState)
            # Without a sign-in the handler itself refuses.
            if caller := await shown._find_caller():
                await count(app_context(), caller.account_id, rule)
        return None


def _rule_of_event(name: str) -> Rule | None:
    registered = RegistrationContext.get().event_handlers.get(name)
    return rule_of(registered.handler.fn, None) if registered else None
