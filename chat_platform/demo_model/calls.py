"""Records incoming calls, so that tests can inspect them from outside."""

import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

_KEPT = 2_000


@dataclass
class Call:
    """One call as the upstream saw it. `authorization` is what the gateway sent."""

    number: int
    path: str
    model: str
    authorization: str
    is_streamed: bool
    last_words: str
    at: float = field(default_factory=time.time)
    state: Literal["open", "done", "failed", "disconnected"] = "open"
    pieces_sent: int = 0
    usage: dict[str, int] | None = None


@dataclass
class CallList:
    _calls: deque[Call] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _count: int = 0

    def open(self, **facts: Any) -> Call:
        self._count += 1
        call = Call(number=self._count, **facts)
        self._calls.append(call)
        return call

    def as_list(self) -> list[dict[str, Any]]:
        return [asdict(call) for call in self._calls]

    def clear(self) -> None:
        self._calls.clear()
