"""Whatever can go wrong on a page is told in the person's language, and never by its code."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from chat_platform import errors
from chat_platform.billing.budgets import budget_spent
from chat_platform.clock import now_ms
from chat_platform.errors import BudgetSpent, NotFound, PlatformError
from chat_platform.pages import sign_in
from chat_platform.turns import failures
from chat_platform.web.i18n import at_ms, words_in
from chat_platform.web.problem_words import error_words, problem_words

SOURCES = Path(errors.__file__).parent
ABOVE_THE_DOMAIN = {"api", "proxy", "pages", "state", "web", "launcher", "demo_model"}
BY_ARGUMENT = {"code", "default_code"}
BY_POSITION = {"TurnFailure": 0, "rule": 1}
OF_PATTERNS = {"invalid_{field}": ("invalid_language", "invalid_theme")}
"""Codes that are put together when they are raised."""

ON_THE_SIGN_IN_PAGES = {
    *("account_deleted", "account_disabled", "email_not_confirmed", "email_taken"),
    *("invalid_code", "invalid_email", "registration_closed"),
}
"""Those pages have words of their own."""
NOT_ON_A_PAGE = {
    "bad_budget": "the administration page has words for whatever is wrong in that form",
    "bad_period": "the administration page has words for whatever is wrong in that form",
    "invalid_language": "the page offers only those that there are",
    "invalid_theme": "the page offers only those that there are",
    "invalid_token": "a REST client's",
    "mail_unavailable": "mail is sent after the answer, and its failure logged",
    "not_signed_in": "the browser goes to the sign-in page",
    "token_expired": "a REST client's",
    "unknown_host": "refused before any page",
}

EN, RU = words_in("en"), words_in("ru")
MOSCOW = ZoneInfo("Europe/Moscow")
DAY_MS = 86_400_000


def _codes() -> set[str]:
    """Every code that a module of the domain writes down."""
    files = [
        file
        for file in SOURCES.rglob("*.py")
        if file.relative_to(SOURCES).parts[0] not in ABOVE_THE_DOMAIN
    ]
    written = {code for file in files for code in _codes_in(ast.parse(file.read_text()))}
    return {code for text in written for code in OF_PATTERNS.get(text, (text,))}


def _codes_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _codes_of_call(node)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id in BY_ARGUMENT for t in targets):
                yield str(node.value.value)


def _codes_of_call(call: ast.Call) -> Iterator[str]:
    position = BY_POSITION.get(call.func.id, 99) if isinstance(call.func, ast.Name) else 99
    given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    for value in [*given, *call.args[position : position + 1]]:
        if isinstance(value, ast.JoinedStr):
            yield ast.unparse(value)[2:-1]
        elif isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


CODES = _codes() | set(failures._CLASSES)


def test_the_codes_are_found():
    assert {"turn_running", "weak_password", "model_busy", "too_many_requests"} <= CODES
    assert {error.default_code for error in PlatformError.__subclasses__()} <= CODES
    assert all(re.fullmatch(r"[a-z_]+", code) for code in CODES)


def test_what_is_left_out_is_a_code():
    assert ON_THE_SIGN_IN_PAGES | set(NOT_ON_A_PAGE) <= CODES


@pytest.mark.parametrize("code", sorted(CODES - ON_THE_SIGN_IN_PAGES - set(NOT_ON_A_PAGE)))
def test_every_code_has_words_in_both_languages(code: str):
    assert problem_words(EN, code, "") != ""
    assert re.search("[а-я]", problem_words(RU, code, ""))


@pytest.mark.parametrize("code", sorted(ON_THE_SIGN_IN_PAGES))
def test_the_sign_in_pages_have_words_for_what_only_they_tell(code: str):
    assert f'("{code}", _(' in inspect.getsource(sign_in)


def test_an_unknown_code_is_told_in_the_domains_own_words():
    assert problem_words(RU, "new_code", "Something new.") == "Something new."


def test_other_failures_are_told_by_their_code():
    assert error_words(EN, MOSCOW, NotFound("gone")) == "It is not there any more."


def test_a_spent_budget_names_the_day_on_which_it_renews():
    renews = now_ms() + 10 * DAY_MS
    day = at_ms(renews, MOSCOW)
    error = budget_spent(spent_nano_usd=0, resets_at_ms=renews)

    assert error_words(EN, MOSCOW, error) == (f"Your budget is spent. It renews on {EN.day(day)}.")
    assert error_words(RU, MOSCOW, error) == f"Бюджет исчерпан. {RU.day(day)} он обновится."


def test_the_day_is_that_of_the_persons_zone():
    # 22:30 in UTC is the next day in Moscow.
    renews = (now_ms() // DAY_MS + 10) * DAY_MS + 22 * 3_600_000 + 1_800_000
    error = budget_spent(spent_nano_usd=0, resets_at_ms=renews)

    words = {error_words(EN, zone, error) for zone in (MOSCOW, ZoneInfo("UTC"))}

    assert len(words) == 2


def test_a_budget_that_renews_today_names_the_hour():
    # A moment from now is today in at least one of two zones that are half a day apart.
    renews = now_ms() + 1000
    error = budget_spent(spent_nano_usd=0, resets_at_ms=renews)

    words = [error_words(EN, ZoneInfo(name), error) for name in ("Etc/GMT+6", "Etc/GMT-6")]

    assert any(re.search(r"It renews today at \d", text) for text in words)


def test_a_spent_budget_without_a_moment_names_none():
    error = BudgetSpent("Your budget is spent.")

    assert error_words(EN, MOSCOW, error) == (
        "Your budget is spent. It renews with the next period."
    )
