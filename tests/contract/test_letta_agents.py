"""Agents on the real Letta are created once, follow the settings, and leave no trace."""

import asyncio

import pytest
from letta_client import AsyncLetta

from chat_platform.adapters.letta.config import BEING_DELETED, AgentPlan, account_tags
from chat_platform.adapters.letta.memory import LettaMemory
from chat_platform.adapters.letta.runtime import LettaRuntime
from chat_platform.errors import PlatformError, Unavailable
from chat_platform.settings import Settings
from chat_platform.values.ids import AccountId, AgentId
from tests.contract.conftest import LettaServer
from tests.contract.scripted_model import CallsTool, Says, ScriptedModel

pytestmark = [pytest.mark.chain, pytest.mark.slow]


@pytest.fixture
async def agent(agents: LettaRuntime, alice_id: AccountId) -> AgentId:
    return (await agents.ensure_agent(alice_id, None, person_name="Alice")).agent_id


def with_settings(letta_client: AsyncLetta, settings: Settings, **changes: str) -> LettaRuntime:
    """Return the runtime of a server restarted with other settings."""
    return LettaRuntime(letta_client, settings.model_copy(update=changes))


async def say(agents: LettaRuntime, agent_id: AgentId, text: str = "Hello") -> None:
    async for _ in agents.run(agent_id, text):
        pass


async def ids_of(letta_client: AsyncLetta, account_id: AccountId) -> list[str]:
    page = await letta_client.agents.list(tags=account_tags(account_id), match_all_tags=True)
    return [agent.id for agent in page.items]


async def test_an_agent_is_made_once_and_without_a_model(
    agents: LettaRuntime, letta_client: AsyncLetta, alice_id: AccountId, model: ScriptedModel
):
    made = await agents.ensure_agent(alice_id, None, person_name="Alice")
    again = await agents.ensure_agent(alice_id, None, person_name="Alice")

    assert again.agent_id == made.agent_id
    assert await ids_of(letta_client, alice_id) == [made.agent_id]
    assert (made.model, model.calls, model.strays) == ("scripted-chat", [], [])


async def test_an_agent_knows_its_persons_name_and_has_its_tools(
    agent: AgentId, letta_client: AsyncLetta, memories: LettaMemory
):
    made = await letta_client.agents.retrieve(agent, include=["agent.tools"])

    blocks = {block.label: block for block in await memories.blocks(agent)}
    assert (blocks["human"].value, blocks["human"].limit) == ("Name: Alice", 4000)
    assert blocks["persona"].value
    assert {tool.name for tool in made.tools} >= {
        "archival_memory_insert",
        "archival_memory_search",
        "conversation_search",
        "memory_insert",
        "memory_replace",
    }


async def test_an_agent_that_was_left_half_made_is_found_and_finished(
    letta_client: AsyncLetta, letta_settings: Settings, alice_id: AccountId, model: ScriptedModel
):
    plan = AgentPlan.of(letta_settings)
    half = await letta_client.agents.create(**plan.new_agent(alice_id, "Alice"))

    agents = LettaRuntime(letta_client, letta_settings)
    state = await agents.ensure_agent(alice_id, None, person_name="Alice")
    await say(agents, state.agent_id)

    assert state.agent_id == half.id
    assert len(model.chats_of(half.id)) == 1


async def test_of_two_agents_made_at_once_the_recorded_one_stays(
    letta_client: AsyncLetta, letta_settings: Settings, alice_id: AccountId, letta: LettaServer
):
    processes = [LettaRuntime(letta_client, letta_settings) for _ in range(2)]
    first, second = await asyncio.gather(
        *(process.ensure_agent(alice_id, None, person_name="Alice") for process in processes)
    )

    for process in processes:
        await process.ensure_agent(alice_id, second.agent_id, person_name="Alice")

    fresh = LettaRuntime(letta_client, letta_settings)
    await fresh.ensure_agent(alice_id, second.agent_id, person_name="Alice")
    assert await ids_of(letta_client, alice_id) == [second.agent_id]
    if first.agent_id != second.agent_id:
        assert traces_of(letta, first.agent_id, []) == {}


async def test_a_steady_agent_costs_no_request(
    letta_client: AsyncLetta, letta_settings: Settings, alice_id: AccountId
):
    agents = LettaRuntime(letta_client, letta_settings)
    made = await agents.ensure_agent(alice_id, None, person_name="Alice")
    await letta_client.close()

    assert await agents.ensure_agent(alice_id, made.agent_id, person_name="Alice") == made


@pytest.mark.parametrize(
    ("change", "host", "name"),
    [
        ({"backend_base_url": "http://localhost:{port}"}, "localhost", "scripted-chat"),
        ({"chat_model": "another-chat"}, "127.0.0.1", "another-chat"),
    ],
)
async def test_an_agent_follows_the_settings(
    letta_client: AsyncLetta,
    letta_settings: Settings,
    alice_id: AccountId,
    agent: AgentId,
    model: ScriptedModel,
    change: dict[str, str],
    host: str,
    name: str,
):
    port = model.url.rpartition(":")[2]
    changes = {key: value.format(port=port) for key, value in change.items()}
    restarted = with_settings(letta_client, letta_settings, **changes)

    state = await restarted.ensure_agent(alice_id, agent, person_name="Alice")
    await say(restarted, state.agent_id)

    (call,) = model.chats_of(agent)
    assert state.agent_id == agent
    assert call.host.startswith(host)
    assert call.body["model"] == name
    assert model.strays == []


async def test_another_embedding_model_embeds_the_archive_anew(
    letta_client: AsyncLetta,
    letta_settings: Settings,
    memories: LettaMemory,
    alice_id: AccountId,
    agent: AgentId,
    model: ScriptedModel,
):
    for text in ("The bike is red.", "The car is blue.", "The cat is grey."):
        await memories.add_passage(agent, text)
    before = await memories.passages(agent)

    restarted = with_settings(letta_client, letta_settings, embedding_model="another-embedding")
    await restarted.ensure_agent(alice_id, agent, person_name="Alice")

    after = await memories.passages(agent)
    found = await memories.passages(agent, query="what colour has the cat", limit=1)
    assert [(p.text, p.created_at_ms) for p in after] == [(p.text, p.created_at_ms) for p in before]
    assert [p.text for p in found] == ["The cat is grey."]
    assert {c.body["model"] for c in model.calls[3:]} == {"another-embedding"}


async def test_an_interrupted_embedding_loses_and_doubles_nothing(
    letta_client: AsyncLetta,
    letta_settings: Settings,
    memories: LettaMemory,
    alice_id: AccountId,
    agent: AgentId,
    letta: LettaServer,
):
    texts = ["The bike is red.", "The car is blue.", "The cat is grey."]
    for text in texts:
        await memories.add_passage(agent, text)
    plan = AgentPlan.of(letta_settings.model_copy(update={"embedding_model": "another-embedding"}))
    await letta_client.agents.update(agent, **plan.configuration(agent))
    # Killed between the copy of the oldest passage and the deletion of its original.
    oldest = (await letta_client.agents.passages.list(agent, ascending=True, limit=1))[0]
    await letta_client.agents.passages.create(agent, text=oldest.text, created_at=oldest.created_at)

    restarted = with_settings(letta_client, letta_settings, embedding_model="another-embedding")
    await restarted.ensure_agent(alice_id, agent, person_name="Alice")

    models = letta.rows(
        "select p.embedding_config->>'embedding_model' from archival_passages p"
        " join archives_agents a using (archive_id) where a.agent_id = %s",
        agent,
    )
    assert [p.text for p in await memories.passages(agent)] == texts[::-1]
    assert models == [("another-embedding",)] * 3


async def test_an_archive_that_cannot_be_embedded_keeps_its_texts_and_the_agent_talks(
    letta_client: AsyncLetta,
    letta_settings: Settings,
    memories: LettaMemory,
    alice_id: AccountId,
    agent: AgentId,
    model: ScriptedModel,
):
    await memories.add_passage(agent, "The bike is red.")
    model.are_embeddings_down = True

    restarted = with_settings(letta_client, letta_settings, embedding_model="another-embedding")
    await restarted.ensure_agent(alice_id, agent, person_name="Alice")
    await say(restarted, agent)

    assert [p.text for p in await memories.passages(agent)] == ["The bike is red."]
    assert len(model.chats_of(agent)) == 1


async def test_a_deleted_agent_leaves_nothing_behind(
    agents: LettaRuntime,
    memories: LettaMemory,
    agent: AgentId,
    model: ScriptedModel,
    letta: LettaServer,
):
    model.will(CallsTool("archival_memory_insert", {"content": "The bike is red."}), Says("Kept."))
    await say(agents, agent, "Remember my bike")
    owned = owned_by(letta, agent)
    assert len(owned) == 3

    await agents.delete_agent(agent)
    await agents.delete_agent(agent)

    assert traces_of(letta, agent, owned) == {}


async def test_a_half_deleted_agent_is_replaced(
    letta_client: AsyncLetta, letta_settings: Settings, alice_id: AccountId, agent: AgentId
):
    await letta_client.agents.update(agent, metadata={BEING_DELETED: True})
    blocks = await letta_client.agents.blocks.list(agent)
    await letta_client.blocks.delete(blocks.items[0].id)

    restarted = with_settings(letta_client, letta_settings)
    state = await restarted.ensure_agent(alice_id, agent, person_name="Alice")

    assert state.agent_id != agent
    assert await ids_of(letta_client, alice_id) == [state.agent_id]


async def test_no_agent_server_is_told_as_unavailable(
    letta_settings: Settings, alice_id: AccountId
):
    nowhere = AsyncLetta(base_url="http://127.0.0.1:9", api_key="x", max_retries=0)
    agents = LettaRuntime(nowhere, letta_settings)

    with pytest.raises(Unavailable) as failed:
        await agents.ensure_agent(alice_id, None, person_name="Alice")
    with pytest.raises(Unavailable):
        await agents.check()

    assert failed.value.code == "agent_unavailable"
    await nowhere.close()


async def test_a_wrong_key_for_the_agent_server_is_told_as_unavailable(
    letta: LettaServer, letta_settings: Settings, alice_id: AccountId
):
    async with AsyncLetta(base_url=letta.base_url, api_key="wrong", max_retries=0) as letta_client:
        with pytest.raises(PlatformError) as failed:
            await LettaRuntime(letta_client, letta_settings).ensure_agent(
                alice_id, None, person_name=""
            )

    assert failed.value.code == "agent_unavailable"


def owned_by(letta: LettaServer, agent_id: str) -> list[str]:
    """Return the ids of the agent's blocks and archives."""
    blocks = letta.rows("select block_id from blocks_agents where agent_id = %s", agent_id)
    archives = letta.rows("select archive_id from archives_agents where agent_id = %s", agent_id)
    return [row[0] for row in blocks + archives]


def traces_of(letta: LettaServer, agent_id: str, owned: list[str]) -> dict[str, int]:
    """Return how many rows in each of Letta's tables still belong to the agent."""
    named = letta.rows(
        "select table_name, column_name from information_schema.columns"
        " where table_schema = 'public' and column_name in ('agent_id', 'archive_id', 'block_id')"
    )
    found: dict[str, int] = {}
    for table, column in [*named, ("agents", "id"), ("block", "id"), ("archives", "id")]:
        query = f"select count(*) from {table} where {column} = any(%s)"
        ((rows,),) = letta.rows(query, [agent_id, *owned])
        if rows:
            found[table] = rows
    return found
