"""The languages stand in one place, and each has all that the platform needs of it."""

import pytest

from chat_platform.api.app import create_api
from chat_platform.values.languages import (
    DEFAULT_LANGUAGE,
    LANGUAGE_CHOICES,
    LANGUAGES,
    Language,
    is_language,
    language_or_default,
)
from chat_platform.web.i18n import CATALOGUES, name_of, words_in


@pytest.mark.parametrize("text", ["", "EN", "ru-RU", "de", "en "])
def test_what_is_no_language_of_ours_is_english(text: str):
    assert not is_language(text)
    assert language_or_default(text) == "en"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_all_that_the_platform_needs_of_it(language: Language):
    assert language_or_default(language) == words_in(language).language == language
    assert words_in(language).many("{number} day", "{number} days", 1)
    assert name_of(language)


def test_each_but_english_has_a_catalogue_and_no_other_has():
    assert {file.stem for file in CATALOGUES.glob("*.po")} == set(LANGUAGES) - {DEFAULT_LANGUAGE}


def test_a_person_can_choose_each_of_them_or_none():
    schemas = create_api().openapi()["components"]["schemas"]
    documented, _null = schemas["ProfileChange"]["properties"]["language"]["anyOf"]

    assert documented["enum"] == list(LANGUAGE_CHOICES) == ["", *LANGUAGES]
