"""With Redis configured here but not in Letta, runs work as they do without."""

import pytest
from letta_client import AsyncLetta
from pydantic import SecretStr

from chat_platform.adapters.letta.runtime import LettaRuntime
from chat_platform.errors import Unavailable
from chat_platform.ports import TextPiece
from chat_platform.settings import Settings
from chat_platform.values.ids import AccountId
from tests.contract.scripted_model import ScriptedModel

pytestmark = pytest.mark.chain


async def test_a_letta_without_redis_still_answers_and_gets_the_message_once(
    letta_client: AsyncLetta, letta_settings: Settings, alice_id: AccountId, model: ScriptedModel
):
    update = {"redis_url": SecretStr("redis://127.0.0.1:6379")}
    agents = LettaRuntime(letta_client, letta_settings.model_copy(update=update))
    agent = await agents.ensure_agent(alice_id, None, person_name="Alice")

    events = [event async for event in agents.run(agent.agent_id, "Hello")]

    said = "".join(event.text for event in events if isinstance(event, TextPiece))
    (call,) = model.chats_of(agent.agent_id)
    assert said == "Hello."
    assert [m["role"] for m in call.body["messages"]] == ["system", "user"]
    with pytest.raises(Unavailable):
        await anext(agents.resume(agent.agent_id, "run-of-another-process"))
