"""Long conversations, written straight into the database."""

from sqlalchemy import Connection, insert

from chat_platform.conversations.conversations import ensure_default
from chat_platform.models import Message, Turn
from chat_platform.values.ids import AccountId, TurnId, new_id

NOON_MS = 1_790_000_000_000
DAY_MS = 86_400_000
ANSWER = """\
Answer {number}. The quick method keeps **one** small piece of text live and freezes the rest.

1. It reads what came.
2. It shows what is new, with `code` where there is some.

The rest stays as it is, however long the conversation has become by now.
"""


def fill_history(
    connection: Connection, account_id: AccountId, *, messages: int, a_day: int = 20
) -> list[str]:
    """Add this many messages, alternating questions and answers; return their ids, oldest first.

    Their texts begin with "Question N" and "Answer N", N from 1.
    """
    conversation_id = ensure_default(connection, account_id)
    shared = {"account_id": account_id, "conversation_id": conversation_id}
    turn_rows, message_rows = [], []
    for number in range(1, messages // 2 + 1):
        turn_id = TurnId(new_id())
        days_ago = (messages - 2 * number) // a_day
        at_ms = NOON_MS - days_ago * DAY_MS + (number % (a_day // 2)) * 60_000
        turn_rows.append(_turn(turn_id, at_ms, **shared))
        question = _message(turn_id, "user", f"Question {number}: and then?", at_ms, **shared)
        answer = _message(turn_id, "assistant", ANSWER.format(number=number), at_ms, **shared)
        message_rows += [question, answer]
    connection.execute(insert(Turn), turn_rows)
    connection.execute(insert(Message), message_rows)
    return [row["id"] for row in message_rows]


def _turn(turn_id: TurnId, at_ms: int, **shared: str) -> dict[str, object]:
    turn = Turn(
        id=turn_id,
        status="finished",
        owner="nobody",
        lease_until_ms=0,
        is_known_to_agent=True,
        created_at_ms=at_ms,
        ended_at_ms=at_ms + 2000,
        **shared,  # pyright: ignore[reportArgumentType]
    )
    return turn.model_dump()


def _message(
    turn_id: TurnId, role: str, content: str, at_ms: int, **shared: str
) -> dict[str, object]:
    message = Message(
        turn_id=turn_id,
        role=role,
        content=content,
        created_at_ms=at_ms,
        **shared,  # pyright: ignore[reportArgumentType]
    )
    return message.model_dump(exclude={"position"})
