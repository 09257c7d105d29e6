"""Words, numbers, dates and money in a person's language. Knows no page and no account.

The catalogues are in gettext format (`locale/<language>.po`); the English text is the key. All else
that a language needs, CLDR has (through Babel): no code here knows one language from another. Pages
are built once per language; everything else calls `words_in(language)`.
"""

from datetime import datetime
from decimal import Decimal
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent

from chat_platform.values.languages import (
    DEFAULT_LANGUAGE,
    LANGUAGES,
    language_or_default,
)
from chat_platform.web.negotiation import best_language

UTC_ZONE = ZoneInfo("UTC")
CATALOGUES = Path(__file__).parent / "locale"


class Words:
    """One language: `words("Sign in")` translates, the methods format."""

    def __init__(self, language: str, translations: NullTranslations) -> None:
        self.language = language
        self._locale = _locale_of(language)
        self._translations = translations

    def __call__(self, message: str, **values: object) -> str:
        text = self._translations.gettext(message)
        return text.format(**values) if values else text

    def many(self, one: str, other: str, number: int, **values: object) -> str:
        """Translate with the plural form for a number; `{number}` is the formatted number."""
        form = self._translations.ngettext(one, other, number)
        return form.format(number=self.number(number), **values)

    def number(self, value: int) -> str:
        return format_decimal(value, locale=self._locale)

    def decimal(self, value: float) -> str:
        return format_decimal(value, format="#,##0.0", locale=self._locale)

    def percent(self, share: float) -> str:
        return format_percent(share, locale=self._locale)

    def money(self, nano_usd: int) -> str:
        """Return the exact amount: at least two decimals, at most nine, no trailing zeros."""
        amount = Decimal(nano_usd).scaleb(-9)
        return format_currency(amount, "USD", locale=self._locale, decimal_quantization=False)

    def day(self, at: datetime) -> str:
        return format_date(at.date(), format="long", locale=self._locale)

    def short_day(self, at: datetime) -> str:
        """Return day and month, without a line break between them."""
        day = format_skeleton("MMMd", at.date(), locale=self._locale)
        return day.replace(" ", "\u00a0")

    def time(self, at: datetime) -> str:
        return format_time(at, format="short", locale=self._locale)

    def moment(self, at: datetime) -> str:
        """Return day and minute: seconds would only be noise here."""
        return f"{format_date(at.date(), format='medium', locale=self._locale)}, {self.time(at)}"


@cache
def words_in(language: str) -> Words:
    """Return the language's words; English for an unsupported language."""
    return read_words(language_or_default(language))


def read_words(language: str, catalogues: Path = CATALOGUES) -> Words:
    """Read `<language>.po` in the folder; English needs none."""
    if language == DEFAULT_LANGUAGE:
        return Words(language, NullTranslations())
    with (catalogues / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=_locale_of(language))
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Words(language, GNUTranslations(compiled))


def name_of(language: str) -> str:
    """Return what a language calls itself, capitalised as in a menu."""
    name = _locale_of(language).get_display_name() or language
    return name[0].title() + name[1:]


def language_from_browser(accept_language: str) -> str:
    """Choose by an Accept-Language header."""
    return best_language(accept_language, LANGUAGES) or DEFAULT_LANGUAGE


def zone_named(name: str) -> ZoneInfo:
    """Return the time zone; UTC for an unknown name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC_ZONE


def at_ms(ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=zone)


def _locale_of(language: str) -> Locale:
    return Locale.parse(language, sep="-")
