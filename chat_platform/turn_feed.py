"""Tells the readers in this process, and in others through Redis, what happened to a turn.

Only wakes and hands over: the durable log is the truth, and a reader that missed something
finds it there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from chat_platform.ids import AccountId, AgentId, TurnId
from chat_platform.turn_events import TurnEvent

WAKE: tuple[TurnEvent, ...] = ()
"""What a listener gets when it should look into the log itself."""

Topic = TurnId | AccountId
"""What one listens to: a turn's log, or an account, for the turns that begin in it."""

Relay = Callable[[Topic, AgentId | None], Awaitable[None]]


class TurnFeed:
    """The listeners of this process, by topic.

    `relay`, set where several processes serve the same turns, tells the others: that a turn's
    log has grown, or that a turn is to stop (then with its agent).
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
        """Hand over events that are already in the log."""
        self.wake(turn_id, events)
        if self.relay:
            await self.relay(turn_id, None)

    async def tell_of_new_turn(self, account_id: AccountId) -> None:
        """Wake whoever shows the account: a turn has begun in it."""
        self.wake(account_id)
        if self.relay:
            await self.relay(account_id, None)

    async def tell_to_stop(self, turn_id: TurnId, agent_id: AgentId) -> None:
        """Pass on to other processes that a turn is to stop."""
        if self.relay:
            await self.relay(turn_id, agent_id)

    def wake(self, topic: Topic, events: Sequence[TurnEvent] = WAKE) -> None:
        for queue in self._listeners.get(topic, ()):
            queue.put_nowait(events)
