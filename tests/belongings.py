"""One of everything with an id that a person can own, for tests of who may reach it."""

from chat_platform.accounts import access_tokens, api_tokens
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import Agent, Conversation, Message, Turn
from chat_platform.values.ids import AgentId
from tests.fakes import FakeMemory
from tests.people import Person

SECRET = "a secret of this person"


async def belongings_of(ctx: AppContext, memory: FakeMemory, person: Person) -> dict[str, str]:
    """Give the person one of everything; return the ids by the names that doors use."""
    agent = Agent(account_id=person.id, agent_id=AgentId(f"agent-{person.id}"))
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
    terms = api_tokens.terms_of("t", ["chat"])
    token = await api_tokens.make_token(ctx, person.id, terms)
    passage = await memory.add_passage(agent.agent_id, SECRET)
    return {
        "account_id": person.id,
        "turn_id": turn.id,
        "message_id": message.id,
        "token_id": token.row.id,
        "sign_in_id": access_tokens.read(ctx.settings, person.access_token).sign_in_id,
        "passage_id": passage.id,
        "before": message.id,
    }
