"""Lets a repeated request share its first attempt: one call, one answer, one charge.

Agent servers repeat requests that failed or seem lost. A request with the same body from the same
agent in the same turn follows the first one's answer while that is still open; shortly after it
failed, or its answer was lost, it gets that answer again. See docs/adr/0015.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from starlette.types import Message, Send

from chat_platform.proxy import problems
from chat_platform.proxy.problems import Problem
from chat_platform.values.ids import AgentId, TurnId

KEEP_SECONDS = 5
"""An OpenAI client repeats after half a second, and again after another second."""

MAX_ANSWER_BYTES = 1024 * 1024
"""A longer answer is not kept for others."""
MAX_KEPT = 500
MAX_KEPT_BYTES = 16 * 1024 * 1024
"""Of answers and of the requests that they belong to."""
MAX_FOLLOWERS = 8

_BUSY = 429
_FAILURE = 500


class FlightKey(NamedTuple):
    agent_id: AgentId
    endpoint: str
    body: bytes
    """The whole body: Python hashes it once, several times faster than SHA-256."""


class Flight:
    """One attempt, and its answer so far."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: list[Message] = []
        self._bytes = 0
        self._news: asyncio.Event | None = None
        self._followers = 0
        self._abandon: Callable[[], None] | None = None
        self._is_abandoned = False
        self._is_dropped = False
        self.is_over = False
        self.was_lost = False
        """Its caller left before the whole answer was sent."""
        self.problem: Exception | None = None
        self.is_paid = False
        self.turn_id: TurnId | None = None
        """Known once the intent is committed."""

    @property
    def can_be_followed(self) -> bool:
        return self.is_held and not self._is_abandoned and self._followers < MAX_FOLLOWERS

    @property
    def is_held(self) -> bool:
        """Its whole answer so far is still kept."""
        return not self._is_dropped

    @property
    def size(self) -> int:
        return self._bytes

    @property
    def status(self) -> int:
        """The response's status, 0 if there was none or it did not come from the gateway."""
        if isinstance(self.problem, Problem):
            is_gateways = self.problem.code in ("broken_answer", "gateway_timeout")
            return self.problem.status if is_gateways else 0
        return self._messages[0]["status"] if self._messages and not self.problem else 0

    @property
    def is_whole(self) -> bool:
        """It is complete: the whole answer, or the reason there is none."""
        if not self._messages:
            return self.problem is not None
        last = self._messages[-1]
        return last["type"] == "http.response.body" and not last.get("more_body", False)

    def retry_after(self) -> float | None:
        headers = self._messages[0]["headers"] if self._messages else ()
        value = next((value for name, value in headers if name == b"retry-after"), b"")
        return float(value) if value.isdigit() else None

    def paid(self, turn_id: TurnId | None) -> None:
        self.is_paid, self.turn_id = True, turn_id

    async def send(self, message: Message) -> None:
        """Pass part of the answer on to the caller and to followers."""
        self._note(message)
        if self._abandon:
            self.was_lost = True
            return
        try:
            await self._send(message)
        except BaseException:
            self.was_lost = True
            raise

    def leave(self, abandon: Callable[[], None]) -> None:
        """Note that the caller has left: the call is abandoned when nobody follows it any more."""
        self._abandon = abandon
        self._end_without_followers()

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Keep the call alive for one more follower, before it examines the call."""
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1
            self._end_without_followers()

    async def follow(self, send: Send) -> None:
        """Send this attempt's answer from the beginning. Raises what the attempt raised."""
        sent = 0
        while True:
            while sent < len(self._messages):
                await send(self._messages[sent])
                sent += 1
            if self.is_over:
                break
            self._news = self._news or asyncio.Event()
            await self._news.wait()
        if not sent:
            raise self.problem or problems.internal_error()

    def land(self, error: BaseException | None) -> None:
        self.problem = error if isinstance(error, Exception) else None
        self.is_over = True
        self._tell()

    def _end_without_followers(self) -> None:
        if self._abandon and not self._followers and not self.is_over:
            self._is_abandoned = True
            self._abandon()

    def _note(self, message: Message) -> None:
        if self._is_dropped:
            return
        self._messages.append(message)
        self._bytes += len(message.get("body", b""))
        if self._bytes > MAX_ANSWER_BYTES and not self._followers:
            self._is_dropped = True
            self._messages.clear()
        self._tell()

    def _tell(self) -> None:
        if self._news:
            self._news.set()
            self._news = None


class _Kept(NamedTuple):
    flight: Flight
    until: float


class Flights:
    """The open attempts of one process, and those that failed in the last seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[FlightKey, Flight] = {}
        self._kept: OrderedDict[FlightKey, _Kept] = OrderedDict()
        self._kept_bytes = 0

    def find(self, key: FlightKey, *, is_first_try: bool) -> Flight | None:
        """Return the attempt that this request repeats, None if it is new.

        A client that counts its tries is trusted when it says this is the first. A good answer
        that was lost is given out once.
        """
        if is_first_try:
            return None
        flight = self._open.get(key)
        if flight:
            return flight if flight.can_be_followed else None
        self._forget_old()
        kept = self._kept.get(key)
        if kept and kept.flight.status < _BUSY:
            self._drop(key)
        return kept.flight if kept else None

    def take_off(self, key: FlightKey, send: Send) -> Flight:
        flight = Flight(send)
        self._open[key] = flight
        return flight

    def land(self, key: FlightKey, flight: Flight, error: BaseException | None) -> None:
        """End an attempt; keep its answer if it may be requested again."""
        flight.land(error)
        if self._open.get(key) is flight:
            del self._open[key]
        is_failure = flight.status == _BUSY or flight.status >= _FAILURE
        can_be_told = flight.is_paid and flight.is_held and flight.is_whole
        if can_be_told and (is_failure or flight.was_lost):
            self._keep(key, flight)

    def _keep(self, key: FlightKey, flight: Flight) -> None:
        # A caller that waited for Retry-After wants a new attempt.
        seconds = min(KEEP_SECONDS, flight.retry_after() or KEEP_SECONDS)
        self._drop(key)
        self._kept[key] = _Kept(flight, self._clock() + seconds)
        self._kept_bytes += _size(key, flight)
        while len(self._kept) > MAX_KEPT or self._kept_bytes > MAX_KEPT_BYTES:
            self._drop(next(iter(self._kept)))

    def _forget_old(self) -> None:
        now = self._clock()
        for key in [key for key, kept in self._kept.items() if kept.until <= now]:
            self._drop(key)

    def _drop(self, key: FlightKey) -> None:
        if kept := self._kept.pop(key, None):
            self._kept_bytes -= _size(key, kept.flight)


def _size(key: FlightKey, flight: Flight) -> int:
    return len(key.body) + flight.size
