"""Writes long texts with every kind of Markdown, always the same ones."""

from collections.abc import Callable, Iterator
from itertools import count

from chat_platform.demo_model.wishes import Language

_SENTENCES = {
    "en": (
        "The lighthouse keeper wrote down every ship that passed, and every one that did not.",
        "On the ninth evening the fog came in, and the lamp drew a white road across the water.",
        "A letter arrived without a sender, and in it was a map of the island, **almost** right.",
        "She compared it with her own and found one path more than there ought to be.",
        "The path led past the well, the three pines and the wall that nobody had finished.",
        "At its end stood a door, painted the green of bottles, with a key on the inside.",
        "Nobody had told her that the sea could be heard so clearly underground.",
        "So she did what she always did: she took out the book and wrote down the time.",
    ),
    "ru": (
        "Смотритель маяка записывал каждый корабль, который прошёл мимо, и каждый, который нет.",
        "На девятый вечер пришёл туман, и лампа протянула по воде белую дорогу.",
        "Пришло письмо без отправителя, и в нём была карта острова, **почти** верная.",
        "Она сравнила её со своей и нашла одну лишнюю тропу.",
        "Тропа вела мимо колодца, трёх сосен и стены, которую никто не достроил.",
        "В конце её стояла дверь бутылочного цвета, с ключом с той стороны.",
        "Никто не говорил ей, что море так хорошо слышно под землёй.",
        "И она сделала то, что делала всегда: достала книгу и записала время.",
    ),
}
_WORDS = {
    "en": ("Chapter", "What she carried", "a lamp", "a rope", "the book", "Hour", "Wind", "calm"),
    "ru": ("Глава", "Что было с собой", "лампа", "верёвка", "книга", "Час", "Ветер", "штиль"),
}


def tell(words: int, language: Language) -> str:
    """Return a text of at least that many words, ending with a complete section."""
    parts: list[str] = []
    told = 0
    for section in _sections(language):
        if told >= words:
            break
        parts.append(section)
        told += len(section.split())
    return "\n\n".join(parts)


def _sections(language: Language) -> Iterator[str]:
    kinds: tuple[Callable[[int, Language], str], ...] = (_paragraph, _list, _table, _code)
    for number in count(1):
        yield f"## {_WORDS[language][0]} {number}"
        yield _paragraph(number, language)
        yield kinds[number % len(kinds)](number, language)


def _paragraph(number: int, language: Language) -> str:
    sentences = _SENTENCES[language]
    return " ".join(sentences[(number * 3 + i) % len(sentences)] for i in range(5))


def _list(number: int, language: Language) -> str:
    _, title, *things = _WORDS[language]
    lines = "\n".join(f"{i}. {thing}" for i, thing in enumerate(things[:3], number))
    return f"{title}:\n\n{lines}"


def _table(number: int, language: Language) -> str:
    hour, wind, calm = _WORDS[language][5:]
    rows = "\n".join(f"| {(number + i) % 24}:00 | {calm} |" for i in range(3))
    return f"| {hour} | {wind} |\n|---|---|\n{rows}"


def _code(number: int, _language: Language) -> str:
    return f"```python\nfor ship in passing({number}):\n    book.write(ship.name, ship.time)\n```"
