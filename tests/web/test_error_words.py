"""Whatever goes wrong is told in the person's language, by a sentence that stands once."""

import ast
import re
from collections import Counter
from zoneinfo import ZoneInfo

import pytest

from chat_platform.accounts.password_rule import MIN_CHARACTERS, weak_password
from chat_platform.billing.budgets import budget_spent
from chat_platform.errors import Invalid, NotFound, TooLarge
from chat_platform.turns import failures
from chat_platform.values.clock import now_ms
from chat_platform.web.error_words import error_words, message_words
from chat_platform.web.i18n import at_ms, words_in
from tests.web.error_messages import made_everywhere, marked_constants, may_be_on_a_page

EN, RU = words_in("en"), words_in("ru")
UTC_ZONE, MOSCOW = ZoneInfo("UTC"), ZoneInfo("Europe/Moscow")
DAY_MS = 86_400_000

MADE = made_everywhere()
MARKED = marked_constants()
MESSAGES = sorted({made.text for made in MADE if made.text and may_be_on_a_page(made)})


def test_the_messages_are_found():
    assert "Write something first." in MESSAGES
    assert "Incorrect email address or password." in MESSAGES
    assert failures.error_of("model_busy").message in MESSAGES


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_is_told_in_russian(message: str):
    assert re.search("[а-я]", RU(message))


def test_each_sentence_stands_once():
    times = Counter(made.text for made in MADE if made.text)

    assert [text for text, number in times.items() if number > 1] == []


def test_no_message_hides_from_the_catalogue():
    """A message is written where its error is made, is a marked constant, or another error's."""
    unseen = [
        made.place
        for made in MADE
        if may_be_on_a_page(made) and not made.text and not _is_seen_elsewhere(made.message)
    ]

    assert unseen == []


def _is_seen_elsewhere(message: ast.expr | None) -> bool:
    if isinstance(message, ast.Name):
        return message.id in MARKED
    return isinstance(message, ast.Attribute) and message.attr == "message"


def test_numbers_are_written_as_the_person_writes_them():
    error = TooLarge("At most {most} characters; these are {given}.", values={"most": 20_000})

    assert str(error) == "At most 20,000 characters; these are {given}."
    assert error_words(EN, MOSCOW, error) == str(error)
    assert "20\u00a0000" in error_words(RU, MOSCOW, error)


def test_texts_are_told_unchanged():
    error = NotFound("Nobody is registered as {email}.", values={"email": "{most}"})

    assert str(error) == error_words(EN, MOSCOW, error) == "Nobody is registered as {most}."


def test_the_wrong_field_gets_the_whole_message():
    error = Invalid("At most {most}.", values={"most": 1000}, field="name")

    assert [(wrong.field, wrong.message) for wrong in error.fields] == [("name", "At most 1,000.")]


def test_a_spent_budget_names_the_day_on_which_it_renews():
    renews = now_ms() + 10 * DAY_MS
    day = at_ms(renews, MOSCOW)
    error = budget_spent(resets_at_ms=renews)

    assert error_words(EN, MOSCOW, error) == f"Your budget is spent. It renews on {EN.day(day)}."
    assert error_words(RU, MOSCOW, error) == f"Бюджет исчерпан. Он обновится {RU.day(day)}."


def test_the_day_is_that_of_the_persons_zone():
    # 22:30 in UTC is the next day in Moscow.
    renews = (now_ms() // DAY_MS + 10) * DAY_MS + 22 * 3_600_000 + 1_800_000
    error = budget_spent(resets_at_ms=renews)

    assert error_words(EN, MOSCOW, error) != error_words(EN, UTC_ZONE, error)


def test_a_budget_that_renews_today_names_the_hour():
    # The near future is today in at least one of two zones that are half a day apart.
    error = budget_spent(resets_at_ms=now_ms() + 1000)

    words = [error_words(EN, ZoneInfo(name), error) for name in ("Etc/GMT+6", "Etc/GMT-6")]

    assert any(re.search(r"It renews today at \d", text) for text in words)


def test_clients_are_told_the_moment_in_utc():
    error = budget_spent(resets_at_ms=1_800_000_000_000)

    assert str(error) == "Your budget is spent. It renews on 2027-01-15 at 08:00 UTC."


def test_a_rule_is_told_with_its_limit():
    assert f" {MIN_CHARACTERS} characters" in error_words(EN, MOSCOW, weak_password())
    assert f" {MIN_CHARACTERS} символов" in error_words(RU, MOSCOW, weak_password())


@pytest.mark.parametrize(
    "message", ["{a:>999999999999}", "{a.__class__}", "{a!r}", "{}", "{", "", "{b}", "a\0"]
)
def test_a_message_from_a_browser_is_nothing_but_text(message: str):
    assert message_words(RU, MOSCOW, message, {"a": "x"}) == message
