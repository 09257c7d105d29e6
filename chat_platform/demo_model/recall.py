"""Answers questions such as "What is my locker code?", in English and Russian."""

import re
from collections.abc import Iterable, Sequence

from chat_platform.demo_model.wishes import Language, language_of

_FLAGS = re.IGNORECASE
_WORD = re.compile(r"[\w'’]+")
_MAX_SUBJECT_WORDS = 20
# Between the words of one question; `.*` would look through the whole text from each of them.
_NEAR = r"[^.!?\n]{0,100}"
_QUESTION = re.compile(
    rf"\b(?:what|which|where|when|who|how)\b{_NEAR}\bmy\b"
    rf"|\b(?:do you (?:still )?(?:know|remember|recall)|tell me|remind me(?: of)?)\b{_NEAR}\bmy\b"
    r"|(?:\b(?:как\w*|где|куда|когда|кто|кого|сколько|что|чего|какого)\b|\b(?:ты )?помнишь\b"
    r"|\b(?:назови|напомни|скажи)(?:те)?\b)"
    rf"{_NEAR}\b(?:мо[йяёеию]|моего|моей|моему|моих|моим|моём|меня)\b",
    _FLAGS,
)
_SUBJECT = re.compile(
    r"\b(?:what|which|where|when|who)(?:['’]s|\s+(?:is|are|was|were))\s+my\s+([^.!?\n]+)", _FLAGS
)
# Words that ask or connect: they do not say what a question is about.
_NOT_A_SUBJECT = frozenset(
    _WORD.findall(
        """
        what which where when who how is are was were am be do does did you still know remember
        recall tell me remind of my the a an that for to in on at with about please again now i
        have
        какой какая какое какие каков какова каково каковы какого какую где куда когда кто кого
        сколько что чего как ты вы помнишь помните знаешь знаете назови назовите напомни
        напомните скажи скажите мне зовут называется мой моя моё мое мои мою моего моей моему
        моим моих моём у меня от для в на к с о об это пожалуйста ещё еще
        """
    )
)
_YOURS_EN = {
    "i": "you",
    "i'm": "you are",
    "i've": "you have",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "myself": "yourself",
}
_YOURS_RU = {
    "мой": "ваш",
    "моя": "ваша",
    "моё": "ваше",
    "мое": "ваше",
    "мои": "ваши",
    "мою": "вашу",
    "моего": "вашего",
    "моей": "вашей",
    "моему": "вашему",
    "моим": "вашим",
    "моём": "вашем",
    "моих": "ваших",
    "меня": "вас",
    "мне": "вам",
}
# Swapping these would require changing the verbs too.
_ONLY_QUOTED = re.compile(r"\b(?:я|мы|нас|нам|наш\w*)\b", _FLAGS)
_LABELLED = re.compile(r"([^:]{1,40}):\s+(.+)")


def asks_about_something(text: str) -> bool:
    """True for a question about the person, such as "What is my locker code?"."""
    return bool(_QUESTION.search(text)) and 0 < len(_subject_words(text)) <= _MAX_SUBJECT_WORDS


def recall(question: str, memory: Sequence[str], told: Sequence[str], said: Sequence[str]) -> str:
    """Return the answer, or "" if nothing known matches the question.

    `memory` holds the block's lines, `told` what this conversation added to memory, `said` what
    the person only mentioned; each oldest first. The block may be older than what was told, but a
    line that was not told here was written by the person on the memory page, so it takes
    precedence.
    """
    wanted = _subject_words(question)
    written, put, mentioned = (_newest(wanted, lines) for lines in (memory, told, said))
    fact = written if written and written not in told else put or written or mentioned
    return _retell(fact, language_of(question)) if fact else ""


def tell_ignorance(question: str, language: Language) -> str:
    subject = _SUBJECT.search(question)
    if language == "en" and subject:
        return f"You have not told me your {subject[1].strip()} yet."
    return "Этого вы мне ещё не говорили." if language == "ru" else "You have not told me that yet."


def _subject_words(text: str) -> list[str]:
    return [word for word in _words(text) if word not in _NOT_A_SUBJECT]


def _words(text: str) -> list[str]:
    words = _WORD.findall(text.lower().replace("’", "'"))
    return [word.removesuffix("'s") for word in words]


def _newest(wanted: Iterable[str], lines: Sequence[str]) -> str:
    return next((line for line in reversed(lines) if _fits(wanted, set(_words(line)))), "")


def _fits(wanted: Iterable[str], words: Iterable[str]) -> bool:
    return all(any(_is_a_form_of(one, other) for other in words) for one in wanted)


def _is_a_form_of(one: str, other: str) -> bool:
    """True if only the endings differ: by up to three letters in Russian, one in English."""
    common = 0
    while common < min(len(one), len(other)) and one[common] == other[common]:
        common += 1
    ending = 3 if language_of(one) == "ru" else 1
    return one == other or common >= max(3, max(len(one), len(other)) - ending)


def _retell(fact: str, language: Language) -> str:
    if language_of(fact) != language or (language == "ru" and _ONLY_QUOTED.search(fact)):
        return f"Вы говорили: «{fact}»." if language == "ru" else f"You told me: “{fact}”."
    if labelled := _LABELLED.fullmatch(fact):
        label, value = labelled.groups()
        return f"{label}: {value}." if language == "ru" else f"Your {label.lower()} is {value}."
    text = _to_the_person(fact, language)
    return f"{text[0].upper()}{text[1:]}."


def _to_the_person(fact: str, language: Language) -> str:
    if language == "en":
        fact = re.sub(r"\bI am\b", "you are", re.sub(r"\bI was\b", "you were", fact))
    yours = _YOURS_EN if language == "en" else _YOURS_RU
    return _WORD.sub(lambda word: yours.get(word[0].lower().replace("’", "'"), word[0]), fact)
