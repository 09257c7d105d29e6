"""A turn is never lost, never duplicated, and stops when told."""

import asyncio

import pytest
from sqlalchemy import func
from sqlmodel import col, select

from chat_platform.agents import agents
from chat_platform.billing import ledger
from chat_platform.billing.ledger_rows import Tokens
from chat_platform.billing.receipts import usage_of
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.errors import (
    BudgetSpent,
    Conflict,
    Invalid,
    NotFound,
    PlatformBudgetSpent,
    PlatformError,
    RateLimited,
    TooLarge,
    Unavailable,
    UpstreamFailed,
)
from chat_platform.models import Account, Turn
from chat_platform.ports import StepChanged, TextPiece
from chat_platform.turns import control
from chat_platform.turns.events import text_of
from chat_platform.values.ids import TurnId
from tests.fakes import FakeGateway, FakeRuntime
from tests.ledger_entries import CENT, Payer, intent, opened, settlement
from tests.people import Person
from tests.registering import with_settings
from tests.turn_rows import add_turn
from tests.turn_talk import events_of, messages_of, talk, turn_row, until


@pytest.fixture
def gate(runtime: FakeRuntime) -> asyncio.Event:
    """Holds every run before its last event."""
    runtime.gate = asyncio.Event()
    return runtime.gate


async def turns_of(ctx: AppContext, person: Person) -> int:
    query = select(func.count()).select_from(Turn).where(col(Turn.account_id) == person.id)
    async with reading(ctx.engine) as session:
        return (await session.exec(query)).one()


class TestReplying:
    async def test_a_turn_tells_its_story_in_numbered_events(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime
    ):
        search = StepChanged("tool_call", "conversation_search", "done", "3 found")
        runtime.script.append([TextPiece("Hel"), TextPiece("lo."), search])

        events = await talk(ctx, alice)

        assert [event.type for event in events] == [
            "turn.started",
            "message.delta",
            "step",
            "message.completed",
            "turn.completed",
        ]
        assert [event.number for event in events] == [1, 7, 8, 9, 10]
        assert events[3].data["message"]["content"] == "Hello."
        assert events[4].data["usage"]["cost_usd"] == "0.000000000"

    async def test_both_messages_are_kept(self, ctx: AppContext, alice: Person):
        turn_id = TurnId((await talk(ctx, alice, "Hi"))[0].data["turn_id"])

        kept = [(m.role, m.content, m.status) for m in await messages_of(ctx, alice, turn_id)]

        assert kept == [("user", "Hi", "complete"), ("assistant", "You said: Hi", "complete")]

    async def test_the_reply_is_there_although_nobody_read_it(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime, gate: asyncio.Event
    ):
        runtime.script.append([TextPiece("one "), TextPiece("two "), TextPiece("three")])
        turn_id = await control.start_turn(ctx, alice.account, text="Count")
        reader = asyncio.create_task(events_of(ctx, alice, turn_id))
        await until(ctx, alice, turn_id, "message.delta")
        reader.cancel()

        gate.set()

        assert text_of(await events_of(ctx, alice, turn_id)) == "one two three"
        assert len(runtime.posted) == 1

    async def test_a_long_reply_with_many_steps_is_kept_whole(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime
    ):
        steps = [StepChanged("tool_call", f"tool {n}", "done") for n in range(50)]
        pieces = [TextPiece("слово ") for _ in range(17_000)]
        runtime.script.append([*steps, *pieces])

        events = await talk(ctx, alice)

        assert text_of(events) == "слово " * 17_000
        assert sum(event.type == "step" for event in events) == 50

    async def test_a_reply_that_its_length_limit_cut_is_marked(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime, gate: asyncio.Event
    ):
        runtime.script.append([TextPiece("Once upon a"), TextPiece(" t")])
        agent_id = await agents.ensure_agent(ctx, alice.account)
        turn_id = await control.start_turn(ctx, alice.account, text="A long story")
        call = intent(ctx, Payer(alice.id, agent_id))
        await opened(ctx, call)
        limit = Tokens(prompt=10, completion=ctx.settings.max_reply_tokens - 2)
        await ledger.settle_call(ctx, settlement(call, 7, tokens=limit))

        gate.set()

        events = await events_of(ctx, alice, turn_id)
        assert events[-2].data["message"]["status"] == "partial"
        assert events[-1].type == "turn.completed"

    async def test_a_reader_may_come_back_at_any_number(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime
    ):
        step = StepChanged("memory_edit", "memory_insert", "done")
        runtime.script.append([TextPiece("ab"), step, TextPiece("cd")])
        whole = await talk(ctx, alice)
        turn_id = TurnId(whole[0].data["turn_id"])

        for number in range(whole[-1].number + 1):
            rest = await events_of(ctx, alice, turn_id, after=number)

            expected = [part for event in whole if (part := event.rest_after(number))]
            assert text_of(rest) == text_of(expected)
            assert [e.type for e in rest] == [e.type for e in expected]

    async def test_a_turn_marks_its_person_as_active(self, ctx: AppContext, alice: Person):
        await talk(ctx, alice)

        async with reading(ctx.engine) as session:
            account = await session.get_one(Account, alice.id)
        assert (account.last_active_at_ms or 0) >= account.created_at_ms

    async def test_bob_cannot_see_alices_turn(self, ctx: AppContext, alice: Person, bob: Person):
        turn_id = TurnId((await talk(ctx, alice))[0].data["turn_id"])

        with pytest.raises(NotFound):
            await control.turn_view(ctx, bob.id, turn_id)
        with pytest.raises(NotFound):
            await events_of(ctx, bob, turn_id)
        with pytest.raises(NotFound):
            await control.cancel_turn(ctx, bob.id, turn_id)

    async def test_everybody_gets_their_own_reply_when_all_talk_at_once(
        self, ctx: AppContext, alice: Person, bob: Person
    ):
        hers, his = await asyncio.gather(talk(ctx, alice, "A"), talk(ctx, bob, "B"))

        assert (text_of(hers), text_of(his)) == ("You said: A", "You said: B")


class TestStarting:
    @pytest.mark.parametrize(
        ("text", "error", "code"),
        [
            ("", Invalid, "message_empty"),
            (" \n\t", Invalid, "message_empty"),
            ("x" * 20_001, TooLarge, "message_too_long"),
            ("a\0b", Invalid, "message_invalid"),
            ("a\ud800b", Invalid, "message_invalid"),
        ],
    )
    async def test_what_is_no_message_starts_nothing(
        self, ctx: AppContext, alice: Person, text: str, error: type[PlatformError], code: str
    ):
        with pytest.raises(error) as caught:
            await control.start_turn(ctx, alice.account, text=text)

        assert caught.value.code == code
        assert await turns_of(ctx, alice) == 0

    async def test_the_longest_message_is_taken(self, ctx: AppContext, alice: Person):
        events = await talk(ctx, alice, "я" * 20_000)

        assert events[-1].type == "turn.completed"

    async def test_a_second_message_has_to_wait(
        self, ctx: AppContext, alice: Person, gate: asyncio.Event
    ):
        await add_turn(ctx, alice.id, status="finished", created_at_ms=1)
        first = await control.start_turn(ctx, alice.account, text="One")

        with pytest.raises(Conflict) as caught:
            await control.start_turn(ctx, alice.account, text="Two")

        assert caught.value.code == "turn_running"
        assert caught.value.extra == {"turn_id": first}

    async def test_a_second_yes_is_not_swallowed(self, ctx: AppContext, alice: Person):
        await talk(ctx, alice, "yes")
        await talk(ctx, alice, "yes")

        assert await turns_of(ctx, alice) == 2

    async def test_twenty_messages_with_one_key_are_one_turn(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime
    ):
        ids = await asyncio.gather(
            *(
                control.start_turn(ctx, alice.account, text="Hi", idempotency_key="k")
                for _ in range(20)
            )
        )
        await events_of(ctx, alice, ids[0])

        assert len(set(ids)) == 1
        assert len(runtime.posted) == 1

    async def test_twenty_messages_at_once_without_a_key_are_one_turn_and_19_conflicts(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime, gate: asyncio.Event
    ):
        outcomes = await asyncio.gather(
            *(control.start_turn(ctx, alice.account, text="Hi") for _ in range(20)),
            return_exceptions=True,
        )

        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19
        assert await turns_of(ctx, alice) == 1

    async def test_a_key_still_means_its_turn_when_that_has_ended(
        self, ctx: AppContext, alice: Person
    ):
        first = await control.start_turn(ctx, alice.account, text="Hi", idempotency_key="k")
        await events_of(ctx, alice, first)

        again = await control.start_turn(ctx, alice.account, text="Hi", idempotency_key="k")

        assert again == first

    async def test_a_key_is_not_for_another_message(self, ctx: AppContext, alice: Person):
        await control.start_turn(ctx, alice.account, text="Hi", idempotency_key="k")

        with pytest.raises(Conflict) as caught:
            await control.start_turn(ctx, alice.account, text="Ho", idempotency_key="k")

        assert caught.value.code == "idempotency_key_reused"

    async def test_bob_may_use_the_key_that_alice_used(
        self, ctx: AppContext, alice: Person, bob: Person
    ):
        hers = await control.start_turn(ctx, alice.account, text="Hi", idempotency_key="k")
        his = await control.start_turn(ctx, bob.account, text="Ho", idempotency_key="k")

        assert hers != his

    async def test_a_draining_process_starts_nothing(self, ctx: AppContext, alice: Person):
        ctx.running_turns.draining.set()

        with pytest.raises(Unavailable) as caught:
            await control.start_turn(ctx, alice.account, text="Hi")

        assert caught.value.code == "restarting"
        assert await turns_of(ctx, alice) == 0

    async def test_a_memory_action_keeps_a_turn_from_starting(self, ctx: AppContext, alice: Person):
        await add_turn(ctx, alice.id, kind="memory")

        with pytest.raises(Conflict) as caught:
            await control.start_turn(ctx, alice.account, text="Hi")

        assert caught.value.code == "turn_running"
        assert caught.value.extra == {}


class TestCancelling:
    async def test_a_stopped_turn_ends_cancelled_with_its_text(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime, gate: asyncio.Event
    ):
        runtime.script.append([TextPiece("I was sa"), TextPiece("ying")])
        turn_id = await control.start_turn(ctx, alice.account, text="Talk")
        await until(ctx, alice, turn_id, "message.delta")

        await control.cancel_turn(ctx, alice.id, turn_id)

        async with asyncio.timeout(1):
            events = await events_of(ctx, alice, turn_id)
        assert events[-1].type == "turn.cancelled"
        kept = [(m.content, m.status) for m in await messages_of(ctx, alice, turn_id)]
        assert kept == [("Talk", "complete"), ("I was sa", "partial")]
        assert len(runtime.cancelled) >= 1

    async def test_cancelling_twice_is_cancelling_once(
        self, ctx: AppContext, alice: Person, gate: asyncio.Event
    ):
        turn_id = await control.start_turn(ctx, alice.account, text="Talk")

        await control.cancel_turn(ctx, alice.id, turn_id)
        await control.cancel_turn(ctx, alice.id, turn_id)

        events = await events_of(ctx, alice, turn_id)
        assert sum(event.is_end for event in events) == 1

    async def test_a_turn_that_is_over_stays_as_it_is(self, ctx: AppContext, alice: Person):
        turn_id = TurnId((await talk(ctx, alice))[0].data["turn_id"])

        await control.cancel_turn(ctx, alice.id, turn_id)

        assert (await turn_row(ctx, alice, turn_id)).status == "finished"

    async def test_after_a_stop_the_next_message_works(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime, gate: asyncio.Event
    ):
        turn_id = await control.start_turn(ctx, alice.account, text="Talk")
        await control.cancel_turn(ctx, alice.id, turn_id)
        await events_of(ctx, alice, turn_id)
        runtime.cancelled.clear()
        gate.set()

        events = await talk(ctx, alice, "Again")

        assert events[-1].type == "turn.completed"

    async def test_a_call_that_the_stop_refused_is_no_failure(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime, gate: asyncio.Event
    ):
        runtime.script.append([TextPiece("a"), UpstreamFailed("refused", code="model_failed")])
        turn_id = await control.start_turn(ctx, alice.account, text="Talk")
        await until(ctx, alice, turn_id, "message.delta")

        await control.cancel_turn(ctx, alice.id, turn_id)
        gate.set()

        assert (await events_of(ctx, alice, turn_id))[-1].type == "turn.cancelled"


class TestFailing:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (BudgetSpent("Your budget is spent."), "budget_spent"),
            (Unavailable("Letta is away.", code="agent_unavailable"), "agent_unavailable"),
            (Unavailable("LiteLLM is away.", code="billing_unavailable"), "billing_unavailable"),
            (Unavailable("Gone."), "agent_unavailable"),
            (UpstreamFailed("The model failed.", code="model_failed"), "model_failed"),
            (UpstreamFailed("Odd."), "model_failed"),
            (RateLimited("Too busy."), "model_busy"),
            (RuntimeError("secret internals"), "internal_error"),
        ],
    )
    async def test_every_failure_has_a_code_and_keeps_what_was_said(
        self,
        ctx: AppContext,
        alice: Person,
        runtime: FakeRuntime,
        error: Exception,
        code: str,
    ):
        runtime.script.append([TextPiece("I began"), error])

        events = await talk(ctx, alice, "Hi")

        assert events[-1].type == "turn.failed"
        assert events[-1].data["code"] == code
        assert "secret" not in events[-1].data["detail"]
        turn_id = TurnId(events[0].data["turn_id"])
        kept = [(m.content, m.status) for m in await messages_of(ctx, alice, turn_id)]
        assert kept == [("Hi", "failed"), ("I began", "partial")]

    async def test_a_model_that_cannot_be_reached_is_told_from_one_that_failed(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime, gateway: FakeGateway
    ):
        runtime.script.append([UpstreamFailed("The model failed.", code="model_failed")])
        gateway.is_down = True

        events = await talk(ctx, alice)

        assert events[-1].data["code"] == "agent_unavailable"

    @pytest.mark.parametrize(
        ("cap", "code", "way_out"),
        [
            ("platform_budget", "platform_budget_spent", "Contact your administrator"),
            ("platform_daily_budget", "platform_daily_budget_spent", "renews at 00:00 UTC"),
        ],
    )
    async def test_the_platforms_limit_is_not_told_as_the_persons(
        self,
        ctx: AppContext,
        alice: Person,
        bob: Person,
        runtime: FakeRuntime,
        cap: str,
        code: str,
        way_out: str,
    ):
        ctx = with_settings(ctx, **{cap: "0.01"})
        agent_id = await agents.ensure_agent(ctx, bob.account)
        runtime.gate = asyncio.Event()
        # As the agent server reports it, with the same code for every limit.
        runtime.script.append([TextPiece("I beg"), BudgetSpent("Your budget is spent.")])
        turn_id = await control.start_turn(ctx, alice.account, text="Hi")
        await until(ctx, alice, turn_id, "message.delta")

        entry = intent(ctx, Payer(bob.id, agent_id))
        await opened(ctx, entry)
        await ledger.settle_call(ctx, settlement(entry, CENT))
        runtime.gate.set()

        (*_, end) = await events_of(ctx, alice, turn_id)
        assert (end.type, end.data["code"]) == ("turn.failed", code)
        assert way_out in end.data["detail"]
        with pytest.raises(PlatformBudgetSpent):
            await control.start_turn(ctx, alice.account, text="Again")

    async def test_a_reply_without_a_word_is_a_failure(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime
    ):
        runtime.script.append([])

        events = await talk(ctx, alice)

        assert events[-1].data["code"] == "model_failed"

    async def test_an_agent_server_that_is_away_fails_the_turn_and_keeps_the_message(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime
    ):
        runtime.is_down = True
        failed = await talk(ctx, alice, "Hi")
        runtime.is_down = False

        later = await talk(ctx, alice, "Hi again")

        assert failed[-1].data["code"] == "agent_unavailable"
        assert later[-1].type == "turn.completed"


class TestReceipts:
    async def test_the_view_of_a_turn_has_its_messages_steps_and_usage(
        self, ctx: AppContext, alice: Person, runtime: FakeRuntime
    ):
        runtime.script.append([StepChanged("tool_call", "search", "done"), TextPiece("Hi")])
        turn_id = TurnId((await talk(ctx, alice))[0].data["turn_id"])

        view = await control.turn_view(ctx, alice.id, turn_id)

        assert view.turn.status == "finished"
        assert [step.data["name"] for step in view.steps] == ["search"]
        assert view.receipt.usage == await usage_of(ctx, turn_id)

    async def test_a_page_finds_the_turn_that_runs(
        self, ctx: AppContext, alice: Person, gate: asyncio.Event
    ):
        turn_id = await control.start_turn(ctx, alice.account, text="Talk")
        running = await control.running_turn(ctx, alice.id)
        gate.set()
        await events_of(ctx, alice, turn_id)

        assert running == turn_id
        assert await control.running_turn(ctx, alice.id) is None
