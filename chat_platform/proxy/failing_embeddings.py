"""Pauses calls to a failing embedding model, since agents repeat them dozens of times."""

import time
from collections.abc import Callable

from chat_platform.proxy import problems
from chat_platform.values.ids import AgentId

FIRST_PAUSE_SECONDS = 5
MAX_PAUSE_SECONDS = 60
MAX_REMEMBERED = 10_000

_Key = tuple[AgentId, str]


class FailingEmbeddings:
    """Which agents' last embedding call failed, and until when to pause them. Each failure doubles
    the pause; a success ends it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pauses: dict[_Key, tuple[float, float]] = {}

    def refuse_paused(self, agent_id: AgentId, model: str) -> None:
        """Raise Problem 503 during a pause."""
        until, _ = self._pauses.get((agent_id, model), (0.0, 0.0))
        left = until - self._clock()
        if left > 0:
            raise problems.embeddings_failing(int(left) + 1)

    def failed(self, agent_id: AgentId, model: str) -> None:
        _, last = self._pauses.pop((agent_id, model), (0.0, 0.0))
        pause = min(MAX_PAUSE_SECONDS, last * 2 or FIRST_PAUSE_SECONDS)
        if len(self._pauses) >= MAX_REMEMBERED:
            self._pauses.pop(next(iter(self._pauses)))
        self._pauses[agent_id, model] = (self._clock() + pause, pause)

    def succeeded(self, agent_id: AgentId, model: str) -> None:
        self._pauses.pop((agent_id, model), None)
