"""What tests do with turns: send, wait for the end, and check what is stored."""

import asyncio

from chat_platform.context import AppContext
from chat_platform.models import Message, Turn
from chat_platform.turns import control
from chat_platform.turns.events import TurnEvent
from chat_platform.values.ids import TurnId
from tests.people import Person


async def talk(ctx: AppContext, person: Person, text: str = "Hello") -> list[TurnEvent]:
    """Send a message and return all events of its turn."""
    turn_id = await control.start_turn(ctx, person.account, text=text)
    return await events_of(ctx, person, turn_id)


async def events_of(
    ctx: AppContext, person: Person, turn_id: TurnId, *, after: int = 0
) -> list[TurnEvent]:
    """Follow the turn to its end."""
    follow = control.follow(ctx, person.id, turn_id, after=after)
    async with asyncio.timeout(20):
        return [event async for event in follow]


async def until(
    ctx: AppContext, person: Person, turn_id: TurnId, event_type: str
) -> list[TurnEvent]:
    """Follow the turn until the first event of this type has arrived."""
    seen: list[TurnEvent] = []
    async with asyncio.timeout(20):
        async for event in control.follow(ctx, person.id, turn_id):
            seen.append(event)
            if event.type == event_type:
                return seen
    raise AssertionError(f"the turn ended without {event_type}: {seen}")


async def turn_row(ctx: AppContext, person: Person, turn_id: TurnId) -> Turn:
    return (await control.turn_view(ctx, person.id, turn_id)).turn


async def messages_of(ctx: AppContext, person: Person, turn_id: TurnId) -> list[Message]:
    return list((await control.turn_view(ctx, person.id, turn_id)).messages)
