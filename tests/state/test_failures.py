"""Every failed event shows a message for the person, and no other details."""

import pytest

from chat_platform.agents.lock import turn_running
from chat_platform.errors import NotSignedIn, PlatformError, TooLarge, internal_error
from chat_platform.state.account import AccountState
from chat_platform.state.failures import answer_exception
from chat_platform.values.texts import TOO_MANY_CHARACTERS
from tests.state.tab import OpenTab


def test_who_is_not_signed_in_is_sent_to_the_sign_in():
    assert "/login" in str(answer_exception(NotSignedIn("Sign in first.")))


@pytest.mark.parametrize(
    "error", [e for e in PlatformError.__subclasses__() if e is not NotSignedIn]
)
def test_every_failure_of_the_platform_is_told(error: type[PlatformError]):
    told = str(answer_exception(error("What happened.")))

    assert "show_problem" in told
    assert "What happened." in told


def test_an_unknown_failure_keeps_its_words_to_itself():
    told = str(answer_exception(RuntimeError("secret detail")))

    assert "secret detail" not in told
    assert internal_error().message in told


async def test_a_problem_is_shown_in_the_persons_language():
    tab = OpenTab("")
    await tab.send(AccountState, "dismiss_notice")
    tab.of(AccountState).language = "ru"

    await tab.send(AccountState, "show_problem", turn_running().message, "{}")

    assert tab.of(AccountState).notice == "Агент ещё занят. Подождите или остановите его."
    assert tab.of(AccountState).notice_kind == "problem"


async def test_a_problem_keeps_its_values_on_the_way_through_the_browser():
    tab = OpenTab("")
    await tab.send(AccountState, "dismiss_notice")
    tab.of(AccountState).language = "ru"
    error = TooLarge(TOO_MANY_CHARACTERS, values={"most": 1000, "given": 1001})

    values = '{"most": 1000, "given": 1001}'

    assert values in str(answer_exception(error)).replace('\\"', '"')
    await tab.send(AccountState, "show_problem", error.message, values)

    words = "Можно не больше 1\u00a0000 символов, а здесь — 1\u00a0001."
    assert tab.of(AccountState).notice == words


@pytest.mark.parametrize(
    "values",
    [
        "",
        "{",
        "[]",
        "null",
        '{"most": {}}',
        '{"most": 1.5}',
        '{"at_ms": 99999999999999999999}',
        "9" * 100_000,
        '{"most": ' + "9" * 5_000 + "}",
        "[" * 100_000,
    ],
)
async def test_values_that_the_browser_has_changed_do_no_harm(values: str):
    tab = OpenTab("")
    await tab.send(AccountState, "dismiss_notice")

    await tab.send(AccountState, "show_problem", "At most {most}, on {at_ms}.", values)

    assert tab.of(AccountState).notice.startswith("Something went wrong on our side.")
