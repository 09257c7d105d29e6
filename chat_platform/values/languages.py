"""The languages that the platform speaks. A new one needs its code here, and its catalogue."""

from typing import Literal, TypeGuard, get_args

Language = Literal["en", "ru"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
DEFAULT_LANGUAGE: Language = "en"
LanguageChoice = Literal["", Language]
"""What a person can choose: a language, or "" for the browser's."""
LANGUAGE_CHOICES: tuple[LanguageChoice, ...] = get_args(LanguageChoice)


def is_language(text: str) -> TypeGuard[Language]:
    return text in LANGUAGES


def language_or_default(text: str) -> Language:
    """Return the language with this code; English if there is none."""
    return text if is_language(text) else DEFAULT_LANGUAGE
