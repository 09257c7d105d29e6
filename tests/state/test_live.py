"""The arriving reply: blocks that stay, a tail that grows, the agent's current activity."""

from collections.abc import AsyncIterator

import pytest

from chat_platform.state.live import LiveState, end_follower, flushes
from chat_platform.state.live_reply import MIN_PAUSE_SECONDS, LiveReply
from chat_platform.turns.events import TurnEvent
from chat_platform.values.ids import TurnId
from chat_platform.web.i18n import words_in
from tests.state.tab import OpenTab

EN = words_in("en")
PARAGRAPH = "A sentence of this paragraph, and another one. " * 12 + "\n\n"


def text(piece: str) -> TurnEvent:
    return TurnEvent(1, "message.delta", {"text": piece})


def step(kind: str, status: str, name: str = "") -> TurnEvent:
    return TurnEvent(1, "step", {"kind": kind, "name": name, "status": status, "detail": ""})


async def reply_of(*events: TurnEvent) -> LiveReply:
    reply = LiveReply(EN)
    for event in events:
        reply.apply(event)
    await reply.render()
    return reply


async def test_a_finished_paragraph_freezes_and_only_the_rest_is_sent_again():
    reply = await reply_of(text(PARAGRAPH), text("And **now"))

    assert len(reply.blocks) == 1
    assert reply.tail == "<p>And **now</p>\n"


async def test_nothing_is_lost_between_blocks_and_tail():
    reply = await reply_of(*(text(PARAGRAPH) for _ in range(5)), text("The end."))

    shown = "".join([*reply.blocks, reply.tail])
    assert shown.count("A sentence of this paragraph") == 60
    assert shown.endswith("<p>The end.</p>\n")


async def test_a_block_never_ends_inside_of_code():
    reply = await reply_of(text("```python\n" + "x = 1\n\n" * 200))

    assert reply.blocks == []
    assert reply.tail.startswith('<figure class="code">')


async def test_a_long_tail_is_shown_less_often():
    short = await reply_of(text("Short."))
    long = await reply_of(text("```python\n" + "x = 1\n" * 2000))

    assert len(long.tail) > len(short.tail)
    assert short.pause_seconds == MIN_PAUSE_SECONDS
    assert long.pause_seconds > 10 * MIN_PAUSE_SECONDS


async def test_the_line_says_what_the_agent_does_now():
    reply = await reply_of(step("memory_edit", "started", "memory_insert"))

    assert reply.doing == "Remembering"
    assert reply.steps == []


async def test_a_finished_step_moves_into_the_list():
    reply = await reply_of(step("memory_edit", "started"), step("memory_edit", "done"))

    assert reply.doing == ""
    assert reply.steps == ["Remembering"]


async def test_a_failed_step_is_told():
    assert (await reply_of(step("tool_call", "failed", "web"))).steps == ["Using web: failed"]


async def test_events_that_come_together_are_shown_together():
    async def events() -> AsyncIterator[TurnEvent]:
        for _ in range(100):
            yield text("word ")

    reply = LiveReply(EN)

    shown = [reply.applied async for _ in flushes(events(), reply)]

    assert shown[-1] == 100
    assert len(shown) <= 2


async def test_a_failing_log_is_not_taken_for_the_end():
    async def events() -> AsyncIterator[TurnEvent]:
        yield text("word ")
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        _ = [None async for _ in flushes(events(), LiveReply(EN))]


def test_a_tab_follows_a_turn_once():
    live = OpenTab("").of(LiveState)
    follower = live._begin(TurnId("t1"))

    assert follower is not None
    assert live._begin(TurnId("t1")) is None
    end_follower(follower)


def test_a_follower_whose_process_is_gone_is_replaced():
    live = OpenTab("").of(LiveState)
    end_follower(live._begin(TurnId("t1")))

    assert live._begin(TurnId("t1")) is not None
