"""What the log says about model calls: their ids, and never their content or a key."""

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from chat_platform.context import AppContext
from chat_platform.settings import Settings
from tests.contexts import GLOBAL_KEY
from tests.ledger_entries import Payer, start_turn
from tests.log_text import events_in, logging_into_text
from tests.proxy.fake_upstream import Answer, FakeUpstream, error
from tests.waiting import eventually

SECRET = "quartz zebra"
CHAT: dict[str, Any] = {
    "model": "demo-chat",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": SECRET}],
}


@pytest.fixture
def log_text(settings: Settings) -> Iterator[io.StringIO]:
    with logging_into_text(settings.model_copy(update={"environment": "production"})) as text:
        yield text


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (
            error(500, "server_error", f"cannot answer {SECRET} sk-fake-key-of-alice"),
            "server_error",
        ),
        (error(500, f"about {SECRET}"), "other"),
        (Answer([f"not JSON: {SECRET}".encode()]), "broken_answer"),
    ],
)
async def test_a_broken_call_is_told_by_its_ids(
    proxy: httpx.AsyncClient,
    ctx: AppContext,
    agent: Payer,
    upstream: FakeUpstream,
    log_text: io.StringIO,
    answer: Answer,
    word: str,
):
    turn_id = await start_turn(ctx, agent)
    upstream.answers = [answer]

    await proxy.post(f"{agent.agent_id}/chat/completions", json=CHAT)

    await eventually(lambda: "call.broke" in log_text.getvalue())
    [line] = events_in(log_text, "call.broke")
    told = {"account_id": agent.account_id, "agent_id": agent.agent_id, "turn_id": turn_id}
    assert told.items() <= line.items()
    assert (line["state"], line["error"], line["model"]) == ("failed", word, "demo-chat")
    assert line["call_id"] == upstream.received[0].headers["x-litellm-call-id"]
    assert_silent(log_text, agent)


async def test_a_refused_call_is_told_by_its_ids(
    proxy: httpx.AsyncClient, ctx: AppContext, agent: Payer, log_text: io.StringIO
):
    await start_turn(ctx, agent, cancel_requested_at_ms=1)

    await proxy.post(f"{agent.agent_id}/chat/completions", json=CHAT)

    [line] = events_in(log_text, "call.refused")
    assert (line["account_id"], line["agent_id"]) == (agent.account_id, agent.agent_id)
    assert line["reason"] == "turn_cancelled"
    assert_silent(log_text, agent)


def assert_silent(log_text: io.StringIO, agent: Payer) -> None:
    text = log_text.getvalue()
    for word in (SECRET, GLOBAL_KEY, f"sk-fake-{agent.account_id}", "alice@example.com"):
        assert word not in text
