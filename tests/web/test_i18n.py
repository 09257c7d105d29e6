"""The catalogues are complete, and numbers, money and dates read as a person expects.

A further language is its catalogue alone: Polish stands for it here.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from chat_platform.values.languages import LANGUAGES
from chat_platform.web.i18n import (
    CATALOGUES,
    Words,
    language_from_browser,
    name_of,
    read_words,
    words_in,
    zone_named,
)
from tests.web.error_messages import made_everywhere, may_be_on_a_page

SOURCES = Path(__file__).parents[2] / "chat_platform"
KEYWORDS = {"_": None, "say": None, "many": (1, 2)}
POLISH = """
msgid "Sign in"
msgstr "Zaloguj się"

msgid "{number} day"
msgid_plural "{number} days"
msgstr[0] "{number} dzień"
msgstr[1] "{number} dni"
msgstr[2] "{number} dnia"
"""
OWN_RULE = """
msgid ""
msgstr ""
"Language: pl\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n==2 ? 1 : 2);\\n"
"""
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def _used() -> dict[str, str | tuple[str, ...]]:
    """Every message in the code, by its key; the value says whether it has plural forms."""
    found = extract_from_dir(str(SOURCES), [("**.py", "python")], keywords=KEYWORDS)
    words = {m if isinstance(m, str) else m[0]: m for _file, _line, m, _notes, _context in found}
    errors = {made.text for made in made_everywhere() if may_be_on_a_page(made)} - {""}
    return words | {message: message for message in errors}


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

    missing = sorted(set(used) - {key for key, m in entries.items() if m.string and not m.fuzzy})
    left_over = sorted(set(entries) - set(used))

    assert (missing, left_over) == ([], [])


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_translations_keep_their_placeholders(language: str):
    for message in _catalogue(language):
        texts = message.string if isinstance(message.string, (list, tuple)) else (message.string,)
        key = message.id if isinstance(message.id, str) else message.id[-1]
        for text in filter(None, texts):
            assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(key)) or not key, key


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_plural_forms_are_complete(language: str, used: dict[str, str | tuple[str, ...]]):
    catalogue = _catalogue(language)

    for key, message in used.items():
        if isinstance(message, tuple):
            entry = catalogue.get(key)
            assert entry is not None, key
            assert len([form for form in entry.string or () if form]) == catalogue.num_plurals, key


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1 день"), (2, "2 дня"), (5, "5 дней"), (21, "21 день"), (11, "11 дней")],
)
def test_russian_counts_as_russian_does(number: int, text: str):
    assert words_in("ru").many("{number} day", "{number} days", number) == text


def test_what_the_catalogue_lacks_is_said_in_english(tmp_path: Path):
    words = _polish(tmp_path, "")

    assert words("Sign in") == "Sign in"
    assert words.many("{number} day", "{number} days", 1) == "1 day"
    assert words.many("{number} day", "{number} days", 21) == "21 days"


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1 dzień"), (2, "2 dni"), (5, "5 dnia"), (21, "21 dnia"), (22, "22 dni"), (12, "12 dnia")],
)
def test_a_further_language_counts_by_its_own_rule(tmp_path: Path, number: int, text: str):
    words = _polish(tmp_path, POLISH)

    assert words("Sign in") == "Zaloguj się"
    assert words.many("{number} day", "{number} days", number) == text


def test_the_rule_in_a_catalogue_goes_before_the_common_one(tmp_path: Path):
    words = _polish(tmp_path, OWN_RULE + POLISH)

    assert words.many("{number} day", "{number} days", 3) == "3 dnia"


def test_a_further_language_has_its_own_numbers_money_and_name(tmp_path: Path):
    words = _polish(tmp_path, POLISH)

    assert words.number(12_345) == "12\xa0345"
    assert words.money(12_345_000_000_001) == "12\xa0345,000000001\xa0USD"
    assert words.money(500_000_000) == "0,50\xa0USD"
    assert words.day(datetime(2026, 3, 1, tzinfo=UTC)) == "1 marca 2026"
    assert [name_of(code) for code in ("en", "ru", "pl", "pt-BR")] == [
        *("English", "Русский", "Polski"),
        "Português (Brasil)",
    ]


def _polish(folder: Path, catalogue: str) -> Words:
    (folder / "pl.po").write_text(catalogue, encoding="utf-8")
    return read_words("pl", folder)


@pytest.mark.parametrize(
    ("nano_usd", "english", "russian"),
    [
        (0, "$0.00", "0,00\xa0$"),
        (54_800, "$0.0000548", "0,0000548\xa0$"),
        (1_500_000_000, "$1.50", "1,50\xa0$"),
        (1, "$0.000000001", "0,000000001\xa0$"),
        (1_234_000_000_000, "$1,234.00", "1\xa0234,00\xa0$"),
        (1_234_560_000_000, "$1,234.56", "1\xa0234,56\xa0$"),
        (-1_500_000_000, "-$1.50", "-1,50\xa0$"),
        (2**63 - 1, "$9,223,372,036.854775807", "9\xa0223\xa0372\xa0036,854775807\xa0$"),
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
