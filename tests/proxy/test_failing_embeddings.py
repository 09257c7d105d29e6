import pytest

from chat_platform.proxy.failing_embeddings import (
    FIRST_PAUSE_SECONDS,
    MAX_PAUSE_SECONDS,
    MAX_REMEMBERED,
    FailingEmbeddings,
)
from chat_platform.proxy.problems import Problem
from chat_platform.values.ids import AgentId

ALICE = AgentId("agent-alice")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _is_paused(failing: FailingEmbeddings, agent_id: AgentId = ALICE) -> bool:
    try:
        failing.refuse_paused(agent_id, "m")
    except Problem:
        return True
    return False


def test_each_failure_doubles_the_pause_up_to_a_limit():
    clock = Clock()
    failing = FailingEmbeddings(clock)
    pause = FIRST_PAUSE_SECONDS
    for _ in range(8):
        failing.failed(ALICE, "m")
        clock.now += pause - 0.1
        assert _is_paused(failing)
        clock.now += 0.2
        assert not _is_paused(failing)
        pause = min(MAX_PAUSE_SECONDS, pause * 2)


def test_a_success_ends_the_pause():
    failing = FailingEmbeddings(Clock())
    failing.failed(ALICE, "m")

    failing.succeeded(ALICE, "m")

    assert not _is_paused(failing)


def test_other_agents_are_not_paused():
    failing = FailingEmbeddings(Clock())

    failing.failed(ALICE, "m")

    assert not _is_paused(failing, AgentId("agent-bob"))


def test_the_refusal_says_when_to_come_back():
    failing = FailingEmbeddings(Clock())
    failing.failed(ALICE, "m")

    with pytest.raises(Problem) as raised:
        failing.refuse_paused(ALICE, "m")

    assert raised.value.retry_after_seconds == FIRST_PAUSE_SECONDS + 1


def test_of_more_failures_than_are_remembered_the_oldest_are_forgotten():
    failing = FailingEmbeddings(Clock())
    for number in range(MAX_REMEMBERED + 1):
        failing.failed(AgentId(f"agent-{number}"), "m")

    assert not _is_paused(failing, AgentId("agent-0"))
    assert _is_paused(failing, AgentId("agent-1"))
    assert _is_paused(failing, AgentId(f"agent-{MAX_REMEMBERED}"))
