"""An arriving reply, prepared for the page: finished blocks, a tail, and the current activity."""

from dataclasses import dataclass, field

from chat_platform.turns.events import TurnEvent
from chat_platform.web.i18n import Words
from chat_platform.web.markdown_parts import cut_long, split_frozen
from chat_platform.web.rendering import passing_html_of

MAX_STEPS_SHOWN = 40
MIN_PAUSE_SECONDS = 1 / 25
MAX_CHARACTERS_A_SECOND = 40_000
"""Length of the tail, which is always sent as a whole: a long one is sent less often."""


@dataclass
class LiveReply:
    """Follows a turn's log. A block is final at a blank line: only the tail is sent again.

    New events are shown after the next `render`.
    """

    say: Words
    blocks: list[str] = field(default_factory=list)
    tail: str = ""
    steps: list[str] = field(default_factory=list)
    doing: str = ""
    applied: int = 0
    """How many events it has received."""
    _frozen: list[str] = field(default_factory=list)
    """Blocks that are not rendered yet."""
    _arriving: str = ""

    def apply(self, event: TurnEvent) -> None:
        if event.type == "message.delta":
            self._add_text(event.data["text"])
        elif event.type == "step":
            self._add_step(event.data)
        self.applied += 1

    async def render(self) -> None:
        """Prepare what has arrived so far."""
        while self._frozen:
            self.blocks.append(await self._html(self._frozen[0]))
            del self._frozen[0]
        self.tail = await self._html(self._arriving)

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the tail is shown again."""
        return max(MIN_PAUSE_SECONDS, len(self.tail) / MAX_CHARACTERS_A_SECOND)

    async def _html(self, text: str) -> str:
        return await passing_html_of(text, self.say.language) if text else ""

    def _add_text(self, text: str) -> None:
        self._arriving += text
        self.doing = ""
        if cut := split_frozen(self._arriving):
            self._freeze(self._arriving[:cut], self._arriving[cut:])
        while (parts := cut_long(self._arriving)) is not None:
            self._freeze(*parts)

    def _freeze(self, block: str, rest: str) -> None:
        self._frozen.append(block)
        self._arriving = rest

    def _add_step(self, step: dict[str, str]) -> None:
        words = step_words(self.say, step["kind"], step.get("name", ""))
        self.doing = words if step["status"] == "started" else ""
        if step["status"] == "started":
            return
        if step["status"] == "failed":
            words = self.say("{step}: failed", step=words)
        self.steps = [*self.steps, words][-MAX_STEPS_SHOWN:]


def step_words(say: Words, kind: str, name: str) -> str:
    """Describe what the agent does in a step."""
    if kind == "tool_call":
        return say("Using {tool}", tool=name) if name else say("Using a tool")
    return {
        "model_call": say("Thinking"),
        "memory_edit": say("Remembering"),
        "embedding": say("Searching memory"),
        "compaction": say("Summarizing the earlier conversation"),
    }.get(kind, kind)
