"""The pages' websocket: accepts only events that the app has, and logs nothing of others.

Reflex sends a tab's updates to whoever presents the tab's token, from the moment of connecting. So
the account is made part of the token: another person's websocket never names the same tab.
"""

import asyncio
import inspect
import re
from collections import Counter
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import structlog
from reflex.app import EventNamespace
from reflex.event import Event
from reflex.istate.manager.memory import StateManagerMemory
from reflex.istate.manager.token import BaseStateToken
from reflex_base.registry import RegistrationContext

from chat_platform.accounts.sign_in import caller_from_cookie
from chat_platform.context import app_context
from chat_platform.state.account import NOBODY, AccountState
from chat_platform.values.ids import AccountId

log = structlog.get_logger()

FROM_BROWSERS = frozenset({"event", "ping", "client_error"})
"""The events a page sends. Others are internal: a sent `connect` would bring its own headers."""
_NAME = re.compile(r"[A-Za-z_][\w.]{0,199}", re.ASCII)
"""What event names look like. Anything else under that key was made up."""
MAX_LINES_A_SOCKET = 5
MAX_TABS_OF_ACCOUNT = 30
_SLEEP_SECONDS = 5.0
_FALL_ASLEEP = f"{AccountState.get_full_name()}.fall_asleep"


class PageSockets(EventNamespace):
    """Refuses what no page sends, before Reflex could process or log it."""

    def __init__(self, namespace: str, app: Any) -> None:
        super().__init__(namespace, app)
        self._refused: Counter[str] = Counter()
        self._signed_in: dict[str, AccountId] = {}
        """The account of each websocket from its opening; the most recently active is last."""
        self._going: set[asyncio.Task[None]] = set()

    async def trigger_event(self, event: Any, *args: Any) -> Any:
        sid = args[0]
        if not self._is_from_server(event, args) and not _is_from_browsers(event, args):
            self._note_refused(sid, event, "unknown message", args[1:])
            return None
        return await super().trigger_event(event, *args)

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        caller = await caller_from_cookie(app_context(), environ.get("HTTP_COOKIE", ""))
        if caller:
            self._signed_in[sid] = caller.account_id
        try:
            await super().on_connect(sid, environ, auth)
        except BaseException:
            self._signed_in.pop(sid, None)
            raise
        if caller:
            self._limit_tabs(caller.account_id)

    async def link_token_to_sid(self, sid: str, token: str, *, update_state: bool = True) -> None:
        """Make the account part of the token. Called when a websocket is opened."""
        owner = self._signed_in.get(sid, NOBODY)
        await super().link_token_to_sid(sid, f"{token}.{owner}", update_state=update_state)

    async def on_event(self, sid: str, data: Any) -> None:
        if sid in self._signed_in:
            self._signed_in[sid] = self._signed_in.pop(sid)
        problem = problem_of(data) if sid in self.sid_to_token else "not connected yet"
        if problem:
            name = data.get("name", "") if isinstance(data, dict) else ""
            self._note_refused(sid, name, problem, data)
            return
        await super().on_event(sid, data)

    def on_disconnect(self, sid: str) -> Any:
        self._refused.pop(sid, None)
        is_strangers = self._signed_in.pop(sid, None) is None
        token = self.sid_to_token.get(sid)
        if is_strangers and token:
            self._later(self._forget_states(token))
        return super().on_disconnect(sid)

    def _limit_tabs(self, account_id: AccountId) -> None:
        tabs = [tab for tab, whose in self._signed_in.items() if whose == account_id]
        for tab in tabs[:-MAX_TABS_OF_ACCOUNT]:
            del self._signed_in[tab]
            self._later(self._put_to_sleep(tab))

    async def _put_to_sleep(self, sid: str) -> None:
        """Tell the tab why, and close such that it reconnects only when somebody looks at it."""
        token = self.sid_to_token.get(sid)
        if token:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SLEEP_SECONDS):
                    await (await self.app.event_processor.enqueue(token, Event(name=_FALL_ASLEEP)))
        await self.disconnect(sid)

    async def _forget_states(self, token: str) -> None:
        """Keep nothing of a tab in which nobody was signed in. In Redis it expires anyway."""
        manager = self.app.state_manager
        if isinstance(manager, StateManagerMemory) and self.app._state:
            states = BaseStateToken(ident=token, cls=self.app._state)
            async with await manager._get_state_lock(states):
                pass
            manager._purge_token(states)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._going.add(task)
        task.add_done_callback(self._going.discard)

    def _is_from_server(self, event: Any, args: tuple[Any, ...]) -> bool:
        """Distinguish the server's own calls from a browser's message of the same name."""
        if event == "connect":
            return len(args) > 1 and args[1] is self._environ(args[0])
        return event == "disconnect" and not self._manager.is_connected(args[0], self.namespace)

    def _environ(self, sid: str) -> object:
        return self.app.sio.get_environ(sid, self.namespace) if self.app.sio else None

    @property
    def _manager(self) -> Any:
        return self.app.sio.manager if self.app.sio else None

    def _note_refused(self, sid: str, name: object, problem: str, sent: object) -> None:
        self._refused[sid] += 1
        if self._refused[sid] > MAX_LINES_A_SOCKET:
            return
        shown = name if isinstance(name, str) and _NAME.fullmatch(name) else "[no name]"
        log.warning(
            "page_event.refused", name=shown, problem=problem, about_characters=_size_of(sent)
        )


def _is_from_browsers(event: Any, args: tuple[Any, ...]) -> bool:
    is_known = isinstance(event, str) and event in FROM_BROWSERS
    return is_known and len(args) == (1 if event == "ping" else 2)


def problem_of(data: object) -> str:
    """Describe what is wrong with an event, in our own words; "" if the app accepts it."""
    if not isinstance(data, dict):
        return "not an event"
    name, payload = data.get("name"), data.get("payload", {})
    if not isinstance(name, str) or name not in RegistrationContext.get().event_handlers:
        return "unknown event"
    if not isinstance(data.get("router_data", {}), dict):
        return "no address"
    if not isinstance(payload, Mapping) or not _takes(name, frozenset(payload)):
        return "wrong arguments"
    return ""


def _takes(name: str, given: frozenset[str]) -> bool:
    needed, known = _arguments_of(name)
    return needed <= given and (known is None or given <= known)


@cache
def _arguments_of(name: str) -> tuple[frozenset[str], frozenset[str] | None]:
    """Return the event's required and its known arguments; None if it takes any."""
    handler = RegistrationContext.get().event_handlers[name].handler
    _state, *parameters = inspect.signature(handler.fn).parameters.values()
    needed = frozenset(
        p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    )
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return needed, None if takes_any else frozenset(p.name for p in parameters)


def _size_of(sent: object) -> int:
    """Estimate how much was sent, without serialising it."""
    if isinstance(sent, Mapping):
        return sum(len(str(key)) + _size_of(value) for key, value in sent.items())
    if isinstance(sent, list | tuple):
        return sum(_size_of(value) for value in sent)
    return len(sent) if isinstance(sent, str) else 1
