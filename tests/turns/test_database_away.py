"""A lost connection to Postgres causes a short delay, but never loses text or a turn."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from chat_platform.agents import agents
from chat_platform.billing import ledger
from chat_platform.context import AppContext
from chat_platform.database.away import AWAY
from chat_platform.ports import TextPiece
from chat_platform.settings import Settings
from chat_platform.turns import control, event_log
from chat_platform.turns.ending import TurnEnd, settle_turn
from chat_platform.turns.events import text_of
from chat_platform.turns.failures import INTERNAL
from chat_platform.turns.recorder import TurnRecorder
from chat_platform.values.ids import TurnId
from tests.contexts import open_test_context
from tests.fakes import FakeGateway, FakeMailer, FakeMemory, FakeRuntime
from tests.ledger_entries import Payer, intent
from tests.people import Person
from tests.postgres_trouble import Wire, cut_connections, wire_to
from tests.turn_rows import add_turn
from tests.turn_talk import events_of, messages_of, talk, turn_row, until
from tests.waiting import eventually


@pytest.fixture
async def wire(postgres_url: str) -> AsyncIterator[tuple[Wire, str]]:
    async with wire_to(postgres_url) as opened:
        yield opened


@pytest.fixture
def settings(settings: Settings, wire: tuple[Wire, str]) -> Settings:
    return settings.model_copy(update={"database_url": SecretStr(wire[1])})


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """These faults need Postgres, whatever database the other tests use."""
    return postgres_url


@pytest.fixture
async def ctx(settings: Settings, runtime: FakeRuntime) -> AsyncIterator[AppContext]:
    fakes = (FakeMemory(), FakeGateway(), FakeMailer())
    async with open_test_context(settings, runtime, *fakes) as ctx:
        yield ctx


@pytest.fixture
def gate(runtime: FakeRuntime) -> asyncio.Event:
    runtime.gate = asyncio.Event()
    return runtime.gate


async def _begin(ctx: AppContext, alice: Person, runtime: FakeRuntime, *pieces: str) -> TurnId:
    """Start a turn that replies with the pieces; return once all but the last have been read."""
    runtime.script.append([TextPiece(piece) for piece in pieces])
    turn_id = await control.start_turn(ctx, alice.account, text="Hello")
    await until(ctx, alice, turn_id, "message.delta" if len(pieces) > 1 else "turn.started")
    return turn_id


async def _reply(ctx: AppContext, alice: Person, turn_id: TurnId) -> tuple[str, str]:
    reply = (await messages_of(ctx, alice, turn_id))[-1]
    return reply.content, reply.status


@pytest.mark.parametrize("pieces", [("All of it.",), ("One. ", "Two. ")])
async def test_connections_that_are_cut_between_two_pieces_cut_no_reply(
    ctx: AppContext,
    alice: Person,
    runtime: FakeRuntime,
    gate: asyncio.Event,
    database_url: str,
    pieces: tuple[str, ...],
):
    turn_id = await _begin(ctx, alice, runtime, *pieces)

    assert cut_connections(database_url)
    gate.set()

    events = await events_of(ctx, alice, turn_id)
    assert text_of(events) == "".join(pieces)
    assert await _reply(ctx, alice, turn_id) == ("".join(pieces), "complete")


@pytest.mark.parametrize("at", [b"INTO turn_events", b"COMMIT", b"FOR UPDATE", b"INTO messages"])
@pytest.mark.parametrize("is_answer_lost", [False, True])
async def test_a_cut_at_any_statement_of_a_turn_loses_no_word_of_it(
    ctx: AppContext,
    wire: tuple[Wire, str],
    alice: Person,
    runtime: FakeRuntime,
    gate: asyncio.Event,
    at: bytes,
    is_answer_lost: bool,
):
    turn_id = await _begin(ctx, alice, runtime, "One. ", "Two. ")
    cut = wire[0].lose_answer_to if is_answer_lost else wire[0].cut_at

    cut(at)
    gate.set()

    events = await events_of(ctx, alice, turn_id)
    assert wire[0].cuts == 1
    assert [event.type for event in events if event.is_end] == ["turn.completed"]
    assert text_of(events) == text_of(await event_log.read(ctx, turn_id)) == "One. Two. "
    assert await _reply(ctx, alice, turn_id) == ("One. Two. ", "complete")


@pytest.mark.parametrize("is_answer_lost", [False, True])
async def test_a_message_whose_commit_is_cut_starts_one_turn(
    ctx: AppContext,
    wire: tuple[Wire, str],
    alice: Person,
    runtime: FakeRuntime,
    is_answer_lost: bool,
):
    (wire[0].lose_answer_to if is_answer_lost else wire[0].cut_at)(b"COMMIT")

    events = await talk(ctx, alice)

    assert wire[0].cuts == 1
    assert events[-1].type == "turn.completed"
    assert len(runtime.posted) == 1


async def test_a_reader_keeps_reading_over_a_cut(
    ctx: AppContext,
    alice: Person,
    runtime: FakeRuntime,
    gate: asyncio.Event,
    database_url: str,
):
    turn_id = await _begin(ctx, alice, runtime, "One. ", "Two. ")
    reading = asyncio.create_task(events_of(ctx, alice, turn_id))
    await asyncio.sleep(0)

    cut_connections(database_url)
    gate.set()

    assert text_of(await reading) == "One. Two. "


async def test_the_first_message_after_a_restart_is_answered(
    ctx: AppContext, alice: Person, client: httpx.AsyncClient, database_url: str
):
    await talk(ctx, alice)
    cut_connections(database_url)

    answer = await client.post(
        "/api/v1/chat/message", json={"content": "Hello"}, headers=alice.headers
    )

    assert answer.status_code == 200


async def test_a_turn_whose_end_cannot_be_written_is_ended_as_soon_as_it_can(
    ctx: AppContext,
    wire: tuple[Wire, str],
    alice: Person,
    runtime: FakeRuntime,
    gate: asyncio.Event,
):
    turn_id = await _begin(ctx, alice, runtime, "One. ", "Two. ")
    with capture_logs() as logs:
        wire[0].is_refusing = True
        gate.set()
        await eventually(lambda: len([e for e in logs if e["event"] == "database.away"]) > 4)
    assert turn_id in ctx.running_turns.ids

    wire[0].is_refusing = False

    await asyncio.wait_for(ctx.running_turns.wait(10), 10)
    assert (await turn_row(ctx, alice, turn_id)).status == "finished"
    assert await _reply(ctx, alice, turn_id) == ("One. Two. ", "complete")


async def test_trouble_that_lasts_fails_the_turn_and_keeps_its_text(
    ctx: AppContext, wire: tuple[Wire, str], alice: Person
):
    turn = await add_turn(ctx, alice.id)
    turn_id = turn.id
    recorder = TurnRecorder(ctx, turn_id, logged=[], patience_seconds=0.3)
    async with recorder:
        recorder.record(TextPiece("One. "))
        await recorder.flush()
        wire[0].is_refusing = True
        recorder.record(TextPiece("Two. "))
        with pytest.raises(AWAY):
            await asyncio.wait_for(recorder.writing, 10)
        wire[0].is_refusing = False

    await settle_turn(ctx, turn_id, TurnEnd("failed", INTERNAL, unwritten=recorder.unwritten))

    assert (await turn_row(ctx, alice, turn_id)).status == "failed"
    assert await _reply(ctx, alice, turn_id) == ("One. Two. ", "partial")


async def test_a_database_that_is_away_is_told_as_such(
    ctx: AppContext, wire: tuple[Wire, str], alice: Person, client: httpx.AsyncClient
):
    wire[0].is_refusing = True

    answer = await client.get("/api/v1/chat/history", headers=alice.headers)

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


@pytest.mark.slow
async def test_a_postgres_that_says_nothing_is_away_after_a_while(
    ctx: AppContext, wire: tuple[Wire, str], alice: Person, client: httpx.AsyncClient
):
    agent_id = await agents.ensure_agent(ctx, alice.account)
    call = intent(ctx, Payer(alice.id, agent_id))
    wire[0].talks.clear()
    try:
        async with asyncio.timeout(40):
            page, opening, write = await asyncio.gather(
                client.get("/api/v1/chat/history", headers=alice.headers),
                ledger.open_call(ctx, call),
                ctx.writer.write(lambda c: c.exec_driver_sql("select 1") and None),
                return_exceptions=True,
            )
    finally:
        wire[0].talks.set()

    assert isinstance(page, httpx.Response)
    assert (page.status_code, page.json()["code"]) == (503, "database_unavailable")
    assert isinstance(opening, AWAY)
    assert isinstance(write, AWAY)
    assert (await talk(ctx, alice))[-1].type == "turn.completed"
