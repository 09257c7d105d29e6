"""Limits what strangers can put into a log: its length, its lines and its rate."""

import errno
import logging
import time
import traceback
import unicodedata
from collections.abc import Iterator

from structlog.typing import EventDict, WrappedLogger

from chat_platform.errors import PlatformError

MAX_NAME_CHARACTERS = 1000
MAX_FIELD_CHARACTERS = 2000
MAX_TRACEBACK_CHARACTERS = 16_000
SOCKET_LOGGERS = ("engineio", "socketio", "reflex")
"""These log what arrives: anyone who sends to the websocket can make them write lines."""
SOCKET_LINES = 30
SOCKET_LINE_CHARACTERS = 200
WINDOW_SECONDS = 60.0

_CODE_NAMES = ("sqlstate", "sqlite_errorname", "status_code")
"""Of Postgres, of SQLite, and of a peer's response."""
_MAX_CODE_CHARACTERS = 40


def bounded(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Cut texts that are longer than any of our own."""
    limits = {"event": MAX_NAME_CHARACTERS, "exception": MAX_TRACEBACK_CHARACTERS}
    return {
        name: _cut(value, limits.get(name, MAX_FIELD_CHARACTERS)) for name, value in event.items()
    }


def one_record(text: str) -> str:
    """Prevent a text from imitating a log record, or from controlling a terminal.

    Continued lines are indented; other control characters are written out.
    """
    if text.isprintable():
        return text
    shown = "".join(c if c == "\n" or not _is_control(c) else ascii(c)[1:-1] for c in text)
    return shown.replace("\n", "\n    ")


def without_words(exc: BaseException) -> str:
    """Return a traceback without the errors' messages, which quote the offending values."""
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    before = f"{without_words(cause)}\nwhich led to\n" if cause else ""
    frames = "".join(traceback.format_tb(exc.__traceback__))
    codes = "".join(f" {code}" for code in _codes(exc))
    return f"{before}{frames}{type(exc).__qualname__}{codes}"


def _codes(exc: BaseException) -> Iterator[object]:
    """Yield what says more about an error, and is never content."""
    if isinstance(exc, PlatformError):
        yield exc.code
    if isinstance(exc, OSError) and (name := errno.errorcode.get(exc.errno or 0)):
        yield name
    for name in _CODE_NAMES:
        code = getattr(exc, name, None)
        if isinstance(code, int) or (isinstance(code, str) and len(code) <= _MAX_CODE_CHARACTERS):
            yield code


class FewSocketLines(logging.Filter):
    """Limits the lines of the websocket libraries per time window, and their length."""

    def __init__(self) -> None:
        super().__init__()
        self._window_began, self._written = 0.0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(SOCKET_LOGGERS):
            return True
        if time.monotonic() - self._window_began > WINDOW_SECONDS:
            self._window_began, self._written = time.monotonic(), 0
        self._written += 1
        if self._written > SOCKET_LINES:
            return False
        self._shorten(record)
        return True

    def _shorten(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[0]:
            # Their tracebacks quote what arrived.
            text += f" ({record.exc_info[0].__qualname__})"
        if self._written == SOCKET_LINES:
            text = "too many lines like this; the rest of this minute is left out"
        record.msg, record.args = _cut(text, SOCKET_LINE_CHARACTERS), ()
        record.exc_info = record.exc_text = None


def _cut(value: object, limit: int) -> object:
    if not isinstance(value, str) or len(value) <= limit:
        return value
    return f"{value[:limit]}... and {len(value) - limit:,} characters more"


def _is_control(character: str) -> bool:
    # Cf: marks that turn the direction of what follows; Zl, Zp: other ways to begin a line.
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")
