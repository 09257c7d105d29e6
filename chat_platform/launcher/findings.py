"""The results of `chat-platform doctor`'s checks."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The result of one check. `advice` is empty when there is nothing to do."""

    verdict: Literal["ok", "note", "wrong"]
    subject: str
    words: str
    advice: str = ""

    def line(self) -> str:
        advice = f" -> {self.advice}" if self.advice else ""
        return f"  {self.verdict:<6}{self.subject}: {self.words}{advice}"
