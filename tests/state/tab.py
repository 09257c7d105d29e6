"""A browser tab without a browser: its states, and the events that it sends."""

import inspect
from itertools import count
from typing import Any

import reflex as rx
from reflex.event import Event, EventHandler
from reflex.istate.data import RouterData

from chat_platform.state.event_limits import EventLimits
from chat_platform.state.tab_owners import TabOwners

_numbers = count(1)


class Tab:
    """A state as a browser's event sees it; background handlers lock it with `async with`."""

    def __init__(self, state: Any) -> None:
        self.__dict__["state"] = state

    def __getattr__(self, name: str) -> Any:
        return getattr(self.state, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.state, name, value)

    async def __aenter__(self) -> "Tab":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class OpenTab:
    """`tab = OpenTab(cookie)`, `await tab.send(ChatState, "open")`, `tab.of(ChatState).end`"""

    def __init__(
        self, cookie: str, *, address: str = "/chat", token: str = "", ip: str = ""
    ) -> None:
        self._root = rx.State(_reflex_internal_init=True)  # pyright: ignore[reportCallIssue]
        self._address, self._ip = address, ip
        self._token = token or f"tab-{next(_numbers)}"
        self._owners = TabOwners()
        self.use_cookie(cookie)

    def use_cookie(self, cookie: str) -> None:
        """Become a browser with another cookie."""
        self._root.router = RouterData.from_router_data(
            {
                "headers": {"cookie": cookie, "origin": "http://platform.test"},
                "token": self._token,
                "ip": self._ip,
                "asPath": self._address,
                "pathname": self._address.partition("?")[0],
            }
        )

    def everything(self) -> dict[str, Any]:
        """Return everything that the states contain for the page."""
        return self._root.dict()

    def of(self, state: type[rx.State]) -> Any:
        return self._root.get_substate(state.get_full_name().split("."))

    async def send(self, state: type[rx.State], name: str, *arguments: Any) -> list[Any]:
        """Run a handler to its end as the server does; return the events that it returns."""
        no_app: Any = None
        event = Event(f"{state.get_full_name()}.{name}")
        await self._owners.preprocess(no_app, self._root, event)
        await EventLimits().preprocess(no_app, self._root, event)
        handler: EventHandler = state.event_handlers[name]
        outcome = handler.fn(Tab(self.of(state)), *arguments)
        if inspect.isasyncgen(outcome):
            return [event async for event in outcome]
        answer = await outcome if inspect.isawaitable(outcome) else outcome
        if answer is None:
            return []
        return list(answer) if isinstance(answer, list) else [answer]
