"""Turns Letta's stream of one run into RunEvents. No network here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from letta_client.types.agents import (
    AssistantMessage,
    LettaStreamingResponse,
    ToolCallMessage,
)
from letta_client.types.agents.letta_streaming_response import LettaStopReason
from letta_client.types.tool_return_message import ToolReturnMessage

from chat_platform.adapters.letta.errors import agent_unavailable, model_failed
from chat_platform.ports import (
    RunCancelled,
    RunEvent,
    RunStarted,
    StepChanged,
    StepKind,
    StepStatus,
    TextPiece,
)

_MEMORY_TOOLS = ("memory", "memory_", "core_memory_", "archival_memory_insert")
_SEARCH_TOOL = "archival_memory_search"
_NORMAL_ENDS = {"end_turn", "max_steps", "max_tokens_exceeded", "tool_rule", "no_tool_call"}
_DETAIL_ARGUMENTS = ("label", "query")
_DETAIL_LENGTH = 200
_MAX_ARGUMENTS = 100_000
"""Characters of a tool call's arguments; longer ones are not parsed."""


@dataclass
class _ToolCall:
    name: str = ""
    _pieces: list[str] = field(default_factory=list)
    _length: int = 0

    def add(self, arguments: str) -> None:
        self._length += len(arguments)
        if self._length <= _MAX_ARGUMENTS:
            self._pieces.append(arguments)
        else:
            self._pieces.clear()

    @property
    def detail(self) -> str:
        """The block that was edited, or the search text; nothing else is shown."""
        return _detail("".join(self._pieces))


@dataclass
class RunReader:
    """Reads one run chunk by chunk; `finish` reports how it ended."""

    model: str
    _run_id: str | None = None
    _is_model_busy: bool = False
    _speaking: str | None = None
    """The id of the Letta message that the last text belonged to."""
    _is_compacting: bool = False
    _stop_reason: str | None = None
    _tools: dict[str, _ToolCall] = field(default_factory=dict)

    def read(self, chunk: LettaStreamingResponse) -> Iterator[RunEvent]:
        yield from self._starts(getattr(chunk, "run_id", None))
        match chunk:
            case AssistantMessage():
                yield from self._text(chunk)
            case ToolCallMessage():
                yield from self._tool_call(chunk)
            case ToolReturnMessage():
                yield from self._tool_return(chunk)
            case LettaStopReason():
                self._stop_reason = chunk.stop_reason
                yield from self._model("failed" if self._is_broken else "done")
            case _:
                yield from self._compaction(str(chunk.message_type))

    def finish(self) -> None:
        """Raise the failure that ended the run, or RunCancelled, unless it ended normally."""
        if self._stop_reason is None:
            raise agent_unavailable()
        if self._stop_reason == "cancelled":
            raise RunCancelled
        # If the model's answer was not JSON, Letta ends the run normally: only the text is missing.
        if self._is_broken or self._speaking is None:
            raise model_failed()

    @property
    def _is_broken(self) -> bool:
        return self._stop_reason not in {*_NORMAL_ENDS, "cancelled"}

    def _starts(self, run_id: str | None) -> Iterator[RunEvent]:
        if run_id and self._run_id is None:
            self._run_id = run_id
            yield RunStarted(run_id)
            yield from self._model("started")

    def _text(self, message: AssistantMessage) -> Iterator[RunEvent]:
        text = _text_of(message)
        if not text:
            return
        if self._speaking not in (None, message.id):
            text = f"\n\n{text}"
        self._speaking = message.id
        yield TextPiece(text)

    def _tool_call(self, message: ToolCallMessage) -> Iterator[RunEvent]:
        """Collect a call that arrives in pieces, and report its start once the name is known."""
        piece = message.tool_call
        call = self._tools.setdefault(piece.tool_call_id or "", _ToolCall())
        call.add(piece.arguments or "")
        if piece.name and not call.name:
            call.name = piece.name
            yield StepChanged(_kind(call.name), call.name, "started")

    def _tool_return(self, message: ToolReturnMessage) -> Iterator[RunEvent]:
        yield from self._model("done")
        call = self._tools.pop(message.tool_call_id, _ToolCall(message.name or "tool"))
        status = "done" if message.status == "success" else "failed"
        yield StepChanged(_kind(call.name), call.name, status, call.detail)
        if not self._tools:
            yield from self._model("started")

    def _compaction(self, message_type: str) -> Iterator[RunEvent]:
        if message_type == "event_message" and not self._is_compacting:
            self._is_compacting = True
            yield StepChanged("compaction", "compaction", "started")
        elif message_type == "summary_message":
            self._is_compacting = False
            yield StepChanged("compaction", "compaction", "done")

    def _model(self, status: StepStatus) -> Iterator[RunEvent]:
        """Report that a model call began or ended; derived from steps, since Letta does not say."""
        is_busy = status == "started"
        if is_busy != self._is_model_busy:
            self._is_model_busy = is_busy
            yield StepChanged("model_call", self.model, status)


def _kind(tool: str) -> StepKind:
    if tool == _SEARCH_TOOL:
        return "embedding"
    return "memory_edit" if tool.startswith(_MEMORY_TOOLS) else "tool_call"


def _detail(arguments: str) -> str:
    try:
        given = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        # A model can nest arguments arbitrarily deep.
        return ""
    if not isinstance(given, dict):
        return ""
    words = (given[name] for name in _DETAIL_ARGUMENTS if given.get(name))
    first = next(words, "")
    return first[:_DETAIL_LENGTH] if isinstance(first, str) else ""


def _text_of(message: AssistantMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(getattr(part, "text", "") for part in message.content)
