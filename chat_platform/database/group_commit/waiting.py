"""Writes that are waiting, and how their callers are notified."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from chat_platform.database.group_commit.statements import Again

OUTAGES = (sqlite3.OperationalError, psycopg.OperationalError, OSError, TimeoutError)
"""The database is down, locked or full. Any other error is caused by the write itself."""


@dataclass(slots=True)
class Waiting:
    work: Callable[..., Any]
    """Takes all waiting items of its kind: a planner, or a function that writes them."""
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


def by_work(waiting: Sequence[Waiting]) -> list[list[Waiting]]:
    """Split into parts that can share a transaction, each in order of arrival."""
    found: dict[Callable[..., Any], list[Waiting]] = {}
    for write in waiting:
        found.setdefault(write.work, []).append(write)
    return list(found.values())


def outcomes_of(group: Sequence[Waiting], values: Sequence[Any]) -> list[Outcome]:
    return [Outcome(write, value) for write, value in zip(group, values, strict=True)]


def tell_all(outcomes: Sequence[Outcome], tell: Callable[[Outcome], object]) -> list[list[Waiting]]:
    """Tell the outcomes; return the groups of those that must be planned again."""
    unplanned: list[Waiting] = []
    for outcome in outcomes:
        if isinstance(outcome.value, Again):
            write = outcome.waiting
            unplanned.append(Waiting(outcome.value.planner, write.item, write.result))
        else:
            tell(outcome)
    return by_work(unplanned)
