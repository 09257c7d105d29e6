from chat_platform.billing.spend_questions import MAX_ACCOUNTS, SpendQuestions, UnsureCall
from chat_platform.values.ids import AccountId, CallId

HOUR = 3600


class Clock:
    now = 1.0

    def __call__(self) -> float:
        return self.now


def _call(name: str, account: str = "alice") -> UnsureCall:
    return UnsureCall(CallId(name), AccountId(account), 0, "estimated")


def _ask(questions: SpendQuestions, *calls: UnsureCall) -> set[str]:
    due = questions.due(calls)
    for asked in due.values():
        questions.asked(asked)
    return {call.id for asked in due.values() for call in asked}


def test_two_days_of_asking_every_30_seconds_are_some_dozens_of_questions():
    clock = Clock()
    questions = SpendQuestions(clock)
    asked = 0
    for _ in range(48 * HOUR // 30):
        asked += len(_ask(questions, _call("a")))
        clock.now += 30

    assert 48 <= asked < 70


def test_a_new_call_is_asked_about_at_once_and_in_the_next_minute():
    clock = Clock()
    questions = SpendQuestions(clock)
    first = _ask(questions, _call("a"))
    clock.now += 30

    assert first == {"a"}
    assert _ask(questions, _call("a"), _call("b")) == {"a", "b"}


def test_what_is_due_soon_comes_along_and_the_rest_does_not():
    clock = Clock()
    questions = SpendQuestions(clock)
    old = _call("old")
    for _ in range(10):
        _ask(questions, old)
        clock.now += HOUR
    _ask(questions, old)
    clock.now += 60

    assert _ask(questions, old, _call("new")) == {"new"}
    clock.now += HOUR * 0.6
    assert _ask(questions, old, _call("newer")) >= {"old", "newer"}


def test_many_accounts_have_their_turn_one_pass_after_the_other():
    questions = SpendQuestions(Clock())
    calls = [_call(f"{n}", f"account-{n}") for n in range(2 * MAX_ACCOUNTS + 1)]

    passes = [len(_ask(questions, *calls)) for _ in range(4)]

    assert passes == [MAX_ACCOUNTS, MAX_ACCOUNTS, 1, 0]


def test_what_is_sure_now_is_forgotten():
    questions = SpendQuestions(Clock())
    _ask(questions, _call("a"))

    _ask(questions, _call("b"))

    assert _ask(questions, _call("a")) == {"a"}
