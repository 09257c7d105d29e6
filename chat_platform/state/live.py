"""The reply arriving in this tab; other tabs follow the same log independently."""

import asyncio
from collections.abc import AsyncIterator

from chat_platform.state.account import AccountState
from chat_platform.state.live_reply import LiveReply
from chat_platform.turns.events import TurnEvent
from chat_platform.values.ids import TurnId

_followed: set[int] = set()
"""Followers running in this process; other numbers belong to processes that have ended."""


class LiveState(AccountState):
    """Separate from ChatState, so that a flush renders only the live reply."""

    turn_id: str = ""
    is_replying: bool = False
    is_stopping: bool = False
    blocks: list[str] = []
    tail: str = ""
    steps: list[str] = []
    doing: str = ""
    _follower: int = 0

    def _begin(self, turn_id: TurnId) -> int | None:
        """Return the number of a new follower, or None if this tab already has one for the turn."""
        if self.is_replying and self.turn_id == turn_id and self._follower in _followed:
            return None
        self._clear()
        self.turn_id, self.is_replying = turn_id, True
        self._follower = max(_followed, default=0) + 1 + self._follower
        _followed.add(self._follower)
        return self._follower

    def _show(self, reply: LiveReply) -> None:
        if len(self.blocks) != len(reply.blocks):
            self.blocks = list(reply.blocks)
        if self.steps != reply.steps:
            self.steps = reply.steps
        if self.doing != reply.doing:
            self.doing = reply.doing
        self.tail = reply.tail

    def _clear(self) -> None:
        self.turn_id = self.tail = self.doing = ""
        self.is_replying = self.is_stopping = False
        self.blocks, self.steps = [], []


def end_follower(number: int) -> None:
    _followed.discard(number)


async def flushes(events: AsyncIterator[TurnEvent], reply: LiveReply) -> AsyncIterator[None]:
    """Apply the events as they arrive, and yield when there is something new to show.

    Yields at most once per pause, and after the last event. Raises what the events raise.
    """
    applied = asyncio.create_task(_apply_all(events, reply))
    shown = 0
    try:
        while not applied.done() or reply.applied != shown:
            await asyncio.wait({applied}, timeout=reply.pause_seconds)
            if reply.applied != shown:
                shown = reply.applied
                await reply.render()
                yield
        applied.result()
    finally:
        applied.cancel()


async def _apply_all(events: AsyncIterator[TurnEvent], reply: LiveReply) -> None:
    async for event in events:
        reply.apply(event)
