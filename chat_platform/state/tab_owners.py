"""Ensures that a tab's states are seen only by the person who is signed in there.

Reflex answers its own events, such as `hydrate`, with everything in a tab's states. So before every
event, Reflex's own included, the cookie's account must be the one for which the states were filled.
A websocket's cookie never changes, but its sign-in may end: open tabs are therefore checked between
events too. (Another person's websocket cannot name the tab at all: `page_sockets.py`.)
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import reflex as rx
from reflex.app import App
from reflex.event import Event
from reflex.middleware.middleware import Middleware
from reflex.state import BaseState, StateUpdate

from chat_platform.accounts import sign_in_rows
from chat_platform.context import app_context
from chat_platform.process import background
from chat_platform.process.background import Routine
from chat_platform.state.account import NOBODY, AccountState

LOOK_SECONDS = 0.5
"""How often the sign-ins of open tabs are checked, in one query for all."""
_LEADS_AWAY = ".delete_account"
"""Ends the sign-in itself and redirects; another redirect would hide its message."""
_FORGET_SECONDS = 3600.0
"""After this time without events, Reflex drops a tab's states."""


@dataclass
class _Tab:
    sign_in_id: str
    heard_at: float


@dataclass
class TabOwners(Middleware):
    """Empties a tab's states if another person, or nobody, is signed in there."""

    _tabs: dict[str, _Tab] = field(default_factory=dict)
    """The tabs in which somebody is signed in, by token."""
    _tasks: defaultdict[str, set[asyncio.Task[object]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    """Running tasks by tab token: they would keep filling emptied states."""

    async def preprocess(self, app: App, state: BaseState, event: Event) -> StateUpdate | None:
        """Check the owner; the event then continues, with states that may be empty."""
        root = state._get_root_state()
        token = root.router.session.client_token
        shown = await root.get_state(AccountState)
        caller = await shown._find_caller()
        owner = caller.account_id if caller else NOBODY
        if shown._owner != owner:
            self._end_tasks(token)
            await _empty(root)
            shown._owner = owner
        self._note_task(token)
        leads_away = event.name.endswith(_LEADS_AWAY)
        if caller and caller.sign_in_id and not leads_away:
            self._tabs[token] = _Tab(caller.sign_in_id, time.monotonic())
        else:
            self._tabs.pop(token, None)
        return None

    @asynccontextmanager
    async def looking_after(self, app: App) -> AsyncIterator[None]:
        """Until the block ends, empty the tabs of each ended sign-in within a second."""
        routine = Routine("tabs of ended sign-ins", LOOK_SECONDS, lambda: self.end_tabs(app))
        async with background.running(routine):
            yield

    async def end_tabs(self, app: App) -> None:
        """Empty the tabs whose sign-in has ended, and send them to the sign-in page."""
        self._forget_silent()
        ids = {tab.sign_in_id for tab in self._tabs.values()}
        if not ids:
            return
        live = await sign_in_rows.live_among(app_context(), ids)
        for token in [token for token, tab in self._tabs.items() if tab.sign_in_id not in live]:
            del self._tabs[token]
            # Like every event it finds the wrong owner, and then that nobody is signed in.
            await app.event_processor.enqueue(token, Event(name=_name_of_load()))

    def _forget_silent(self) -> None:
        long_ago = time.monotonic() - _FORGET_SECONDS
        for token in [token for token, tab in self._tabs.items() if tab.heard_at < long_ago]:
            del self._tabs[token]

    def _note_task(self, token: str) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks[token].add(task)
            task.add_done_callback(lambda done: self._forget_task(token, done))

    def _forget_task(self, token: str, task: asyncio.Task[object]) -> None:
        self._tasks[token].discard(task)
        if not self._tasks[token]:
            del self._tasks[token]

    def _end_tasks(self, token: str) -> None:
        for task in self._tasks.get(token, set()) - {asyncio.current_task()}:
            task.cancel()


async def _empty(root: BaseState) -> None:
    """Reset every state of the tab, after loading those stored elsewhere."""
    for state in _states(rx.State):
        await root.get_state(state)
    root.reset()


def _states(state: type[BaseState]) -> Iterator[type[BaseState]]:
    for below in state.get_substates():
        yield below
        yield from _states(below)


def _name_of_load() -> str:
    return f"{AccountState.get_full_name()}.load"
