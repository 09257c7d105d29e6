"""What a turn's log is made of. Knows no database."""

from dataclasses import dataclass
from typing import Any, Literal

TurnEventType = Literal[
    "turn.started",
    "message.delta",
    "step",
    "message.completed",
    "turn.completed",
    "turn.failed",
    "turn.cancelled",
]

END_TYPES: frozenset[str] = frozenset({"turn.completed", "turn.failed", "turn.cancelled"})


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """One entry of a turn's log; `data` is what the public contract shows of it.

    `number` says how far a reader is who has this event: every character of the reply counts
    one, and so does every other event. Pieces of text can therefore be cut and merged at will:
    whoever stands at a number, even in the middle of a piece, gets exactly what is missing.
    """

    number: int
    type: TurnEventType
    data: dict[str, Any]

    @property
    def width(self) -> int:
        return len(self.data["text"]) if self.type == "message.delta" else 1

    @property
    def is_end(self) -> bool:
        return self.type in END_TYPES

    def rest_after(self, number: int) -> "TurnEvent | None":
        """Return the part that a reader at `number` lacks; None when there is none."""
        missing = self.number - number
        if missing <= 0:
            return None
        if missing >= self.width:
            return self
        return TurnEvent(self.number, self.type, {"text": self.data["text"][-missing:]})


def text_of(events: list[TurnEvent]) -> str:
    return "".join(e.data["text"] for e in events if e.type == "message.delta")


def merge_text(events: list[TurnEvent]) -> list[TurnEvent]:
    """Return the same log with each run of text pieces as one."""
    merged: list[TurnEvent] = []
    for event in events:
        last = merged[-1] if merged else None
        if last and last.type == event.type == "message.delta":
            text = last.data["text"] + event.data["text"]
            merged[-1] = TurnEvent(event.number, "message.delta", {"text": text})
        else:
            merged.append(event)
    return merged
