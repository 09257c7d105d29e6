"""What was observed of a run from outside, for the laws to compare with what is stored."""

from collections import Counter
from dataclasses import dataclass, field

from chat_platform.models import Account
from chat_platform.turns.events import TurnEvent, text_of
from chat_platform.values.ids import TurnId


@dataclass
class Reading:
    """What one reader, who may have reconnected, was shown of a turn."""

    turn_id: TurnId
    after: int
    seen: list[TurnEvent] = field(default_factory=list)

    @property
    def text(self) -> str:
        return text_of(self.seen)

    @property
    def reached(self) -> int:
        return self.seen[-1].number if self.seen else self.after


@dataclass
class Facts:
    people: list[Account]
    turns: dict[TurnId, str] = field(default_factory=dict)
    """The text of each turn whose start was confirmed."""
    by_person: dict[str, list[TurnId]] = field(default_factory=dict)
    cancelled: set[TurnId] = field(default_factory=set)
    readings: list[Reading] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    """Errors that no door can translate: a 500 each."""
    dead_owners: set[str] = field(default_factory=set)
    """Processes that were killed, or considered dead while they were stopped."""
    met: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
