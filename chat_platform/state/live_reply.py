"""A reply while it arrives, made ready for the page: finished blocks, a tail, what is going on."""

from dataclasses import dataclass, field

from chat_platform.turn_events import TurnEvent
from chat_platform.web.i18n import Words
from chat_platform.web.markdown_html import split_frozen, to_html

MAX_STEPS_SHOWN = 40
MIN_PAUSE_SECONDS = 1 / 25
MAX_CHARACTERS_A_SECOND = 40_000
"""Of the tail, which is sent whole each time: a long table or code block is sent less often."""


@dataclass
class LiveReply:
    """Follows a turn's log. A block freezes at a blank line: only the tail is sent again."""

    say: Words
    blocks: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    doing: str = ""
    applied: int = 0
    """How many events it has seen."""
    _tail: str = ""
    _tail_characters: int = 0

    def apply(self, event: TurnEvent) -> None:
        if event.type == "message.delta":
            self._add_text(event.data["text"])
        elif event.type == "step":
            self._add_step(event.data)
        self.applied += 1

    @property
    def tail(self) -> str:
        html = to_html(self._tail, self.say.language) if self._tail else ""
        self._tail_characters = len(html)
        return html

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the tail is shown again."""
        return max(MIN_PAUSE_SECONDS, self._tail_characters / MAX_CHARACTERS_A_SECOND)

    def _add_text(self, text: str) -> None:
        self._tail += text
        self.doing = ""
        if cut := split_frozen(self._tail):
            self.blocks.append(to_html(self._tail[:cut], self.say.language))
            self._tail = self._tail[cut:]

    def _add_step(self, step: dict[str, str]) -> None:
        words = step_words(self.say, step["kind"], step.get("name", ""))
        self.doing = words if step["status"] == "started" else ""
        if step["status"] == "started":
            return
        if step["status"] == "failed":
            words = self.say("{step}: failed", step=words)
        self.steps = [*self.steps, words][-MAX_STEPS_SHOWN:]


def step_words(say: Words, kind: str, name: str) -> str:
    """Say what the agent does in a step."""
    if kind == "tool_call":
        return say("Using {tool}", tool=name) if name else say("Using a tool")
    return {
        "model_call": say("Thinking"),
        "memory_edit": say("Remembering"),
        "embedding": say("Searching memory"),
        "compaction": say("Summing up the earlier conversation"),
    }.get(kind, kind)
