"""Structured logs: readable on a console, JSON in production; without secrets, without content."""

import logging
import re
from collections.abc import Iterator
from typing import Any, cast

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from chat_platform.process.log_lines import (
    SOCKET_LOGGERS,
    FewSocketLines,
    bounded,
    one_record,
    without_words,
)
from chat_platform.settings import Settings

HIDDEN = "[hidden]"
_MIN_SECRET_CHARACTERS = 8
"""Shorter values would hide harmless text."""

_SECRET_NAMES = re.compile(
    r"passw|secret|token$|_key$|^key$|authorization|cookie|credential|^code$", re.IGNORECASE
)
_SECRET_SHAPES = re.compile(
    r"""
      \bsk-[\w-]{8,}                              # keys of LiteLLM and of the providers
    | \bcp_[\w-]{16,}                             # our ApiTokens
    | \bsb_(?:secret|publishable)_[\w-]{8,}       # keys of Supabase
    | \bAIza[\w-]{20,}                            # keys of Gemini
    | \beyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*           # JWTs
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)             # user:password in URLs
    | (?<=[?&]token=)[^&\s"']+                     # a tab's token in its socket's address
    | (?<=chat_sign_in=)[\w-]{8,}                 # sign-in cookies, `__Host-` too
    | (?i:(?<=bearer\s))[\w.~+/=-]{8,}            # whatever else was sent as Bearer
    """,
    re.VERBOSE,
)


class SecretFilter:
    """Removes secrets from text: those in the settings exactly, others by their format."""

    def __init__(self, settings: Settings) -> None:
        known = sorted(_secret_values(settings), key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(value) for value in known)) if known else None

    def clean(self, text: str) -> str:
        if self._known:
            text = self._known.sub(HIDDEN, text)
        return _SECRET_SHAPES.sub(HIDDEN, text)

    def last(self, render: Processor) -> Processor:
        """Wrap the renderer, to clean everything it renders, tracebacks included."""

        def rendered(logger: WrappedLogger, name: str, event: EventDict) -> str:
            return one_record(self.clean(str(render(logger, name, event))))

        return rendered


def hide_secret_fields(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Hide fields whose names say they are secret, at any depth."""
    return {name: _hidden(name, value) for name, value in event.items()}


def set_up_logging(settings: Settings) -> None:
    """Send structlog's and the standard library's records through the same cleaning formatter."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secret_fields,
    ]
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(settings, shared))
    handler.addFilter(FewSocketLines())
    _take_over()
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level = logging.getLevelNamesMapping()[settings.log_level]
    logging.getLogger("chat_platform").setLevel(level)
    # Below this, libraries log what they send and receive: messages too.
    root.setLevel(max(level, logging.INFO))
    for name in SOCKET_LOGGERS:
        # At lower levels they log whole socket messages.
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("httpx", "httpcore", "aiosqlite"):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _take_over() -> None:
    """Make all libraries and servers log through our formatter."""
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger) and logger.handlers:
            logger.handlers.clear()
            logger.propagate = True


def _formatter(settings: Settings, shared: list[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.ExceptionRenderer(lambda exc_info: without_words(exc_info[1])),
            bounded,
            SecretFilter(settings).last(_renderer(settings)),
        ],
    )


def _renderer(settings: Settings) -> Processor:
    if settings.is_production:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=False)


def _hidden(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hidden(str(key), inner) for key, inner in cast(dict[Any, Any], value).items()}
    is_secret = isinstance(value, str | bytes) and _SECRET_NAMES.search(name)
    return HIDDEN if is_secret else value


def _secret_values(settings: Settings) -> Iterator[str]:
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and len(value.get_secret_value()) >= _MIN_SECRET_CHARACTERS:
            yield value.get_secret_value()
