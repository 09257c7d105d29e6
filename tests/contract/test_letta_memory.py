"""Blocks and archives on the real Letta, separate for each agent."""

import pytest

from chat_platform.adapters.letta.memory import LettaMemory
from chat_platform.adapters.letta.runtime import LettaRuntime
from chat_platform.errors import NotFound
from chat_platform.values.ids import AccountId, AgentId
from tests.contract.scripted_model import ScriptedModel

pytestmark = [pytest.mark.chain, pytest.mark.slow]


@pytest.fixture
async def agent(agents: LettaRuntime, alice_id: AccountId) -> AgentId:
    return (await agents.ensure_agent(alice_id, None, person_name="Alice")).agent_id


@pytest.fixture
async def bobs_agent(agents: LettaRuntime, bob_id: AccountId) -> AgentId:
    return (await agents.ensure_agent(bob_id, None, person_name="Bob")).agent_id


async def test_a_written_block_is_in_the_next_prompt(
    agents: LettaRuntime, memories: LettaMemory, agent: AgentId, model: ScriptedModel
):
    async for _ in agents.run(agent, "Hello"):
        pass

    written = await memories.write_block(agent, "human", "Name: Алиса. Likes tea.")

    async for _ in agents.run(agent, "Who am I?"):
        pass

    assert written.value == "Name: Алиса. Likes tea."
    assert "Name: Алиса. Likes tea." in model.chats_of(agent)[1].body["messages"][0]["content"]


async def test_an_unknown_block_is_not_found(memories: LettaMemory, agent: AgentId):
    with pytest.raises(NotFound):
        await memories.write_block(agent, "secrets", "x")


async def test_passages_page_newest_first_without_gaps(memories: LettaMemory, agent: AgentId):
    added = [await memories.add_passage(agent, f"Passage {number}") for number in range(5)]

    first = await memories.passages(agent, limit=2)
    second = await memories.passages(agent, limit=2, before=first[-1].id)
    third = await memories.passages(agent, limit=2, before=second[-1].id)

    assert first + second + third == added[::-1]


async def test_passages_are_found_by_meaning(
    memories: LettaMemory, agent: AgentId, model: ScriptedModel
):
    for text in ("The bike is red.", "The car is blue."):
        await memories.add_passage(agent, text)

    found = await memories.passages(agent, query="which bike", limit=1)

    assert [passage.text for passage in found] == ["The bike is red."]
    assert {call.kind for call in model.calls} == {"embeddings"}
    assert {call.agent_id for call in model.calls} == {agent}


async def test_passages_and_messages_are_counted_without_a_model(
    agents: LettaRuntime, memories: LettaMemory, agent: AgentId, model: ScriptedModel
):
    await memories.add_passage(agent, "The bike is red.")
    async for _ in agents.run(agent, "Hello"):
        pass
    calls = len(model.calls)

    passages, messages = await memories.count(agent)

    assert (passages, messages) == (1, 3)
    assert len(model.calls) == calls


async def test_a_deleted_passage_is_gone(memories: LettaMemory, agent: AgentId):
    passage = await memories.add_passage(agent, "The bike is red.")

    await memories.delete_passage(agent, passage.id)

    assert await memories.passages(agent) == []
    with pytest.raises(NotFound):
        await memories.delete_passage(agent, passage.id)


async def test_bobs_agent_cannot_delete_or_see_alices_passage(
    memories: LettaMemory, agent: AgentId, bobs_agent: AgentId
):
    hers = await memories.add_passage(agent, "Alice's secret")
    await memories.add_passage(bobs_agent, "Bob's own")

    with pytest.raises(NotFound):
        await memories.delete_passage(bobs_agent, hers.id)

    assert await memories.passages(agent) == [hers]
    assert [p.text for p in await memories.passages(bobs_agent)] == ["Bob's own"]
    assert [p.text for p in await memories.passages(bobs_agent, query="secret")] == ["Bob's own"]


@pytest.mark.parametrize("passage_id", ["nonsense", "passage-00000000-0000-4000-8000-000000000000"])
async def test_an_unknown_passage_is_not_found(
    memories: LettaMemory, agent: AgentId, passage_id: str
):
    await memories.add_passage(agent, "The bike is red.")

    with pytest.raises(NotFound):
        await memories.delete_passage(agent, passage_id)
