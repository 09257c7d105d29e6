"""The log is durable before it is shown, and any number of readers follow it."""

import asyncio

import pytest
from sqlalchemy import delete, update
from sqlmodel import col

from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import Turn
from chat_platform.ports import StepChanged, TextPiece
from chat_platform.turns import event_log
from chat_platform.turns.event_log import TurnTaken
from chat_platform.turns.events import TurnEvent, merge_text, text_of
from chat_platform.turns.recorder import TurnRecorder
from chat_platform.values.ids import TurnId
from tests.people import Person
from tests.turn_rows import add_turn

END = TurnEvent(100, "turn.completed", {"usage": {}})


@pytest.fixture
async def turn_id(ctx: AppContext, alice: Person) -> TurnId:
    turn = await add_turn(ctx, alice.id)
    await event_log.append(ctx, turn.id, [TurnEvent(1, "turn.started", {})])
    return turn.id


async def reader_of(ctx: AppContext, turn_id: TurnId) -> asyncio.Task[list[int]]:
    """Return a reader of the events' numbers that has read the first and is waiting for news."""
    has_begun = asyncio.Event()

    async def read() -> list[int]:
        numbers: list[int] = []
        async for event in event_log.follow(ctx, turn_id):
            numbers.append(event.number)
            has_begun.set()
        return numbers

    reader = asyncio.create_task(read())
    await has_begun.wait()
    return reader


async def test_two_readers_see_the_same_from_the_first_event_to_the_end(
    ctx: AppContext, turn_id: TurnId
):
    readers = [await reader_of(ctx, turn_id) for _ in range(2)]

    await event_log.append(ctx, turn_id, [TurnEvent(4, "message.delta", {"text": "abc"})])
    await event_log.append(ctx, turn_id, [TurnEvent(5, "turn.completed", {})])

    assert await asyncio.gather(*readers) == [[1, 4, 5], [1, 4, 5]]


async def test_a_late_reader_gets_the_rest_of_the_piece_that_it_broke_off_in(
    ctx: AppContext, turn_id: TurnId
):
    piece = TurnEvent(7, "message.delta", {"text": "abcdef"})
    await event_log.append(ctx, turn_id, [piece, TurnEvent(8, "turn.completed", {})])

    events = [event async for event in event_log.follow(ctx, turn_id, after=5)]

    assert [event.data for event in events] == [{"text": "ef"}, {}]


async def test_a_reader_that_was_only_woken_finds_the_news_in_the_log(
    ctx: AppContext, turn_id: TurnId
):
    reader = await reader_of(ctx, turn_id)
    more = [TurnEvent(2, "step", {}), TurnEvent(3, "turn.completed", {})]
    await ctx.writer.write(lambda c: event_log.insert_events(c, turn_id, more))

    ctx.turn_feed.wake(turn_id)

    assert await reader == [1, 2, 3]


async def test_a_reader_whose_news_has_a_gap_fills_it_from_the_log(
    ctx: AppContext, turn_id: TurnId
):
    reader = await reader_of(ctx, turn_id)
    missed, last = TurnEvent(2, "step", {}), TurnEvent(3, "turn.completed", {})
    await ctx.writer.write(lambda c: event_log.insert_events(c, turn_id, [missed, last]))

    ctx.turn_feed.wake(turn_id, [last])

    assert await reader == [1, 2, 3]


async def test_following_ends_when_the_turn_is_deleted(ctx: AppContext, turn_id: TurnId):
    reader = await reader_of(ctx, turn_id)
    async with transaction(ctx.engine) as session:
        await session.execute(delete(Turn).where(col(Turn.id) == turn_id))

    ctx.turn_feed.wake(turn_id)

    assert await reader == [1]


@pytest.mark.parametrize("change", [{"status": "finished"}, {"owner": "another process"}])
async def test_nobody_appends_to_a_turn_that_is_over_or_anothers(
    ctx: AppContext, turn_id: TurnId, change: dict[str, str]
):
    statement = update(Turn).where(col(Turn.id) == turn_id).values(**change)
    await ctx.writer.write(lambda c: c.execute(statement) and None)

    with pytest.raises(TurnTaken):
        await event_log.append(ctx, turn_id, [END])

    assert [event.number for event in await event_log.read(ctx, turn_id)] == [1]


async def test_compaction_keeps_the_log_for_a_reader_at_any_number(
    ctx: AppContext, turn_id: TurnId
):
    text = [TurnEvent(number, "message.delta", {"text": "é"}) for number in range(2, 40)]
    await event_log.append(ctx, turn_id, [*text, TurnEvent(40, "turn.completed", {})])
    before = {n: merge_text(await event_log.read(ctx, turn_id, after=n)) for n in range(41)}

    await ctx.writer.write(lambda c: event_log.compact(c, turn_id, event_log.read_all(c, turn_id)))

    assert len(await event_log.read(ctx, turn_id)) == 3
    for number, events in before.items():
        follow = event_log.follow(ctx, turn_id, after=number)
        assert not events or merge_text([event async for event in follow]) == events


async def test_text_that_comes_fast_is_logged_in_few_pieces(ctx: AppContext, turn_id: TurnId):
    logged = await event_log.read(ctx, turn_id)

    async with TurnRecorder(ctx, turn_id, logged=logged) as recorder:
        for _ in range(1000):
            recorder.record(TextPiece("word "))
            await asyncio.sleep(0)
        await recorder.flush()

    events = await event_log.read(ctx, turn_id)
    assert text_of(events) == "word " * 1000
    assert len(events) < 20


async def test_what_no_database_can_hold_is_replaced(ctx: AppContext, turn_id: TurnId):
    logged = await event_log.read(ctx, turn_id)

    async with TurnRecorder(ctx, turn_id, logged=logged) as recorder:
        recorder.record(TextPiece("a\0b\ud83dc"))
        recorder.record(StepChanged("tool_call", "search", "done", "x\0y"))

    text, step = (await event_log.read(ctx, turn_id))[1:]
    assert text.data["text"] == "a\ufffdb?c"
    assert step.data["detail"] == "x\ufffdy"


async def test_steps_and_text_keep_their_order(ctx: AppContext, turn_id: TurnId):
    logged = await event_log.read(ctx, turn_id)

    async with TurnRecorder(ctx, turn_id, logged=logged) as recorder:
        recorder.record(TextPiece("a"))
        recorder.record(StepChanged("tool_call", "search", "started"))
        recorder.record(TextPiece("b"))
        recorder.record(TextPiece("c"))

    events = await event_log.read(ctx, turn_id)
    assert [(event.number, event.type) for event in events] == [
        (1, "turn.started"),
        (2, "message.delta"),
        (3, "step"),
        (5, "message.delta"),
    ]


async def test_a_run_that_is_taken_over_is_not_recorded_twice(ctx: AppContext, turn_id: TurnId):
    step = StepChanged("tool_call", "search", "started")
    run = [TextPiece("Hello "), step, TextPiece("wor"), TextPiece("ld")]
    async with TurnRecorder(
        ctx, turn_id, logged=await event_log.read(ctx, turn_id)
    ) as first_process:
        for event in run[:3]:
            first_process.record(event)

    async with TurnRecorder(ctx, turn_id, logged=await event_log.read(ctx, turn_id)) as second:
        for event in run:
            second.record(event)

    events = await event_log.read(ctx, turn_id)
    assert text_of(events) == "Hello world"
    assert sum(event.type == "step" for event in events) == 1


async def test_a_recorder_whose_turn_was_taken_says_so(ctx: AppContext, turn_id: TurnId):
    statement = update(Turn).where(col(Turn.id) == turn_id).values(owner="another process")
    await ctx.writer.write(lambda c: c.execute(statement) and None)
    logged = await event_log.read(ctx, turn_id)

    async with TurnRecorder(ctx, turn_id, logged=logged) as recorder:
        recorder.record(TextPiece("too late"))
        with pytest.raises(TurnTaken):
            await recorder.flush()
