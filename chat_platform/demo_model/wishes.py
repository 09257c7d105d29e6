"""Recognises what a person wants: a fact kept, a search, a long text. English and Russian."""

import re
from dataclasses import dataclass
from typing import Literal

DEFAULT_LONG_WORDS = 600
MAX_LONG_WORDS = 5_000

Language = Literal["en", "ru"]
"""What the demo model understands and speaks; the pages may speak more."""


@dataclass(frozen=True)
class KeepName:
    name: str


@dataclass(frozen=True)
class KeepFact:
    fact: str


@dataclass(frozen=True)
class Archive:
    text: str


@dataclass(frozen=True)
class Search:
    query: str


Wish = KeepName | KeepFact | Archive | Search
"""What the agent needs a tool for."""

_FLAGS = re.IGNORECASE
# A dot within a word, as in an address, does not end a sentence.
_SENTENCE = r"((?:[^.!?\n]|[.!?](?=\w))+)"
_NAME = re.compile(
    r"\b(?:my name is|(?:please )?call me|меня зовут|моё имя|мое имя)\s+"
    r"([\w'’-]+(?:\s+(?-i:[A-ZА-ЯЁ])[\w'’-]+)?)",
    _FLAGS,
)
# Not `\s*`: from each of many blank lines it would look through all that follow.
_BEGIN = r"(?:^|[.!?,;\n][^\S\n]*|\b(?:please|and|also|(?:can|could) you|пожалуйста|и)\s+)"
_FACT = re.compile(
    rf"{_BEGIN}(?:remember(?:\s+that|\s*:)?|запомни(?:те)?(?:\s*,?\s*что|\s*:)?)\s+{_SENTENCE}",
    _FLAGS,
)
_ARCHIVE = re.compile(
    rf"{_BEGIN}(?:archive(?:\s+that|\s*:)?"
    rf"|(?:занеси|запиши|добавь) в архив(?:\s*,?\s*что|\s*:)?)\s+{_SENTENCE}",
    _FLAGS,
)
_SEARCH = re.compile(
    rf"{_BEGIN}(?:search(?:\s+(?:your|the|my)\s+(?:archive|memory))?(?:\s+for|\s*:)?"
    rf"|(?:найди|поищи) в архиве(?:\s*:)?)\s+{_SENTENCE}",
    _FLAGS,
)
_LONG = re.compile(
    r"\b(?:a long|long text|long story|long answer|длинн\w+ (?:текст|рассказ|истори|ответ))", _FLAGS
)
_LENGTH = re.compile(r"\b(\d{1,5})[\s-]*(?:words?|слов[аo]?)\b", _FLAGS)
_NAME_QUESTION = re.compile(
    r"what(?:'s|’s| is) my name|who am i\b|do you (?:know|remember) my name"
    r"|как меня зовут|кто я\b|моё имя\?|мое имя\?",
    _FLAGS,
)
_MEMORY_QUESTION = re.compile(
    r"what (?:do|can) you (?:remember|know)|do you remember|what did i tell you"
    r"|что ты (?:помнишь|знаешь|запомнил)|ты помнишь|что я тебе говорил",
    _FLAGS,
)
_INTRODUCTION = re.compile(
    r"introduce yourself|who are you|what are you|what can you do"
    r"|представься|кто ты|что ты умеешь|расскажи о себе",
    _FLAGS,
)


def wishes_of(text: str) -> list[Wish]:
    """Return what the text asks to remember or to look up, in a fixed order."""
    found: list[Wish] = []
    asks = asks_for_name(text) or asks_what_is_known(text)
    if not asks and (name := _NAME.search(text)):
        found.append(KeepName(name[1].strip()))
    if not asks and (fact := _FACT.search(text)):
        found.append(KeepFact(fact[1].strip()))
    if archive := _ARCHIVE.search(text):
        found.append(Archive(archive[1].strip()))
    elif search := _SEARCH.search(text):
        found.append(Search(search[1].strip()))
    return found


def statements_of(text: str) -> list[str]:
    """Return what the text says, without its questions and without "remember that"."""
    wished = [wish for wish in wishes_of(text) if isinstance(wish, KeepFact | Archive)]
    if wished:
        return [wish.fact if isinstance(wish, KeepFact) else wish.text for wish in wished]
    sentences = re.findall(rf"{_SENTENCE}([.!?]?)", text)
    return [said.strip() for said, end in sentences if end != "?" and said.strip()]


def asks_for_name(text: str) -> bool:
    return bool(_NAME_QUESTION.search(text))


def asks_what_is_known(text: str) -> bool:
    return bool(_MEMORY_QUESTION.search(text))


def asks_who_you_are(text: str) -> bool:
    return bool(_INTRODUCTION.search(text))


def long_text_words(text: str) -> int | None:
    """Return how many words of long text are wanted, or None."""
    length = _LENGTH.search(text)
    if length:
        return min(int(length[1]), MAX_LONG_WORDS)
    return DEFAULT_LONG_WORDS if _LONG.search(text) else None


def language_of(text: str) -> Language:
    return "ru" if re.search(r"[а-яё]", text, _FLAGS) else "en"
