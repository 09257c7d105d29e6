"""The history pages without gaps or duplicates, at any depth, for its own person only."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from chat_platform.context import AppContext
from chat_platform.conversations.conversations import ensure_default
from chat_platform.conversations.export import export
from chat_platform.conversations.history import (
    MAX_PAGE_CHARACTERS,
    count_messages,
    history_page,
    messages_after,
    page_query,
)
from chat_platform.database.engine import reading
from chat_platform.errors import Invalid
from chat_platform.models import Message
from chat_platform.values.ids import MessageId
from tests.people import Person, new_person
from tests.turn_rows import add_messages, add_turn, conversation_of


@settings(max_examples=15)
@given(count=st.integers(0, 30), limit=st.integers(1, 12))
async def test_pages_follow_each_other_without_gaps_or_doubles(
    ctx: AppContext, count: int, limit: int
):
    person = await new_person(ctx, f"Person-{count}-{limit}-{await _people(ctx)}")
    stored = await add_messages(ctx, person.id, [f"message {n}" for n in range(count)])

    seen: list[Message] = []
    before: MessageId | None = None
    while True:
        page = await history_page(ctx, person.id, limit=limit, before=before)
        seen = [*page.messages, *seen]
        before = page.next_before
        if before is None:
            break

    assert [message.id for message in seen] == [message.id for message in stored]


async def _people(ctx: AppContext) -> int:
    async with reading(ctx.engine) as session:
        return (await session.execute(text("select count(*) from accounts"))).scalar_one()


async def test_pages_of_very_long_messages_are_short_and_leave_nothing_out(
    ctx: AppContext, alice: Person
):
    stored = await add_messages(ctx, alice.id, ["x" * 150_000] * 15)

    last = await history_page(ctx, alice.id, limit=50)
    first = await history_page(ctx, alice.id, limit=50, before=last.next_before)
    onwards = await messages_after(ctx, alice.id, stored[0].id, limit=50)

    assert sum(len(message.content) for message in last.messages) <= MAX_PAGE_CHARACTERS
    assert [m.id for m in (*first.messages, *last.messages)][-12:] == [m.id for m in stored[3:]]
    assert [m.id for m in onwards] == [m.id for m in stored[1:7]]


async def test_a_person_without_messages_has_an_empty_history(ctx: AppContext, alice: Person):
    page = await history_page(ctx, alice.id)

    assert page.messages == []
    assert page.next_before is None


async def test_bobs_message_is_no_cursor_for_alice(ctx: AppContext, alice: Person, bob: Person):
    await add_messages(ctx, alice.id, ["hers"])
    (his,) = await add_messages(ctx, bob.id, ["his"])

    with pytest.raises(Invalid) as caught:
        await history_page(ctx, alice.id, before=his.id)

    assert caught.value.code == "bad_cursor"


async def test_messages_are_counted_per_person(ctx: AppContext, alice: Person, bob: Person):
    await add_messages(ctx, alice.id, ["one", "two", "three"])
    await add_messages(ctx, bob.id, ["one"])

    assert await count_messages(ctx, alice.id) == 3


async def test_a_page_of_a_long_history_is_read_from_the_index_alone(
    ctx: AppContext, alice: Person
):
    await add_messages(ctx, alice.id, ["x"] * 500)
    conversation_id = await conversation_of(ctx, alice.id)
    condition = Message.position < 250  # type: ignore[operator]
    query = page_query(conversation_id, condition).limit(51)  # type: ignore[arg-type]
    sql = str(query.compile(ctx.engine.sync_engine, compile_kwargs={"literal_binds": True}))

    plan = await _plan(ctx, sql)

    assert "ix_messages_conversation" in plan
    assert "sort" not in plan.lower()
    assert "temp b-tree" not in plan.lower()


async def _plan(ctx: AppContext, sql: str) -> str:
    is_postgres = ctx.engine.dialect.name == "postgresql"
    async with reading(ctx.engine) as session:
        if is_postgres:
            # Such a small table is scanned whatever the indexes.
            await session.execute(text("set local enable_seqscan = off"))
            await session.execute(text("set local enable_bitmapscan = off"))
        explain = "explain " if is_postgres else "explain query plan "
        rows = (await session.execute(text(explain + sql))).all()
    return "\n".join(str(row) for row in rows)


async def test_the_default_conversation_is_made_once(ctx: AppContext, alice: Person):
    first = await ctx.writer.write(lambda c: ensure_default(c, alice.id))

    second = await ctx.writer.write(lambda c: ensure_default(c, alice.id))

    assert first == second


async def test_the_export_as_json_has_every_message_in_order(ctx: AppContext, alice: Person):
    await add_messages(ctx, alice.id, [f'message {n}\n"quoted" да' for n in range(1203)])

    written = "".join([part async for part in export(ctx, alice.id, format_="json")])

    contents = [message["content"] for message in json.loads(written)["messages"]]
    assert contents == [f'message {n}\n"quoted" да' for n in range(1203)]


async def test_the_export_as_markdown_reads_as_a_conversation(ctx: AppContext, alice: Person):
    await add_messages(ctx, alice.id, ["How are you?", "Fine."])

    written = "".join([part async for part in export(ctx, alice.id, format_="markdown")])

    assert written.startswith("# Conversation\n\n## You · ")
    assert "\n\nHow are you?\n\n## Agent · " in written
    assert written.endswith("\n\nFine.\n")


async def test_an_empty_history_is_exported_as_valid_json(ctx: AppContext, bob: Person):
    await add_turn(ctx, bob.id, status="finished")

    written = "".join([part async for part in export(ctx, bob.id, format_="json")])

    assert json.loads(written)["messages"] == []
