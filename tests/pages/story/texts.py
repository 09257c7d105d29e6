"""The story's texts in each language; the same things happen in both."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Texts:
    name: str
    email: str
    persona: str
    human: tuple[str, ...]
    """The values of the block about the person, oldest first."""
    talk: tuple[tuple[str, str], ...]
    """Questions and answers, oldest first."""
    passages: tuple[str, ...]
    tokens: tuple[str, ...]


_CODE = """\
```python
def cost_of(trip: Trip) -> Decimal:
    return sum(leg.price for leg in trip.legs)  # exact, no floats
```
"""

ENGLISH = Texts(
    name="Ada Lovelace",
    email="ada@example.com",
    persona=(
        "I am a calm, precise companion. I keep what matters to Ada, say when I am not sure, and "
        "answer briefly unless she asks for more."
    ),
    human=(
        "Name: Ada",
        "Name: Ada\nLives in London.",
        "Name: Ada Lovelace\nLives in London, works on the analytical engine.\nPrefers short "
        "answers.",
        "Name: Ada Lovelace\nLives in Turin since March, works on the analytical engine.\n"
        "Prefers short answers. Vegetarian; allergic to walnuts.",
    ),
    talk=(
        ("My name is Ada and I live in London.", "Nice to meet you, Ada. I will remember that."),
        (
            "Please keep your answers short. I work on the analytical engine.",
            "Noted: short answers. How far is the engine?",
        ),
        (
            "I have moved to Turin. And I am vegetarian, no walnuts please.",
            "Turin it is. I have corrected my notes: **Turin instead of London**, vegetarian, and "
            "no walnuts.",
        ),
        (
            "Plan a weekend by train for the two of us, about 200 euros.",
            "Two days in the Langhe, without a car and without walnuts:\n\n"
            "| When | What | Price |\n| --- | --- | ---: |\n"
            "| Saturday, 9:20 | Train to Alba | €14 |\n"
            "| Saturday, 13:00 | Lunch, tajarin with butter and sage | €46 |\n"
            "| Saturday night | Room above the bakery | €85 |\n"
            "| Sunday | Walk to Barolo, 11 km, bus back | €9 |\n\n"
            "That makes **€154**, so there is room for a bottle to take home.",
        ),
        (
            "How would you add that up in Python?",
            "With exact decimals:\n\n" + _CODE + "\nYour budget keeps `Decimal('46')` to spare.",
        ),
    ),
    passages=(
        "Ada's tax adviser is Signora Bruno, via Garibaldi 12. She answers e-mail on Tuesdays.",
        "Decision of 3 June: the engine's card reader stays mechanical, because spare parts are "
        "easy to make.",
        "Books Ada wants to read: “Gödel, Escher, Bach”, “The Master and Margarita”.",
    ),
    tokens=("backup script", "phone shortcut"),
)

RUSSIAN = Texts(
    name="Софья Ковалевская",
    email="sofia@example.com",
    persona=(
        "Я спокойный и точный собеседник. Помню то, что важно Софье, говорю, когда не уверен, и "
        "отвечаю коротко, если не просят подробностей."
    ),
    human=(
        "Имя: Софья",
        "Имя: Софья\nЖивёт в Петербурге.",
        "Имя: Софья Ковалевская\nЖивёт в Петербурге, преподаёт математику.\nЛюбит короткие ответы.",
        "Имя: Софья Ковалевская\nС марта живёт в Стокгольме, преподаёт математику.\nЛюбит короткие "
        "ответы. Вегетарианка; аллергия на грецкие орехи.",
    ),
    talk=(
        ("Меня зовут Софья, я живу в Петербурге.", "Приятно познакомиться, Софья. Запомню."),
        (
            "Отвечай покороче, пожалуйста. Я преподаю математику.",
            "Договорились: коротко. Что преподаёте в этом семестре?",
        ),
        (
            "Я переехала в Стокгольм. И я вегетарианка, грецкие орехи мне нельзя.",
            "Значит, Стокгольм. Исправил в памяти: **Стокгольм вместо Петербурга**, вегетарианка, "
            "без грецких орехов.",
        ),
        (
            "Спланируй выходные на поезде для двоих, примерно на 200 евро.",
            "Два дня в Уппсале, без машины и без орехов:\n\n"
            "| Когда | Что | Цена |\n| --- | --- | ---: |\n"
            "| Суббота, 9:20 | Поезд до Уппсалы | 14 € |\n"
            "| Суббота, 13:00 | Обед, суп из лисичек | 46 € |\n"
            "| Ночь на воскресенье | Комната над пекарней | 85 € |\n"
            "| Воскресенье | Прогулка до озера, 11 км, обратно автобус | 9 € |\n\n"
            "Всего **154 €**: остаётся на сыр в дорогу.",
        ),
        (
            "А как сложить это на Python?",
            "Точными десятичными числами:\n\n" + _CODE + "\nВ запасе остаётся `Decimal('46')`.",
        ),
    ),
    passages=(
        "Бухгалтер Софьи: Анна Бергман, Дроттнинггатан 12. На письма отвечает по вторникам.",
        "Решение от 3 июня: курс механики читаем по-прежнему на доске, без слайдов.",
        "Софья хочет прочитать: «Гёдель, Эшер, Бах», «Мастер и Маргарита».",
    ),
    tokens=("резервная копия", "телефон"),
)
BY_LANGUAGE = {"en": ENGLISH, "ru": RUSSIAN}
