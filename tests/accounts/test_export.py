"""The archive of one person's data contains all of it, and nothing of others."""

import io
import json
import zipfile

import httpx
import pytest

from chat_platform.accounts.export import export_account
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import BlockRevision, Conversation, Message, Turn
from tests.accounts.test_deletion import with_agent_and_call
from tests.fakes import FakeMemory
from tests.long_history import fill_history
from tests.people import Person
from tests.stalls import TOO_LONG_SECONDS, watched_loop


async def say(ctx: AppContext, person: Person, text: str) -> None:
    conversation = Conversation(account_id=person.id)
    turn = Turn(account_id=person.id, status="finished", owner="tests", lease_until_ms=0)
    message = Message(
        account_id=person.id,
        conversation_id=conversation.id,
        turn_id=turn.id,
        role="user",
        content=text,
    )
    async with transaction(ctx.engine) as session:
        session.add_all([conversation, turn])
        await session.flush()
        session.add(message)
        session.add(
            BlockRevision(
                account_id=person.id, label="human", revision="r1", value=text, cause="agent"
            )
        )


async def read_export(client: httpx.AsyncClient, person: Person) -> dict[str, str]:
    answer = await client.get("/api/v1/user/export", headers=person.headers)
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    return {name: archive.read(name).decode() for name in archive.namelist()}


async def test_the_export_holds_account_messages_memory_and_ledger(
    ctx: AppContext, client: httpx.AsyncClient, memory: FakeMemory, alice: Person
):
    agent_id = await with_agent_and_call(ctx, alice)
    await say(ctx, alice, "My cat is called Ёжик.")
    for number in range(120):
        await memory.add_passage(agent_id, f"fact {number}")

    files = await read_export(client, alice)

    assert json.loads(files["account.json"])["email"] == "alice@example.com"
    assert [m["content"] for m in json.loads(files["messages.json"])] == ["My cat is called Ёжик."]
    told = json.loads(files["memory.json"])
    assert len(told["passages"]) == 120
    assert [b["label"] for b in told["blocks"]] == ["persona", "human"]
    assert [r["value"] for r in told["block_history"]] == ["My cat is called Ёжик."]
    assert "0.000054800" in files["ledger.csv"]


async def test_the_export_holds_no_secret(client: httpx.AsyncClient, alice: Person):
    files = await read_export(client, alice)

    whole = "".join(files.values())
    assert alice.refresh_token not in whole
    assert "argon2" not in whole
    assert "hash" not in whole


async def test_the_export_holds_nothing_of_others(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person, bob: Person
):
    await say(ctx, alice, "alice's secret")
    await with_agent_and_call(ctx, alice)

    whole = "".join((await read_export(client, bob)).values())

    assert "alice" not in whole


async def test_an_account_without_an_agent_can_be_exported(
    client: httpx.AsyncClient, alice: Person
):
    files = await read_export(client, alice)

    assert json.loads(files["memory.json"])["blocks"] == []


async def test_a_long_history_is_exported_whole_and_in_order(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    written: list[str] = []
    await ctx.writer.write(
        lambda connection: written.extend(fill_history(connection, alice.id, messages=350))
    )

    files = await read_export(client, alice)

    assert [message["id"] for message in json.loads(files["messages.json"])] == written


@pytest.mark.thorough
async def test_exporting_a_long_history_gives_everybody_else_their_turn(
    ctx: AppContext, alice: Person
):
    await ctx.writer.write(
        lambda connection: fill_history(connection, alice.id, messages=10_000) and None
    )

    async with watched_loop() as stalls:
        await export_account(ctx, alice.account)

    assert stalls.busy_seconds < TOO_LONG_SECONDS
