"""Notifies the readers of a turn, in this process and, through Redis, in others.

Only a notification: the durable log is authoritative, and readers find there what they missed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from chat_platform.turns.events import TurnEvent
from chat_platform.values.ids import AccountId, TurnId

WAKE: tuple[TurnEvent, ...] = ()
"""Tells a listener to read the log itself."""

Topic = TurnId | AccountId
"""A topic: a turn's log, or an account, for new turns in it."""

News = Literal["grown", "stop"]

Relay = Callable[[Topic, News], Awaitable[None]]


class TurnFeed:
    """The listeners of this process, by topic.

    `relay`, set if several processes serve the same turns, tells the others that a turn's log has
    grown, or that a turn is to stop.
    """

    def __init__(self) -> None:
        self._listeners: dict[Topic, set[asyncio.Queue[Sequence[TurnEvent]]]] = {}
        self.relay: Relay | None = None

    @contextmanager
    def listen(self, topic: Topic) -> Iterator[asyncio.Queue[Sequence[TurnEvent]]]:
        queue: asyncio.Queue[Sequence[TurnEvent]] = asyncio.Queue()
        self._listeners.setdefault(topic, set()).add(queue)
        try:
            yield queue
        finally:
            listeners = self._listeners[topic]
            listeners.discard(queue)
            if not listeners:
                del self._listeners[topic]

    async def publish(self, turn_id: TurnId, events: Sequence[TurnEvent]) -> None:
        """Deliver events that are already in the log."""
        self.wake(turn_id, events)
        if self.relay:
            await self.relay(turn_id, "grown")

    async def tell_of_new_turn(self, account_id: AccountId) -> None:
        """Wake the account's listeners: a turn has started in it."""
        self.wake(account_id)
        if self.relay:
            await self.relay(account_id, "grown")

    async def tell_to_stop(self, turn_id: TurnId) -> None:
        """Tell other processes that a turn is to stop."""
        if self.relay:
            await self.relay(turn_id, "stop")

    def wake(self, topic: Topic, events: Sequence[TurnEvent] = WAKE) -> None:
        for queue in self._listeners.get(topic, ()):
            queue.put_nowait(events)
