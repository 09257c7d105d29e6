"""Spans of a trace: what took how long within a turn, and within what.

Their ids follow from the ids of turns and calls, so that every process knows a turn's spans, the
agent server passes nothing on, and an operator finds a trace by its turn: the trace's id is the
turn's, without its hyphens.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from uuid import UUID

from chat_platform.values.ids import CallId, TurnId

Attribute = str | int | bool
"""Ids, names, numbers and codes; never what anybody wrote."""
_SPAN_ID_BYTES = 8


class SpanId(NamedTuple):
    trace_id: int
    span_id: int


@dataclass(frozen=True)
class Span:
    """Something that has ended. `error` is the code of why it failed."""

    name: str
    id: SpanId
    parent: SpanId | None
    began_ns: int
    ended_ns: int
    kind: Literal["server", "client", "internal"] = "internal"
    error: str | None = None
    attributes: Mapping[str, Attribute | None] = field(default_factory=dict[str, Attribute | None])
    """None for what is unknown: it is left out."""


def request_span(turn_id: TurnId) -> SpanId:
    """The request, or the event of a page, that started the turn: the root of its trace."""
    return SpanId(_trace_of(turn_id), _hashed("request", turn_id))


def turn_span(turn_id: TurnId) -> SpanId:
    return SpanId(_trace_of(turn_id), _hashed("turn", turn_id))


def run_span(turn_id: TurnId) -> SpanId:
    """The agent's run. A process that takes the turn over continues the same run."""
    return SpanId(_trace_of(turn_id), _hashed("run", turn_id))


def call_span(call_id: CallId, turn_id: TurnId | None) -> SpanId:
    """A model call. Outside of turns it has a trace of its own."""
    return SpanId(_trace_of(turn_id or call_id), _hashed("call", call_id))


def gateway_span(call_id: CallId, turn_id: TurnId | None) -> SpanId:
    return SpanId(_trace_of(turn_id or call_id), _hashed("gateway", call_id))


def made_at_ns(id_: CallId) -> int:
    """When the id was made, to the millisecond: a UUIDv7 begins with it."""
    return (UUID(id_).int >> 80) * 1_000_000


def _trace_of(id_: str) -> int:
    return UUID(id_).int


def _hashed(kind: str, id_: str) -> int:
    digest = hashlib.blake2b(f"{kind} {id_}".encode(), digest_size=_SPAN_ID_BYTES).digest()
    # 0 is no id.
    return int.from_bytes(digest, "big") or 1
