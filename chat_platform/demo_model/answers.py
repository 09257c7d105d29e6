"""Decides what the demo model answers. The same request always gets the same answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chat_platform.demo_model import story
from chat_platform.demo_model.context_window import ContextWindow
from chat_platform.demo_model.recall import asks_about_something, recall, tell_ignorance
from chat_platform.demo_model.wishes import (
    Archive,
    KeepFact,
    KeepName,
    Language,
    Search,
    Wish,
    asks_for_name,
    asks_what_is_known,
    asks_who_you_are,
    language_of,
    long_text_words,
    statements_of,
    wishes_of,
)

READING_PACE_MS = 40
"""Between two words of a long text: slow enough to press stop."""
TALKING_PACE_MS = 5


@dataclass(frozen=True)
class ToolCall:
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """A text or one tool call."""

    text: str = ""
    tool_call: ToolCall | None = None
    pace_ms: int = TALKING_PACE_MS


def answer(context: ContextWindow) -> Answer:
    text = context.last_words
    if _asks_for_summary(text):
        return Answer(_summary(context))
    wishes = [wish for wish in wishes_of(text) if _call(wish).name in context.tools]
    if context.tool_rounds < len(wishes):
        return Answer(tool_call=_call(wishes[context.tool_rounds]))
    if wishes:
        return Answer(_report(wishes, context, language_of(text)))
    words = long_text_words(text)
    if words:
        return Answer(story.tell(words, language_of(text)), pace_ms=READING_PACE_MS)
    return Answer(_talk(text, context, language_of(text)))


def _asks_for_summary(text: str) -> bool:
    """Letta's compaction requests contain this, in every mode."""
    return "Only output the summary" in text or "being evicted from" in text


def _summary(context: ContextWindow) -> str:
    said = [str(m.get("content") or "") for m in context.messages[:-1] if m.get("role") == "user"]
    topics = "; ".join(text[:60].replace("\n", " ") for text in said[-6:])
    known = "; ".join(context.facts) or "nothing in particular"
    name = context.person_name or "The person"
    return f"Summary: {name} wrote {len(said)} messages, lately: {topics}. Known facts: {known}."


def _call(wish: Wish) -> ToolCall:
    match wish:
        case KeepName(name):
            return ToolCall("memory_insert", {"label": "human", "new_string": f"Name: {name}"})
        case KeepFact(fact):
            return ToolCall("memory_insert", {"label": "human", "new_string": f"Fact: {fact}"})
        case Archive(text):
            return ToolCall("archival_memory_insert", {"content": text})
        case Search(query):
            return ToolCall("archival_memory_search", {"query": query})


def _report(wishes: list[Wish], context: ContextWindow, language: Language) -> str:
    return " ".join(_done(wish, context, language) for wish in wishes)


def _done(wish: Wish, context: ContextWindow, language: Language) -> str:
    is_russian = language == "ru"
    match wish:
        case KeepName(name):
            return (
                f"Приятно познакомиться, {name}! Я запомню ваше имя."
                if is_russian
                else f"Nice to meet you, {name}! I will remember your name."
            )
        case KeepFact(fact):
            return f"Запомнил: {fact}." if is_russian else f"I will remember: {fact}."
        case Archive(text):
            return (
                f"Добавил в архив: {text}."
                if is_russian
                else f"I have added this to the archive: {text}."
            )
        case Search(query):
            found = context.last_tool_result or "-"
            return (
                f"Вот что нашлось в архиве по запросу «{query}»:\n\n{found}"
                if is_russian
                else f"This is what I found in my archive for “{query}”:\n\n{found}"
            )


def _talk(text: str, context: ContextWindow, language: Language) -> str:
    if asks_for_name(text):
        return _tell_name(context.person_name, language)
    if asks_about_something(text) and (known := _recall(text, context)):
        return known
    if asks_what_is_known(text):
        return _tell_facts(context.person_name, context.facts, language)
    if asks_who_you_are(text):
        return _INTRODUCTION[language]
    if asks_about_something(text):
        return tell_ignorance(text, language)
    return _echo(text, context.person_name, language)


_INTRODUCTION: dict[Language, str] = {
    "en": (
        "Hello! I am your personal agent, running on the built-in demo model. I remember what you"
        " tell me: try “my name is Ada” or “remember that my locker code is 4471”, and later “what"
        " is my locker code?” or “what do you remember?”. Ask me for “a long story” to see an"
        " answer stream. Set GEMINI_API_KEY to use a real model."
    ),
    "ru": (
        "Здравствуйте! Я ваш личный агент, сейчас за меня отвечает встроенная демо-модель. Я"
        " запоминаю то, что вы мне говорите: напишите «меня зовут Ада» или «запомни, что код моего"
        " шкафчика 4471», а потом спросите «какой код у моего шкафчика?» или «что ты помнишь?»."
        " Попросите «длинный рассказ», чтобы увидеть, как ответ приходит по частям. Чтобы отвечала"
        " настоящая модель, задайте GEMINI_API_KEY."
    ),
}


def _recall(text: str, context: ContextWindow) -> str:
    said = [statement for message in context.said for statement in statements_of(message)]
    return recall(text, context.remembered, context.told, said)


def _tell_name(name: str | None, language: Language) -> str:
    if language == "ru":
        return f"Вас зовут {name}." if name else "Вы ещё не сказали мне, как вас зовут."
    return f"Your name is {name}." if name else "You have not told me your name yet."


def _tell_facts(name: str | None, facts: list[str], language: Language) -> str:
    lines = [_tell_name(name, language)] if name else []
    lines += [f"- {fact}" for fact in facts]
    if not lines:
        return "Пока ничего." if language == "ru" else "Nothing yet. Tell me something to remember."
    head = "Вот что я помню:" if language == "ru" else "This is what I remember:"
    return "\n".join([head, "", *lines])


def _echo(text: str, name: str | None, language: Language) -> str:
    said = text.strip()[:200]
    if language == "ru":
        return f"Понял{', ' + name if name else ''}. Вы написали: «{said}»"
    return f"I see{', ' + name if name else ''}. You wrote: “{said}”"
