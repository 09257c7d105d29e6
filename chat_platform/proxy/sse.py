"""Reads a model's stream of server-sent events in passing. Pure: bytes in, the same bytes out.

Whatever the pieces in which a stream arrives, the bytes that go on and what is read are the same.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

_EVENT_END = re.compile(rb"\n\r?\n")
_MAX_EVENT_BYTES = 8 * 1024 * 1024


class StreamWatch:
    """Follows one stream of chat completion chunks.

    With `hides_usage` the chunk that carries usage alone is left out of what goes on: its caller
    never asked for it. `clean` takes what must not be seen out of events that carry an error.
    """

    def __init__(self, *, hides_usage: bool, clean: Callable[[bytes], bytes] = bytes) -> None:
        self._hides_usage = hides_usage
        self._clean = clean
        self._rest = b""
        self.usage: dict[str, Any] | None = None
        self.response_id: str | None = None
        self.error: dict[str, Any] | None = None
        self.is_done = False
        self.is_malformed = False
        self.has_finish_reason = False
        self.text_length = 0
        """Characters of what the model wrote, in text, reasoning and tool calls."""

    @property
    def is_whole(self) -> bool:
        """The stream ended as a success does: a finish reason, `[DONE]`, and no error."""
        return (
            self.is_done and self.has_finish_reason and self.error is None and not self.is_malformed
        )

    def feed(self, piece: bytes) -> bytes:
        """Read the next bytes; return the events that are whole now, and go on."""
        return b"".join(self._passed(event) for event in self._events(piece))

    def end(self) -> bytes:
        """Return what no blank line ended, when the stream is over: an event that was cut."""
        rest, self._rest = self._rest, b""
        if rest.strip():
            self.is_malformed = True
        return self._clean(rest)

    def _passed(self, event: bytes) -> bytes:
        had_error = self.error is not None
        is_usage_alone = self._read(event)
        if is_usage_alone and self._hides_usage:
            return b""
        return self._clean(event) if self.error is not None and not had_error else event

    def _events(self, piece: bytes) -> Iterator[bytes]:
        data = self._rest + piece
        start = 0
        for end in _EVENT_END.finditer(data, max(0, len(self._rest) - 2)):
            if end.end() > start:
                yield data[start : end.end()]
                start = end.end()
        self._rest = data[start:]
        if len(self._rest) > _MAX_EVENT_BYTES:
            self.is_malformed = True

    def _read(self, event: bytes) -> bool:
        """Take note of an event; return True for a chunk that carries usage alone."""
        data = _data_of(event)
        if data is None:
            return False
        if data == b"[DONE]":
            self.is_done = True
            return False
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            chunk = None
        if not isinstance(chunk, dict):
            self.is_malformed = True
            return False
        return self._note(chunk)

    def _note(self, chunk: dict[str, Any]) -> bool:
        if chunk.get("error"):
            error = chunk["error"]
            self.error = error if isinstance(error, dict) else {"message": str(error)}
        if self.response_id is None and isinstance(chunk.get("id"), str):
            self.response_id = chunk["id"]
        choices = chunk.get("choices") or ()
        for choice in choices:
            self._note_choice(choice)
        usage = chunk.get("usage")
        if not isinstance(usage, dict):
            return False
        self.usage = usage
        return not choices

    def _note_choice(self, choice: object) -> None:
        if not isinstance(choice, dict):
            self.is_malformed = True
            return
        if choice.get("finish_reason"):
            self.has_finish_reason = True
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self.text_length += _written(delta)


def _data_of(event: bytes) -> bytes | None:
    """Return the event's data, None for a comment or an event without any."""
    if event.startswith(b"data: ") and event.count(b"\n") <= 2:
        return event[6:].strip()
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def _written(delta: dict[str, Any]) -> int:
    """Count the characters that a delta adds to the answer."""
    text = sum(len(v) for k in _TEXT_FIELDS if isinstance(v := delta.get(k), str))
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        text += sum(
            len(orjson.dumps(call.get("function"))) for call in calls if isinstance(call, dict)
        )
    return text


_TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "refusal")
