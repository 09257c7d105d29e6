"""Error messages in the person's language, with numbers and moments as people there write them."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from chat_platform.errors import PlatformError, filled
from chat_platform.values.clock import now_ms
from chat_platform.web.i18n import Words, at_ms


def error_words(say: Words, zone: ZoneInfo, error: PlatformError) -> str:
    return message_words(say, zone, error.message, error.values)


def message_words(say: Words, zone: ZoneInfo, message: str, values: Mapping[str, object]) -> str:
    """Return the message of an error with its values. It may be any text."""
    said = {name: _said(say, zone, name, value) for name, value in values.items()}
    # gettext's translation of nothing is the catalogue's header.
    return filled(say(message) if message else "", said)


def _said(say: Words, zone: ZoneInfo, name: str, value: object) -> str:
    if not isinstance(value, int):
        return str(value)
    return _moment(say, zone, value) if name.endswith("_ms") else say.number(value)


def _moment(say: Words, zone: ZoneInfo, ms: int) -> str:
    at = at_ms(ms, zone)
    if at.date() == at_ms(now_ms(), zone).date():
        return say("today at {time}", time=say.time(at))
    return say("on {day}", day=say.day(at))
