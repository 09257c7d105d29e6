"""Each line of a receipt says what its call was for, and all lines add up to the total."""

import pytest

from chat_platform.context import AppContext, set_app_context
from chat_platform.database.engine import transaction
from chat_platform.errors import NotFound
from chat_platform.models import ModelCall
from chat_platform.ports import RunEvent, StepChanged, TextPiece
from chat_platform.state.receipt import ReceiptState, call_purposes
from chat_platform.turns import control
from chat_platform.values.ids import AccountId, AgentId, CallId
from chat_platform.web.i18n import words_in
from tests.fakes import FakeRuntime
from tests.people import Person
from tests.state.tab import OpenTab
from tests.turn_talk import events_of

EN = words_in("en")


def call(id_: str, kind: str = "chat", *, state: str = "settled", cost: int = 0) -> ModelCall:
    return ModelCall(
        id=CallId(id_),
        account_id=AccountId("a"),
        agent_id=AgentId("agent"),
        kind=kind,
        model="m",
        state=state,
        cost_nano_usd=cost,
        cost_source="stream",
        owner="p",
        lease_until_ms=0,
    )


def step(kind: str, name: str = "", status: str = "started") -> dict[str, str]:
    return {"kind": kind, "name": name, "status": status, "detail": ""}


def test_calls_are_named_by_the_steps_that_they_led_to():
    calls = [call("1"), call("2", "embedding"), call("3"), call("4")]
    steps = [
        step("model_call"),
        step("memory_edit", "memory_insert"),
        step("model_call", status="done"),
        step("memory_edit", "memory_insert", "done"),
        step("model_call"),
        step("tool_call", "web_search"),
        step("model_call"),
    ]

    assert call_purposes(EN, calls, steps) == [
        "Remembering",
        "Archive (embeddings)",
        "Using web_search",
        "Reply",
    ]


def test_a_call_that_failed_and_was_repeated_takes_no_step_away():
    calls = [call("1", state="failed"), call("2")]

    assert call_purposes(EN, calls, [step("model_call")]) == ["Replies and tools", "Reply"]


def test_where_steps_and_calls_do_not_match_nothing_is_guessed():
    calls = [call("1"), call("2")]

    assert call_purposes(EN, calls, [step("model_call")]) == ["Replies and tools"] * 2


@pytest.fixture
async def turn_id(ctx: AppContext, alice: Person, runtime: FakeRuntime) -> str:
    set_app_context(ctx)
    script: list[RunEvent | Exception] = [
        StepChanged("model_call", "m", "started"),
        StepChanged("model_call", "m", "done"),
        TextPiece("Hello."),
    ]
    runtime.script.append(script)
    turn_id = await control.start_turn(ctx, alice.account, text="Hello")
    await events_of(ctx, alice, turn_id)
    async with transaction(ctx.engine) as session:
        for one in (call("1", cost=1_080_200), call("2", "embedding", cost=820)):
            one.account_id, one.turn_id = alice.id, turn_id
            session.add(one)
    return turn_id


async def test_an_opened_receipt_lists_every_call_and_adds_up(alice: Person, turn_id: str):
    tab = OpenTab(alice.cookie)

    await tab.send(ReceiptState, "toggle", turn_id)

    receipt = tab.of(ReceiptState)
    assert [line["what"] for line in receipt.lines] == ["Reply", "Archive (embeddings)"]
    assert [line["cost"] for line in receipt.lines] == ["$0.0010802", "$0.00000082"]
    assert receipt.total == "$0.00108102"


async def test_a_second_press_closes_the_receipt(alice: Person, turn_id: str):
    tab = OpenTab(alice.cookie)
    await tab.send(ReceiptState, "toggle", turn_id)

    await tab.send(ReceiptState, "toggle", turn_id)

    assert tab.of(ReceiptState).open_turn == ""
    assert tab.of(ReceiptState).lines == []


async def test_bob_cannot_open_alices_receipt(bob: Person, turn_id: str):
    with pytest.raises(NotFound):
        await OpenTab(bob.cookie).send(ReceiptState, "toggle", turn_id)
