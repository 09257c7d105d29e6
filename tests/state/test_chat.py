"""The chat page's handlers: what they send to the browser, and what they start."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from chat_platform.billing import budgets
from chat_platform.context import AppContext, set_app_context
from chat_platform.errors import Invalid, NotFound, UpstreamFailed, model_failed
from chat_platform.ports import TextPiece
from chat_platform.state.chat import ChatState
from chat_platform.state.live import LiveState
from chat_platform.turns import control
from tests.fakes import FakeRuntime
from tests.long_history import fill_history
from tests.people import Person
from tests.state.tab import OpenTab
from tests.turn_talk import talk
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def served(ctx: AppContext) -> Iterator[None]:
    set_app_context(ctx)
    yield
    set_app_context(None)


async def fill(ctx: AppContext, person: Person, messages: int) -> list[str]:
    written: list[str] = []

    def write(connection: Any) -> None:
        written.extend(fill_history(connection, person.id, messages=messages))

    await ctx.writer.write(write)
    return written


def texts(piece: dict[str, Any]) -> list[str]:
    return [row["text"] or row["html"] for row in piece["rows"]]


async def open_chat(person: Person, address: str = "/chat") -> OpenTab:
    tab = OpenTab(person.cookie, address=address, token=f"{person.id}{address}")
    await tab.send(ChatState, "open")
    return tab


async def test_a_newcomers_chat_is_empty(alice: Person):
    chat = (await open_chat(alice)).of(ChatState)

    assert chat.is_loaded
    assert chat.is_empty
    assert chat.end["rows"] == []


async def test_the_chat_opens_at_its_end(ctx: AppContext, alice: Person):
    ids = await fill(ctx, alice, 100)

    chat = (await open_chat(alice)).of(ChatState)

    assert [row["id"] for row in chat.end["rows"]] == ids[-40:]
    assert chat.end["has_older"]


async def test_older_messages_come_as_a_page_of_their_own(ctx: AppContext, alice: Person):
    ids = await fill(ctx, alice, 100)
    tab = await open_chat(alice)
    stamp = tab.of(ChatState).end["stamp"]

    await tab.send(ChatState, "show_older", ids[-40])

    chat = tab.of(ChatState)
    assert [row["id"] for row in chat.older["rows"]] == ids[20:60]
    assert chat.older["joins"] == ids[60]
    assert chat.end["stamp"] == stamp


async def test_bobs_messages_are_no_way_into_his_history(
    ctx: AppContext, alice: Person, bob: Person
):
    ids = await fill(ctx, bob, 10)
    tab = await open_chat(alice)

    with pytest.raises(Invalid):
        await tab.send(ChatState, "show_older", ids[5])
    with pytest.raises(Invalid):
        await tab.send(ChatState, "show_newer", ids[5])
    with pytest.raises(Invalid):
        await tab.send(ChatState, "show_message", ids[5])


async def test_an_address_may_name_the_message_to_show(ctx: AppContext, alice: Person):
    ids = await fill(ctx, alice, 200)

    chat = (await open_chat(alice, f"/chat?message={ids[50]}")).of(ChatState)

    assert chat.is_window
    assert chat.end["is_window"]
    assert chat.marked_id == ids[50]
    assert ids[50] in [row["id"] for row in chat.end["rows"]]


async def test_from_a_part_of_the_past_one_goes_on_to_the_end(ctx: AppContext, alice: Person):
    ids = await fill(ctx, alice, 200)
    tab = await open_chat(alice, f"/chat?message={ids[100]}")
    shown = [row["id"] for row in tab.of(ChatState).end["rows"]]

    while tab.of(ChatState).is_window:
        await tab.send(ChatState, "show_newer", shown[-1])
        piece = tab.of(ChatState).newest
        assert piece["joins"] == shown[-1]
        shown += [row["id"] for row in piece["rows"]]

    assert shown == ids[80:]


async def test_a_turn_that_a_page_cuts_has_its_receipt_under_its_answer_alone(
    ctx: AppContext, alice: Person
):
    ids = await fill(ctx, alice, 100)
    tab = await open_chat(alice)

    await tab.send(ChatState, "show_older", ids[61])

    question = tab.of(ChatState).older["rows"][-1]
    assert (question["id"], question["receipt"]) == (ids[60], "")
    assert all(row["receipt"] for row in tab.of(ChatState).end["rows"][1::2])


async def test_a_sent_message_is_shown_at_once_and_its_answer_follows(alice: Person):
    tab = await open_chat(alice)

    answer = await tab.send(ChatState, "send", {"text": "Hello", "nonce": "n1"})

    chat = tab.of(ChatState)
    assert [event.handler.fn.__name__ for event in map(_spec, answer)] == ["follow"]
    assert chat.accepted_nonce == "n1"
    assert texts(chat.end) == ["Hello"]
    await tab.send(ChatState, "follow")
    assert "You said: Hello" in texts(chat.end)[-1]
    assert not tab.of(LiveState).is_replying


async def test_the_same_nonce_starts_one_turn(ctx: AppContext, alice: Person, runtime: FakeRuntime):
    tab = await open_chat(alice)

    for _ in range(2):
        await tab.send(ChatState, "send", {"text": "Hello", "nonce": "n1"})
        await tab.send(ChatState, "follow")

    assert len(runtime.posted) == 1


async def test_a_refused_message_says_why_and_names_its_nonce(alice: Person):
    tab = await open_chat(alice)

    await tab.send(ChatState, "send", {"text": "x" * 20_001, "nonce": "n1"})

    chat = tab.of(ChatState)
    assert chat.refused_nonce == "n1"
    assert "at most 20,000 characters" in chat.refusal
    assert chat.accepted_nonce == ""


async def test_who_has_spent_the_budget_is_told_so(ctx: AppContext, alice: Person):
    await budgets.set_limit(ctx, alice.id, limit_nano_usd=0)
    tab = await open_chat(alice)

    await tab.send(ChatState, "send", {"text": "Hello", "nonce": "n1"})

    chat = tab.of(ChatState)
    assert chat.is_over_budget
    assert chat.refusal.startswith("Your budget is spent. It renews on ")
    assert chat.end["rows"] == []


async def test_a_failed_turn_tells_why_and_can_be_tried_again(alice: Person, runtime: FakeRuntime):
    runtime.script.append([UpstreamFailed("The model failed.", code="model_failed")])
    tab = await open_chat(alice)
    await tab.send(ChatState, "send", {"text": "Hello", "nonce": "n1"})
    await tab.send(ChatState, "follow")
    failed = tab.of(ChatState).end["rows"][-1]

    await tab.send(ChatState, "try_again", failed["turn_id"])
    await tab.send(ChatState, "follow")

    assert failed["problem"] == model_failed().message
    assert [text for _, text, _ in runtime.posted] == ["Hello", "Hello"]


async def test_a_turn_that_ended_before_it_was_followed_is_shown_too(
    ctx: AppContext, alice: Person, runtime: FakeRuntime
):
    runtime.script.append([UpstreamFailed("The model failed.", code="model_failed")])
    runtime.gate = asyncio.Event()
    tab = await open_chat(alice)
    await tab.send(ChatState, "send", {"text": "Hello", "nonce": "n1"})
    turn_id = await control.running_turn(ctx, alice.id)
    assert turn_id
    runtime.gate.set()
    async for _ in control.follow(ctx, alice.id, turn_id):
        pass

    await tab.send(ChatState, "follow")

    shown = tab.of(ChatState).end["rows"][-1]
    assert shown["problem"] == model_failed().message


async def test_bobs_turn_cannot_be_tried_again(ctx: AppContext, alice: Person, bob: Person):
    turn_id = await control.start_turn(ctx, bob.account, text="Secret")
    tab = await open_chat(alice)

    with pytest.raises(NotFound):
        await tab.send(ChatState, "try_again", turn_id)


async def test_a_stopped_answer_keeps_what_had_arrived(alice: Person, runtime: FakeRuntime):
    runtime.gate = asyncio.Event()
    runtime.script.append([TextPiece("one "), TextPiece("two")])
    tab = await open_chat(alice)
    await tab.send(ChatState, "send", {"text": "Count", "nonce": "n1"})
    following = asyncio.create_task(tab.send(ChatState, "follow"))
    await eventually(lambda: "one" in tab.of(LiveState).tail)

    await tab.send(ChatState, "stop")
    await following

    last = tab.of(ChatState).end["rows"][-1]
    assert "one" in last["html"]
    assert last["is_stopped"]


async def test_a_tab_shows_what_another_one_writes(ctx: AppContext, alice: Person):
    tab = await open_chat(alice)
    watching = asyncio.create_task(tab.send(ChatState, "watch"))
    await eventually(lambda: alice.id in ctx.turn_feed._listeners)

    await talk(ctx, alice, "From my phone")

    await eventually(lambda: "From my phone" in texts(tab.of(ChatState).end))
    watching.cancel()


async def test_a_check_that_finds_nothing_new_sends_nothing(ctx: AppContext, alice: Person):
    await fill(ctx, alice, 10)
    tab = await open_chat(alice)
    stamp = tab.of(ChatState).end["stamp"]

    await tab.send(ChatState, "check")

    assert tab.of(ChatState).end["stamp"] == stamp
    assert tab.of(ChatState).newest["stamp"] == ""


async def test_only_what_is_new_is_sent_after_a_turn(ctx: AppContext, alice: Person):
    ids = await fill(ctx, alice, 40)
    tab = await open_chat(alice)

    await tab.send(ChatState, "send", {"text": "One more", "nonce": "n1"})

    newest = tab.of(ChatState).newest
    assert texts(newest)[-1] == "One more"
    assert len(newest["rows"]) == 4
    assert newest["joins"] == ids[-4]


def _spec(event: Any) -> Any:
    return event if hasattr(event, "handler") else event()
