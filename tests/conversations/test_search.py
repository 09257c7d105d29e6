"""Searching finds words in one's own messages, in Russian and English, and never fails."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, text
from sqlmodel import col, select

from chat_platform.context import AppContext
from chat_platform.conversations.search import (
    SNIPPET_CHARACTERS,
    matches_in_postgres,
    search,
    snippet,
)
from chat_platform.database.engine import reading, transaction
from chat_platform.models import Message
from tests.people import Person
from tests.stalls import TOO_LONG_SECONDS, watched_loop
from tests.turn_rows import add_messages


async def found(ctx: AppContext, person: Person, query: str) -> list[str]:
    return [hit.message.content for hit in await search(ctx, person.id, query=query)]


@pytest.mark.parametrize(
    ("content", "query"),
    [
        ("My cat is called Pixel", "pixel"),
        ("She has two cats", "cat"),
        ("We saw a cat", "cats"),
        ("Мою кошку зовут Муся", "кошка"),
        ("Две кошки спят", "кошку"),
        ("Книги лежат на столе", "книга стол"),
        ("Погуляли по Парижу", "париж"),
    ],
)
async def test_a_word_is_found_in_its_other_forms(
    ctx: AppContext, alice: Person, content: str, query: str
):
    await add_messages(ctx, alice.id, [content, "something else", "другое"])

    assert await found(ctx, alice, query) == [content]


async def test_all_words_must_be_there(ctx: AppContext, alice: Person):
    await add_messages(ctx, alice.id, ["red house", "red car", "blue house"])

    assert await found(ctx, alice, "house red") == ["red house"]


async def test_the_newest_comes_first_and_the_limit_holds(ctx: AppContext, alice: Person):
    await add_messages(ctx, alice.id, [f"note {n}" for n in range(9)])

    hits = await search(ctx, alice.id, query="note", limit=3)

    assert [hit.message.content for hit in hits] == ["note 8", "note 7", "note 6"]


async def test_alice_does_not_find_bobs_messages(ctx: AppContext, alice: Person, bob: Person):
    await add_messages(ctx, bob.id, ["a secret recipe"])

    assert await found(ctx, alice, "secret") == []


async def test_deleted_messages_are_not_found(ctx: AppContext, alice: Person):
    await add_messages(ctx, alice.id, ["a secret recipe"])
    async with transaction(ctx.engine) as session:
        await session.execute(delete(Message).where(col(Message.account_id) == alice.id))

    assert await found(ctx, alice, "secret") == []


async def test_a_search_on_postgres_uses_the_index(ctx: AppContext):
    if ctx.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no other way than its FTS5 table")
    condition = matches_in_postgres("cat")
    sql = str(
        select(Message.id)
        .where(condition)
        .compile(ctx.engine.sync_engine, compile_kwargs={"literal_binds": True})
    )

    async with reading(ctx.engine) as session:
        await session.execute(text("set local enable_seqscan = off"))
        plan = str((await session.execute(text(f"explain {sql}"))).all())

    assert "message_search" in plan


@pytest.mark.parametrize(
    "query", ["", "   ", '"', "AND", "OR NOT", "cat*", "a:b", "(", "^x", "NEAR(a b)", "-", "'; --"]
)
async def test_syntax_is_no_syntax(ctx: AppContext, alice: Person, query: str):
    await add_messages(ctx, alice.id, ["plain"])

    assert "plain" not in await found(ctx, alice, query)


@settings(max_examples=60)
@given(st.text(max_size=30))
async def test_no_query_fails(ctx: AppContext, alice: Person, query: str):
    assert await found(ctx, alice, query) == []


def test_the_snippet_shows_the_words_around_the_match():
    content = "start " * 60 + "the needle in the hay" + " end" * 60

    shown = snippet(content, ["needle"])

    assert "the needle in the hay" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) <= SNIPPET_CHARACTERS + 2


@pytest.mark.thorough
async def test_searching_very_long_messages_gives_everybody_else_their_turn(
    ctx: AppContext, alice: Person
):
    await add_messages(ctx, alice.id, ["hay \u0130 " * 22_000] * 40)

    async with watched_loop() as stalls:
        found = await search(ctx, alice.id, query="hay " * 16, limit=40)

    assert 4 <= len(found) < 40
    assert stalls.busy_seconds < TOO_LONG_SECONDS
