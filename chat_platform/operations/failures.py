"""How turns ended in the last seven days, and why they or their model calls failed: codes only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable, func
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import ModelCall, Turn
from chat_platform.operations.times import Times, first_id

LISTED = 10


@dataclass(frozen=True)
class Failure:
    """A code, how often it occurred, and when last."""

    code: str
    number: int
    last_at_ms: int


@dataclass(frozen=True)
class Failures:
    finished: int
    failed: int
    cancelled: int
    turns: Sequence[Failure]
    """Why turns failed, the most frequent first; their numbers add up to `failed`, unless there
    are more than LISTED codes."""
    calls: Sequence[Failure]
    """The same for model calls, most of which are repeated and then succeed."""


async def failures(ctx: AppContext, times: Times) -> Failures:
    async with reading(ctx.engine) as session:
        turns = (await session.execute(_of_turns(times.week_ms))).all()
        calls = (await session.execute(_of_calls(times.week_ms))).all()
    return Failures(
        finished=_number(turns, "finished"),
        failed=_number(turns, "failed"),
        cancelled=_number(turns, "cancelled"),
        turns=_listed(row[1:] for row in turns if row[0] == "failed"),
        calls=_listed(calls),
    )


def _of_turns(since_ms: int) -> Executable:
    return (
        select(Turn.status, Turn.error_code, func.count(), func.max(Turn.ended_at_ms))
        .where(
            col(Turn.id) >= first_id(since_ms),
            col(Turn.created_at_ms) >= since_ms,
            col(Turn.kind) == "message",
            col(Turn.status) != "running",
        )
        .group_by(col(Turn.status), col(Turn.error_code))
    )


def _of_calls(since_ms: int) -> Executable:
    return (
        select(ModelCall.error_code, func.count(), func.max(ModelCall.started_at_ms))
        .where(
            col(ModelCall.id) >= first_id(since_ms),
            col(ModelCall.started_at_ms) >= since_ms,
            col(ModelCall.state).in_(("failed", "unknown")),
        )
        .group_by(col(ModelCall.error_code))
    )


def _number(turns: Iterable[Sequence[Any]], status: str) -> int:
    return sum(row[2] for row in turns if row[0] == status)


def _listed(rows: Iterable[Sequence[Any]]) -> list[Failure]:
    by_code: dict[str, Failure] = {}
    for code, number, last_at_ms in rows:
        name = _word(code)
        known = by_code.get(name, Failure(name, 0, 0))
        by_code[name] = Failure(name, known.number + number, max(known.last_at_ms, last_at_ms or 0))
    return sorted(by_code.values(), key=lambda failure: (-failure.number, failure.code))[:LISTED]


def _word(code: str | None) -> str:
    """Return the code, `other` for what a gateway put in its place."""
    return code if code and code.isidentifier() else "other"
