"""Every failure of an event is told in a person's words, and nothing else of it."""

import pytest

from chat_platform.errors import NotSignedIn, PlatformError
from chat_platform.state.account import AccountState
from chat_platform.state.toasts import answer_exception
from tests.state.tab import OpenTab


def test_who_is_not_signed_in_is_sent_to_the_sign_in():
    assert "/login" in str(answer_exception(NotSignedIn("Sign in first.")))


@pytest.mark.parametrize(
    "error", [e for e in PlatformError.__subclasses__() if e is not NotSignedIn]
)
def test_every_failure_of_the_platform_is_told_by_its_code(error: type[PlatformError]):
    told = str(answer_exception(error("What happened.")))

    assert "show_problem" in told
    assert "What happened." in told


def test_an_unknown_failure_keeps_its_words_to_itself():
    told = str(answer_exception(RuntimeError("secret detail")))

    assert "secret detail" not in told
    assert "internal_error" in told


async def test_a_problem_is_shown_in_the_persons_language():
    tab = OpenTab("")
    tab.of(AccountState).language = "ru"

    await tab.send(AccountState, "show_problem", "turn_running", "busy")

    assert tab.of(AccountState).notice == "Агент ещё отвечает. Подождите или остановите его."
    assert tab.of(AccountState).notice_kind == "problem"
