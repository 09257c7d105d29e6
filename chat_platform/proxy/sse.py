"""Reads a model's stream of server-sent events on the fly. Pure: bytes in, the same bytes out.

The pieces in which a stream arrives do not affect the bytes passed on, what is read, or the work:
each byte is examined once.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import orjson

from chat_platform.values.json_size import is_heavy

MAX_EVENT_BYTES = 1024 * 1024
"""A whole answer in one event with every character escaped is shorter."""
MAX_OTHER_BYTES = 128 * 1024
"""For errors and comments: searching them for keys takes longer than reading an answer."""

_EVENT_END = re.compile(rb"\n\r?\n")
_EDGE = 2
"""How many bytes at the end of the buffer may belong to the end of an event."""
_SHORT = 8 * 1024
"""While the buffer is short it is copied with each new piece, which is fastest."""
_MAX_LINES = 1000
_DONE = b"[DONE]"

_Part = Literal["answer", "usage", "other"]
"""Part of the answer, usage only, or neither: an error, a comment, or invalid."""


class StreamWatch:
    """Follows one stream of chat completion chunks.

    With `hides_usage` the chunk with only usage is not passed on, since the caller did not ask for
    it. `clean` removes secrets from everything that is not part of an answer: errors, in any
    format, and comments.
    """

    def __init__(self, *, hides_usage: bool, clean: Callable[[bytes], bytes] = bytes) -> None:
        self._hides_usage = hides_usage
        self._clean = clean
        self._rest = b""
        """The beginning of an incomplete event,"""
        self._held: list[bytes] = []
        """and, if that is long, what has arrived after it."""
        self._held_bytes = 0
        self._edge = b""
        self.usage: dict[str, Any] | None = None
        self.response_id: str | None = None
        self.error: dict[str, Any] | None = None
        self.is_done = False
        self.is_malformed = False
        self.has_finish_reason = False
        self.is_too_long = False
        """An event is longer than allowed: nothing after it is read."""
        self.text_length = 0
        """Number of characters the model wrote, in text, reasoning and tool calls.

        An event that is too long counts in full, since the provider will charge for it.
        """

    @property
    def is_whole(self) -> bool:
        """The stream ended successfully: a finish reason, `[DONE]`, and no error."""
        return (
            self.is_done and self.has_finish_reason and self.error is None and not self.is_malformed
        )

    def feed(self, piece: bytes) -> bytes:
        """Read the next bytes; return the events completed by them, to be passed on."""
        return b"".join(self._passed(event) for event in self._events(piece))

    def end(self) -> bytes:
        """Return the incomplete event at the end of the stream, if any."""
        rest = b"".join((self._rest, *self._held))
        self._hold(b"")
        if len(rest) <= MAX_OTHER_BYTES and _data_of(rest) == _DONE:
            self.is_done = True
        elif rest.strip():
            self.is_malformed = True
        return self._cleaned(rest)

    def _passed(self, event: bytes) -> bytes:
        if event.isspace():
            # At two bytes each, half a million can arrive in a moment.
            return event
        match self._read(event):
            case "answer":
                return event
            case "usage":
                return b"" if self._hides_usage else event
            case "other":
                return self._cleaned(event)

    def _cleaned(self, event: bytes) -> bytes:
        if len(event) <= MAX_OTHER_BYTES:
            return self._clean(event)
        self._give_up(len(event))
        return b""

    def _events(self, piece: bytes) -> Iterator[bytes]:
        if self.is_too_long:
            return
        if self._held_bytes < _SHORT:
            data, seen = self._rest + piece, self._held_bytes - _EDGE
        elif _EVENT_END.search(self._edge + piece):
            data, seen = b"".join((self._rest, *self._held, piece)), self._held_bytes - _EDGE
        else:
            self._hold_more(piece)
            return
        start = 0
        for end in _EVENT_END.finditer(data, seen):
            if end.end() > start:
                yield data[start : end.end()]
                start = end.end()
                if self.is_too_long:
                    return
        self._hold(data[start:])

    def _hold(self, rest: bytes) -> None:
        self._rest = rest
        if self._held:
            self._held = []
        self._held_bytes = len(rest)
        if self._held_bytes >= _SHORT:
            self._edge = rest[-_EDGE:]
            self._check_length()

    def _hold_more(self, piece: bytes) -> None:
        self._held.append(piece)
        self._held_bytes += len(piece)
        self._edge = (self._edge + piece)[-_EDGE:]
        self._check_length()

    def _check_length(self) -> None:
        if self._held_bytes > MAX_EVENT_BYTES:
            self._give_up(self._held_bytes)

    def _give_up(self, length: int) -> None:
        self.is_too_long = True
        self.text_length += length
        self._rest, self._held = b"", []

    def _read(self, event: bytes) -> _Part:
        """Record an event; return its kind."""
        if len(event) > MAX_OTHER_BYTES and _is_senseless(event):
            return "other"
        data = _data_of(event)
        if not data:
            return "other"
        if data == _DONE:
            self.is_done = True
            return "answer"
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            chunk = None
        if not isinstance(chunk, dict):
            self.is_malformed = True
            return "other"
        return self._note(chunk)

    def _note(self, chunk: dict[str, Any]) -> _Part:
        error = chunk.get("error")
        if error:
            self.error = error if isinstance(error, dict) else {"message": str(error)}
        if self.response_id is None and isinstance(chunk.get("id"), str):
            self.response_id = chunk["id"]
        choices = chunk.get("choices") or []
        if not isinstance(choices, list):
            self.is_malformed = True
            return "other"
        for choice in choices:
            self._note_choice(choice)
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self.usage = usage
            # LiteLLM's last chunk, which carries usage, has a choice whose delta is empty.
            if not error and "choices" in chunk and not any(map(_says_something, choices)):
                return "usage"
        return "other" if error or "choices" not in chunk else "answer"

    def _note_choice(self, choice: object) -> None:
        if not isinstance(choice, dict):
            self.is_malformed = True
            return
        if choice.get("finish_reason"):
            self.has_finish_reason = True
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self.text_length += written(delta)


def _says_something(choice: object) -> bool:
    if not isinstance(choice, dict) or choice.get("finish_reason"):
        return True
    delta = choice.get("delta")
    return isinstance(delta, dict) and any(v for key, v in delta.items() if key != "role")


def _is_senseless(event: bytes) -> bool:
    is_long = len(event) > MAX_EVENT_BYTES
    return is_long or event.count(b"\n") > _MAX_LINES or is_heavy(event)


def _data_of(event: bytes) -> bytes | None:
    """Return the event's data, None for a comment or an event without data."""
    if event.startswith(b"data: ") and event.count(b"\n") <= 2:
        return event[6:].strip()
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def written(message: dict[str, Any]) -> int:
    """Count the characters that a message or delta adds to the answer."""
    text = 0
    # A loop takes half the time of a sum, and this runs for every chunk of every answer.
    for field in _TEXT_FIELDS:
        value = message.get(field)
        if isinstance(value, str):
            text += len(value)
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        text += sum(
            len(orjson.dumps(call.get("function"))) for call in calls if isinstance(call, dict)
        )
    return text


_TEXT_FIELDS = ("content", "reasoning_content", "reasoning", "refusal")
