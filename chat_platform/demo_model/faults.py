"""Special words with which tests make the demo model fail: `[[fail 500]]`, `[[cut]]`, ...

They are read from the person's last message (or the text to embed):

    [[fail S]]     answers with HTTP status S          [[fail S N]]   only the first N times
    [[cut]]        drops the connection half-way       [[unfinished]] ends without finish or [DONE]
    [[malformed]]  sends broken JSON half-way          [[silence S]]  says nothing for S seconds
    [[tools N]]    calls a tool N times first          [[words N]]    answers exactly N words
    [[pace MS]]    waits between two words             [[no usage]]   keeps its usage to itself
"""

import re
from dataclasses import dataclass, field, replace

from chat_platform.demo_model.answers import Answer, ToolCall
from chat_platform.demo_model.context_window import ContextWindow

_WORD = re.compile(r"\[\[(\w+)((?: \w+)*)\]\]")


@dataclass(frozen=True)
class Faults:
    """The failures that one request asks for."""

    fail_status: int | None = None
    fail_times: int | None = None
    is_cut: bool = False
    is_unfinished: bool = False
    is_malformed: bool = False
    hides_usage: bool = False
    silence_seconds: float = 0
    tools: int = 0
    words: int | None = None
    pace_ms: int | None = None


NONE = Faults()


def read_faults(text: str) -> Faults:
    found = {name: rest.split() for name, rest in _WORD.findall(text)}
    fail = [int(number) for number in found.get("fail", [])]
    return Faults(
        fail_status=fail[0] if fail else None,
        fail_times=fail[1] if len(fail) > 1 else None,
        is_cut="cut" in found,
        is_unfinished="unfinished" in found,
        is_malformed="malformed" in found,
        hides_usage=found.get("no") == ["usage"],
        silence_seconds=_number(found, "silence") or 0,
        tools=_number(found, "tools") or 0,
        words=_number(found, "words"),
        pace_ms=_number(found, "pace"),
    )


def apply_faults(answer: Answer, faults: Faults, context: ContextWindow) -> Answer:
    """Return the answer with the requested steps, length and pace."""
    if context.tool_rounds < faults.tools and context.tools:
        return Answer(tool_call=_some_call(context))
    if faults.words is not None:
        answer = Answer(" ".join(f"word{n}" for n in range(1, faults.words + 1)))
    if faults.pace_ms is not None:
        answer = replace(answer, pace_ms=faults.pace_ms)
    return answer


@dataclass
class FailureCounts:
    """How often each message has been refused, for failures that end after N times."""

    _refused: dict[str, int] = field(default_factory=dict)

    def is_due(self, faults: Faults, text: str) -> bool:
        if faults.fail_status is None:
            return False
        self._refused[text] = self._refused.get(text, 0) + 1
        return faults.fail_times is None or self._refused[text] <= faults.fail_times


def _number(found: dict[str, list[str]], name: str) -> int | None:
    return int(found[name][0]) if found.get(name) else None


def _some_call(context: ContextWindow) -> ToolCall:
    number = context.tool_rounds + 1
    if "conversation_search" in context.tools:
        return ToolCall("conversation_search", {"query": f"step {number}"})
    return ToolCall(min(context.tools), {"query": f"step {number}"})
