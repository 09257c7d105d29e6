"""A run on the real Letta: what the person sees of it, and how it fails and stops."""

import asyncio
import time

import pytest

from chat_platform.adapters.letta.memory import LettaMemory
from chat_platform.adapters.letta.runtime import LettaRuntime
from chat_platform.errors import (
    BudgetSpent,
    PlatformError,
    RateLimited,
    Unavailable,
    UpstreamFailed,
)
from chat_platform.ports import RunEvent, RunStarted, StepChanged, TextPiece
from chat_platform.values.ids import AccountId, AgentId
from tests.contract.scripted_model import (
    CallsTool,
    Fails,
    Garbage,
    Hangs,
    Says,
    ScriptedModel,
)
from tests.waiting import eventually

pytestmark = pytest.mark.chain


@pytest.fixture
async def agent(agents: LettaRuntime, alice_id: AccountId) -> AgentId:
    return (await agents.ensure_agent(alice_id, None, person_name="Alice")).agent_id


async def events_of(agents: LettaRuntime, agent: AgentId, text: str, note: str = ""):
    return [event async for event in agents.run(agent, text, note=note)]


def text_of(events: list[RunEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextPiece))


async def a_run_that_talks(
    agents: LettaRuntime, agent: AgentId
) -> tuple[list[RunEvent], asyncio.Task[None]]:
    """Start a run; return its events, which grow, and its reading once the first text has come."""
    events: list[RunEvent] = []

    async def read() -> None:
        async for event in agents.run(agent, "Tell me a long story"):
            events.append(event)

    run = asyncio.create_task(read())
    await eventually(lambda: text_of(events) or run.done(), seconds=30)
    return events, run


def steps_of(events: list[RunEvent], kind: str) -> list[StepChanged]:
    return [event for event in events if isinstance(event, StepChanged) and event.kind == kind]


async def test_a_reply_arrives_in_pieces(
    agents: LettaRuntime, agent: AgentId, model: ScriptedModel
):
    model.will(Says("The sky is blue."))

    events = await events_of(agents, agent, "What colour is the sky?")

    assert isinstance(events[0], RunStarted)
    assert text_of(events) == "The sky is blue."
    assert len([event for event in events if isinstance(event, TextPiece)]) == 4
    assert [step.status for step in steps_of(events, "model_call")] == ["started", "done"]


async def test_every_call_names_its_agent_and_has_a_worst_case(
    agents: LettaRuntime, agent: AgentId, model: ScriptedModel
):
    await events_of(agents, agent, "Hello")

    body = model.chats_of(agent)[0].body
    assert body["model"] == "scripted-chat"
    assert body["max_completion_tokens"] == 32_768
    assert model.strays == []


async def test_a_memory_edit_is_a_step_and_is_kept(
    agents: LettaRuntime, memories: LettaMemory, agent: AgentId, model: ScriptedModel
):
    model.will(
        CallsTool("memory_insert", {"label": "human", "new_string": "Likes tea."}), Says("Noted.")
    )

    events = await events_of(agents, agent, "I like tea")

    edit = [(step.name, step.status, step.detail) for step in steps_of(events, "memory_edit")]
    assert edit == [("memory_insert", "started", ""), ("memory_insert", "done", "human")]
    assert text_of(events) == "Noted."
    human = {block.label: block.value for block in await memories.blocks(agent)}["human"]
    assert "Likes tea." in human
    assert "Alice" in human


async def test_a_failing_tool_is_a_failed_step(
    agents: LettaRuntime, agent: AgentId, model: ScriptedModel
):
    model.will(
        CallsTool("memory_insert", {"label": "nothing", "new_string": "x"}), Says("I could not.")
    )

    events = await events_of(agents, agent, "Remember x")

    assert steps_of(events, "memory_edit")[-1].status == "failed"
    assert text_of(events) == "I could not."


async def test_the_agent_stores_in_its_archive_and_finds_it(
    agents: LettaRuntime, agent: AgentId, model: ScriptedModel
):
    model.will(
        CallsTool("archival_memory_insert", {"content": "The bike is red."}),
        CallsTool("archival_memory_search", {"query": "bike"}),
        Says("It is red."),
    )

    events = await events_of(agents, agent, "What colour is my bike?")

    stored, found = steps_of(events, "memory_edit")[-1], steps_of(events, "embedding")[-1]
    assert (stored.name, stored.status) == ("archival_memory_insert", "done")
    assert (found.name, found.status) == ("archival_memory_search", "done")
    assert found.detail == "bike"
    result = model.chats_of(agent)[-1].body["messages"][-1]["content"]
    assert "The bike is red." in result


async def test_a_note_reaches_the_agent_before_the_message(
    agents: LettaRuntime, agent: AgentId, model: ScriptedModel
):
    await events_of(agents, agent, "And now?", note="The last answer was stopped.")

    *_, note, message = model.chats_of(agent)[0].body["messages"]
    assert "The last answer was stopped." in note["content"]
    assert message["content"] == "And now?"


@pytest.mark.parametrize(
    ("failure", "error", "code", "calls"),
    [
        (Fails(401, "invalid_api_key"), UpstreamFailed, "model_failed", 1),
        (Fails(402, "insufficient_quota"), BudgetSpent, "budget_spent", 1),
        (Fails(403, "model_not_allowed"), UpstreamFailed, "model_failed", 1),
        (Fails(404, "agent_not_found"), UpstreamFailed, "model_failed", 1),
        (Fails(429, "rate_limit_exceeded"), RateLimited, "too_many_requests", 3),
        (Fails(500, "server_error"), UpstreamFailed, "model_failed", 3),
        (Fails(503, "server_error"), UpstreamFailed, "model_failed", 3),
        (Garbage(), UpstreamFailed, "model_failed", 1),
        (Says("Half an", is_cut=True), UpstreamFailed, "model_failed", 1),
    ],
)
async def test_each_failure_of_the_model_has_its_code(
    agents: LettaRuntime,
    agent: AgentId,
    model: ScriptedModel,
    failure: Fails | Garbage | Says,
    error: type[PlatformError],
    code: str,
    calls: int,
):
    model.will(*[failure] * 3)

    with pytest.raises(error) as failed:
        await events_of(agents, agent, "Hello")

    assert failed.value.code == code
    assert len(model.chats_of(agent)) == calls


async def test_the_next_message_works_after_a_failure(
    agents: LettaRuntime, agent: AgentId, model: ScriptedModel
):
    model.will(Says("Half an", is_cut=True))
    with pytest.raises(PlatformError):
        await events_of(agents, agent, "Hello")
    model.script.clear()

    model.will(Says("I am back."))
    assert text_of(await events_of(agents, agent, "Again?")) == "I am back."


async def test_a_cancelled_run_ends_within_a_second(
    agents: LettaRuntime, agent: AgentId, model: ScriptedModel
):
    model.will(Says("word " * 200, pause_seconds=0.05))
    events, run = await a_run_that_talks(agents, agent)

    asked_at = time.monotonic()
    await agents.cancel(agent)
    await run

    assert time.monotonic() - asked_at < 1
    assert 0 < text_of(events).count("word") < 40


async def test_a_run_whose_model_is_silent_is_cancelled_too(
    agents: LettaRuntime, agent: AgentId, model: ScriptedModel
):
    model.will(Hangs())
    run = asyncio.create_task(events_of(agents, agent, "Hello?"))
    await model.started.wait()

    asked_at = time.monotonic()
    await agents.cancel(agent)
    events = await run

    assert text_of(events) == ""
    assert time.monotonic() - asked_at < 1


async def test_the_next_message_works_after_a_cancellation(
    agents: LettaRuntime, agent: AgentId, model: ScriptedModel
):
    model.will(Says("word " * 100, pause_seconds=0.05), Says("Yes."))
    _, run = await a_run_that_talks(agents, agent)
    await agents.cancel(agent)
    await run

    assert text_of(await events_of(agents, agent, "Are you there?")) == "Yes."


async def test_cancelling_an_idle_agent_does_nothing(agents: LettaRuntime, agent: AgentId):
    await agents.cancel(agent)


async def test_an_agent_that_is_gone_is_unavailable_and_made_again(
    agents: LettaRuntime, alice_id: AccountId, agent: AgentId, model: ScriptedModel
):
    await agents.delete_agent(agent)

    with pytest.raises(Unavailable) as failed:
        await events_of(agents, agent, "Hello")
    again = await agents.ensure_agent(alice_id, agent, person_name="Alice")

    assert failed.value.code == "agent_unavailable"
    assert again.agent_id != agent
    assert text_of(await events_of(agents, again.agent_id, "Hello")) == "Hello."


@pytest.mark.slow
async def test_a_long_conversation_is_compacted_through_the_agents_own_url(
    agents: LettaRuntime, agent: AgentId, model: ScriptedModel
):
    for number in range(8):
        model.will(Says(f"Answer {number}. " + "blah " * 200))
        await events_of(agents, agent, f"Question {number}? " + "blah " * 200)
    model.will(Says("Nearly full.", prompt_tokens=31_900), Says("A summary of it all."))

    events = await events_of(agents, agent, "One more?")
    events += await events_of(agents, agent, "And on?")

    assert [step.status for step in steps_of(events, "compaction")] == ["started", "done"]
    assert model.strays == []


@pytest.mark.slow
async def test_a_failing_compaction_does_not_leave_the_agents_own_url(
    agents: LettaRuntime, agent: AgentId, model: ScriptedModel
):
    for number in range(8):
        model.will(Says(f"Answer {number}. " + "blah " * 200))
        await events_of(agents, agent, f"Question {number}? " + "blah " * 200)
    model.will(
        Says("Nearly full.", prompt_tokens=31_900),
        Fails(400, "bad_request"),
        Says("A summary of it all."),
    )

    await events_of(agents, agent, "One more?")
    await events_of(agents, agent, "And on?")

    bodies = [str(call.body) for call in model.chats_of(agent)]
    assert any("summary" in body and "One more?" in body for body in bodies)
    assert {call.body["model"] for call in model.chats_of(agent)} == {"scripted-chat"}
    assert model.strays == []
