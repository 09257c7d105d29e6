"""The entries of a turn's log. Knows no database."""

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
    """One entry of a turn's log; `data` is its public form.

    `number` is the position after this event: every character of the reply counts as one, and so
    does every other event. Pieces of text can therefore be split and merged freely: a reader at
    any number, even in the middle of a piece, gets exactly what is missing.
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
        """Return the part after `number`; None if there is none."""
        missing = self.number - number
        if missing <= 0:
            return None
        if missing >= self.width:
            return self
        return TurnEvent(self.number, self.type, {"text": self.data["text"][-missing:]})


def text_of(events: list[TurnEvent]) -> str:
    return "".join(e.data["text"] for e in events if e.type == "message.delta")


def merge_text(events: list[TurnEvent]) -> list[TurnEvent]:
    """Return the same log with consecutive text pieces merged."""
    merged: list[TurnEvent] = []
    for event in events:
        last = merged[-1] if merged else None
        if last and last.type == event.type == "message.delta":
            text = last.data["text"] + event.data["text"]
            merged[-1] = TurnEvent(event.number, "message.delta", {"text": text})
        else:
            merged.append(event)
    return merged
