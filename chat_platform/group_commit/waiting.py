"""What waits to be written, and how it is told that it was."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chat_platform.group_commit.statements import Planner


@dataclass(slots=True)
class Waiting:
    planner: Planner[Any, Any]
    item: Any
    result: asyncio.Future[Any]


@dataclass(slots=True)
class Outcome:
    waiting: Waiting
    value: Any = None
    error: Exception | None = None

    def tell(self) -> None:
        result = self.waiting.result
        if result.done():
            return
        if self.error is None:
            result.set_result(self.value)
        else:
            result.set_exception(self.error)


def by_planner(waiting: Sequence[Waiting]) -> list[list[Waiting]]:
    """Split into what can share a transaction, each part in the order it came."""
    found: dict[Planner[Any, Any], list[Waiting]] = {}
    for write in waiting:
        found.setdefault(write.planner, []).append(write)
    return list(found.values())


def outcomes_of(group: Sequence[Waiting], values: Sequence[Any]) -> list[Outcome]:
    return [Outcome(write, value) for write, value in zip(group, values, strict=True)]
