"""The catalogues are complete, and numbers, money and dates read as a person expects."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from chat_platform.web.i18n import (
    CATALOGUES,
    LANGUAGES,
    language_from_browser,
    words_in,
    zone_named,
)

SOURCES = Path(__file__).parents[2] / "chat_platform"
KEYWORDS = {"_": None, "say": None, "many": (1, 2)}
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def _used() -> dict[str, str | tuple[str, ...]]:
    """Every message in the code, by its key; the value tells whether it has plural forms."""
    found = extract_from_dir(str(SOURCES), [("**.py", "python")], keywords=KEYWORDS)
    return {m if isinstance(m, str) else m[0]: m for _file, _line, m, _notes, _context in found}


def _catalogue(language: str) -> Catalog:
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


@pytest.fixture(scope="module")
def used() -> dict[str, str | tuple[str, ...]]:
    return _used()


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_every_message_is_translated_and_none_is_left_over(
    language: str, used: dict[str, str | tuple[str, ...]]
):
    entries = {m.id if isinstance(m.id, str) else m.id[0]: m for m in _catalogue(language) if m.id}

    missing = sorted(set(used) - {key for key, m in entries.items() if m.string})
    left_over = sorted(set(entries) - set(used))

    assert (missing, left_over) == ([], [])


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_translations_keep_their_placeholders(language: str):
    for message in _catalogue(language):
        texts = message.string if isinstance(message.string, (list, tuple)) else (message.string,)
        key = message.id if isinstance(message.id, str) else message.id[-1]
        for text in filter(None, texts):
            assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(key)) or not key, key


def test_plural_forms_are_complete(used: dict[str, str | tuple[str, ...]]):
    catalogue = _catalogue("ru")

    for key, message in used.items():
        if isinstance(message, tuple):
            entry = catalogue.get(key)
            assert entry is not None, key
            assert len([form for form in entry.string or () if form]) == 3, key


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1 день"), (2, "2 дня"), (5, "5 дней"), (21, "21 день"), (11, "11 дней")],
)
def test_russian_counts_as_russian_does(number: int, text: str):
    assert words_in("ru").many("{number} day", "{number} days", number) == text


@pytest.mark.parametrize(
    ("nano_usd", "english", "russian"),
    [
        (0, "$0.00", "0,00\xa0$"),
        (54_800, "$0.0000548", "0,0000548\xa0$"),
        (1_500_000_000, "$1.50", "1,50\xa0$"),
        (1, "$0.000000001", "0,000000001\xa0$"),
        (1_234_000_000_000, "$1,234.00", "1\xa0234,00\xa0$"),
    ],
)
def test_money_is_exact_and_in_the_persons_manner(nano_usd: int, english: str, russian: str):
    assert words_in("en").money(nano_usd) == english
    assert words_in("ru").money(nano_usd) == russian


def test_days_are_named_in_the_persons_language():
    day = datetime(2026, 3, 1, tzinfo=UTC)

    assert words_in("en").day(day) == "March 1, 2026"
    assert words_in("ru").day(day) == "1 марта 2026\u202fг."


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ru", "ru"),
        ("ru-RU,en;q=0.5", "ru"),
        ("de,en", "en"),
        ("", "en"),
        ("*", "en"),
        ("x" * 99, "en"),
    ],
)
def test_the_browsers_first_known_language_wins(header: str, language: str):
    assert language_from_browser(header) == language


def test_an_unknown_time_zone_is_utc():
    assert zone_named("Nowhere/Land").key == "UTC"
    assert zone_named("../../etc/passwd").key == "UTC"
    assert zone_named("Europe/Moscow").key == "Europe/Moscow"
