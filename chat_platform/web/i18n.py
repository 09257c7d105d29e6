"""Words, numbers, dates and money in a person's language. Knows no page and no account.

The catalogues are gettext's (`locale/<language>.po`); the English text is the key. Pages are built
once for each language, state and doors ask for `words_in(language)`.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.core import UnknownLocaleError, negotiate_locale
from babel.dates import format_date, format_skeleton, format_time
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent
from babel.plural import to_python

LANGUAGES = ("en", "ru")
UTC_ZONE = ZoneInfo("UTC")
LANGUAGE_NAMES = {"en": "English", "ru": "Русский"}
CATALOGUES = Path(__file__).parent / "locale"

# Which of Russian's forms a number takes, in the order of the catalogue's msgstr[n].
_PLURAL_FORM = {
    "en": to_python({"one": "n is 1"}),
    "ru": to_python(
        {
            "one": "n mod 10 is 1 and n mod 100 is not 11",
            "few": "n mod 10 in 2..4 and n mod 100 not in 12..14",
        }
    ),
}
_FORM_NUMBER = {"en": {"one": 0, "other": 1}, "ru": {"one": 0, "few": 1, "other": 2}}


class Words:
    """One language: `words("Sign in")` translates, the methods format."""

    def __init__(self, language: str, catalogue: Mapping[str, str | tuple[str, ...]]) -> None:
        self.language = language
        self._catalogue = catalogue

    def __call__(self, message: str, **values: object) -> str:
        translated = self._catalogue.get(message, message)
        text = translated if isinstance(translated, str) else translated[0]
        return text.format(**values) if values else text

    def many(self, one: str, other: str, number: int, **values: object) -> str:
        """Translate what depends on a number; `{number}` in the text is the number, formatted."""
        forms = self._catalogue.get(one, (one, other))
        form = _FORM_NUMBER[self.language][_PLURAL_FORM[self.language](number)]
        return forms[min(form, len(forms) - 1)].format(number=self.number(number), **values)

    def number(self, value: int) -> str:
        return format_decimal(value, locale=self.language)

    def decimal(self, value: float) -> str:
        return format_decimal(value, format="#,##0.0", locale=self.language)

    def percent(self, share: float) -> str:
        return format_percent(share, locale=self.language)

    def money(self, nano_usd: int) -> str:
        """Return the exact amount: at least two decimals, at most nine, no trailing zeros."""
        amount = Decimal(nano_usd).scaleb(-9).normalize()
        decimals = max(2, -int(amount.as_tuple().exponent)) if amount else 2
        pattern = "¤#,##0." if self.language == "en" else "#,##0."
        tail = "" if self.language == "en" else "\u00a0¤"
        return format_currency(
            amount,
            "USD",
            format=f"{pattern}{'0' * decimals}{tail}",
            locale="en_US" if self.language == "en" else self.language,
            currency_digits=False,
        )

    def day(self, at: datetime) -> str:
        return format_date(at.date(), format="long", locale=self.language)

    def short_day(self, at: datetime) -> str:
        """Return day and month, never broken over two lines."""
        day = format_skeleton("MMMd", at.date(), locale=self.language)
        return day.replace(" ", "\u00a0")

    def time(self, at: datetime) -> str:
        return format_time(at, format="short", locale=self.language)

    def moment(self, at: datetime) -> str:
        """Return day and minute: seconds are noise in everything that people read here."""
        return f"{format_date(at.date(), format='medium', locale=self.language)}, {self.time(at)}"


@cache
def words_in(language: str) -> Words:
    """Return the language's words; English for a language that we don't speak."""
    known = language if language in LANGUAGES else "en"
    return Words(known, _read_catalogue(known))


def language_from_browser(accept_language: str) -> str:
    """Choose by an Accept-Language header."""
    wanted = [part.split(";")[0].strip() for part in accept_language.split(",")]
    try:
        return negotiate_locale(wanted, LANGUAGES, sep="-") or "en"
    except (UnknownLocaleError, ValueError):
        return "en"


def zone_named(name: str) -> ZoneInfo:
    """Return the time zone; UTC for a name that nobody knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC_ZONE


def at_ms(ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=zone)


def _read_catalogue(language: str) -> dict[str, str | tuple[str, ...]]:
    if language == "en":
        return {}
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    return {_key(m.id): _text(m.string) for m in catalogue if m.id and m.string}


def _key(message_id: str | list[str] | tuple[str, ...]) -> str:
    return message_id if isinstance(message_id, str) else message_id[0]


def _text(text: str | list[str] | tuple[str, ...]) -> str | tuple[str, ...]:
    return text if isinstance(text, str) else tuple(text)
