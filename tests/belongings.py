"""One of everything that a person can have and that has an id, for tests of who may reach it."""

from chat_platform import access_tokens, api_tokens
from chat_platform.context import AppContext
from chat_platform.db import transaction
from chat_platform.ids import AgentId
from chat_platform.models import Agent, Conversation, Message, Turn
from tests.fakes import FakeMemory
from tests.people import Person

SECRET = "a secret of this person"


async def belongings_of(ctx: AppContext, memory: FakeMemory, person: Person) -> dict[str, str]:
    """Give the person one of everything, and return the ids by the names that doors use."""
    agent = Agent(account_id=person.id, agent_id=f"agent-{person.id}")
    conversation = Conversation(account_id=person.id)
    turn = Turn(
        account_id=person.id,
        conversation_id=conversation.id,
        status="finished",
        owner="tests",
        lease_until_ms=0,
    )
    message = Message(
        account_id=person.id,
        conversation_id=conversation.id,
        turn_id=turn.id,
        role="user",
        content=SECRET,
    )
    async with transaction(ctx.engine) as session:
        session.add_all([agent, conversation])
        await session.flush()
        session.add(turn)
        await session.flush()
        session.add(message)
    token = await api_tokens.make_token(
        ctx, person.id, name="t", scopes=frozenset({"chat"}), expires_in_days=1
    )
    passage = await memory.add_passage(AgentId(agent.agent_id), SECRET)
    return {
        "account_id": person.id,
        "turn_id": turn.id,
        "message_id": message.id,
        "token_id": token.row.id,
        "sign_in_id": access_tokens.read(ctx.settings, person.access_token).sign_in_id,
        "passage_id": passage.id,
        "before": message.id,
    }
