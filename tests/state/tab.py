"""A browser's tab without a browser: its states, and the events that it sends."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import reflex as rx
from reflex.event import EventHandler
from reflex.istate.data import RouterData


class Tab:
    """A state as a browser's event meets it; background handlers lock it with `async with`."""

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

    def __init__(self, cookie: str, *, address: str = "/chat", token: str = "tab") -> None:
        self._root = rx.State(_reflex_internal_init=True)  # pyright: ignore[reportCallIssue]
        self._address, self._token = address, token
        self.use_cookie(cookie)

    def use_cookie(self, cookie: str) -> None:
        """Be a browser that has another cookie by now."""
        self._root.router = RouterData.from_router_data(
            {
                "headers": {"cookie": cookie, "origin": "http://platform.test"},
                "token": self._token,
                "asPath": self._address,
                "pathname": self._address.partition("?")[0],
            }
        )

    def everything(self) -> dict[str, Any]:
        """Return all that the states hold for the page."""
        return self._root.dict()

    def of(self, state: type[rx.State]) -> Any:
        return self._root.get_substate(state.get_full_name().split("."))

    async def send(self, state: type[rx.State], name: str, *arguments: Any) -> list[Any]:
        """Run a handler to its end; return the events that it answers with."""
        handler: EventHandler = state.event_handlers[name]
        outcome = handler.fn(Tab(self.of(state)), *arguments)
        if inspect.isasyncgen(outcome):
            return [event async for event in outcome]
        answer = await outcome if inspect.isawaitable(outcome) else outcome
        if answer is None:
            return []
        return list(answer) if isinstance(answer, list) else [answer]


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another task does to a tab."""
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
