"""A turn is one trace: from its request to each request at the gateway, and without content."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from chat_platform.adapters.open_telemetry import OtlpTraces
from chat_platform.context import AppContext
from chat_platform.ports import RunEvent
from chat_platform.settings import Settings
from tests.contexts import open_test_context
from tests.fakes import FakeGateway, FakeMailer, FakeMemory, FakeRuntime
from tests.otlp_collector import Collected, Collector, collecting
from tests.people import Person
from tests.proxy.fake_upstream import COST, FakeUpstream, completion, error, whole_stream
from tests.waiting import eventually

SECRET = "quartz zebra"
ANSWER = "answered with tourmaline"
MESSAGE = "/api/v1/chat/message"
CHAT: dict[str, Any] = {
    "model": "demo-chat",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": SECRET}],
}
STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}


@dataclass
class CallingRuntime(FakeRuntime):
    """Calls models through the proxy, as the agent server does: without a word about the turn."""

    proxy: httpx.AsyncClient | None = None
    calls: tuple[dict[str, Any], ...] = (STREAM, CHAT)

    async def run(self, agent_id: str, text: str, *, note: str = "") -> AsyncGenerator[RunEvent]:
        assert self.proxy
        async for event in super().run(agent_id, text, note=note):  # pyright: ignore[reportArgumentType]
            yield event
            for call in self.calls:
                await self.proxy.post(f"{agent_id}/chat/completions", json=call)
            self.calls = ()


@pytest.fixture
def runtime() -> CallingRuntime:
    return CallingRuntime()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def settings(settings: Settings, collector: Collector) -> Settings:
    return settings.model_copy(
        update={
            "otel_exporter_otlp_endpoint": collector.url,
            "otel_exporter_otlp_headers": SecretStr("x-key=of-the-collector"),
        }
    )


@pytest.fixture
def traces(settings: Settings) -> OtlpTraces:
    return OtlpTraces(settings)


@pytest.fixture
async def ctx(
    settings: Settings,
    traces: OtlpTraces,
    runtime: CallingRuntime,
    memory: FakeMemory,
    gateway: FakeGateway,
    mailer: FakeMailer,
) -> AsyncIterator[AppContext]:
    async with open_test_context(settings, runtime, memory, gateway, mailer, traces=traces) as ctx:
        yield ctx


Send = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def send(
    ctx: AppContext,
    client: httpx.AsyncClient,
    runtime: CallingRuntime,
    proxy: httpx.AsyncClient,
    traces: OtlpTraces,
    alice: Person,
) -> Send:
    """Send alice's message, and return when its turn has ended and its spans have left."""
    runtime.proxy = proxy

    async def sent(**headers: str) -> httpx.Response:
        answer = await client.post(
            MESSAGE, json={"content": SECRET}, headers={**alice.headers, **headers}
        )
        await eventually(lambda: not ctx.running_turns.ids)
        await asyncio.to_thread(traces.flush)
        return answer

    return sent


def path_of(span: Collected, spans: list[Collected]) -> list[str]:
    """Return the names from the root down to the span."""
    by_id = {each.span_id: each for each in spans}
    path = [span.name]
    while span.parent_id:
        span = by_id[span.parent_id]
        path.insert(0, span.name)
    return path


async def test_a_turn_is_one_tree(
    send: Send,
    upstream: FakeUpstream,
    collector: Collector,
):
    upstream.answers = [whole_stream(ANSWER), completion(ANSWER)]

    answer = await send()

    spans = collector.spans
    request, call = [f"POST {MESSAGE}"], ["turn", "agent run", "model call"]
    assert answer.status_code == 200
    assert sorted(path_of(span, spans) for span in spans) == sorted(
        [
            request,
            [*request, "turn"],
            [*request, "turn", "agent run"],
            *[[*request, *call]] * 2,
            *[[*request, *call, "gateway request"]] * 2,
        ]
    )
    assert {span.trace_id for span in spans} == {answer.json()["turn_id"].replace("-", "")}
    assert not [span for span in spans if span.is_error]
    assert all(span.began_ns <= span.ended_ns for span in spans)


async def test_spans_say_whose_what_and_how_much(
    send: Send,
    alice: Person,
    upstream: FakeUpstream,
    collector: Collector,
):
    upstream.answers = [whole_stream(ANSWER), completion(ANSWER)]

    answer = await send()

    [turn] = collector.named("turn")
    assert turn.attributes["chat_platform.turn_id"] == answer.json()["turn_id"]
    assert turn.attributes["chat_platform.account_id"] == alice.id
    assert turn.attributes["chat_platform.status"] == "finished"
    assert turn.attributes["chat_platform.cost_nano_usd"] == 2 * COST
    assert turn.attributes["gen_ai.usage.input_tokens"] == 24
    call = collector.named("model call")[0].attributes
    assert (call["gen_ai.request.model"], call["chat_platform.status"]) == ("demo-chat", "settled")
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) == (12, 5)
    assert call["chat_platform.cost_nano_usd"] == COST
    [run] = collector.named("agent run")
    assert run.attributes["chat_platform.run_id"] == "run-1"
    [request] = collector.named(f"POST {MESSAGE}")
    assert request.attributes["http.response.status_code"] == 200
    assert collector.resource["service.name"] == "chat-platform"
    assert collector.headers[0]["x-key"] == "of-the-collector"


async def test_nothing_that_anybody_wrote_leaves_with_a_trace(
    send: Send,
    alice: Person,
    upstream: FakeUpstream,
    collector: Collector,
):
    upstream.answers = [
        error(500, f"about {SECRET}", f"cannot answer {SECRET}"),
        whole_stream(ANSWER),
    ]

    await send()

    sent = b"".join(collector.bodies)
    keys = (alice.access_token, f"sk-fake-{alice.id}", "of-the-collector")
    assert len(collector.named("model call")) == 2
    for word in (SECRET, ANSWER, alice.account.email, "Alice", *keys):
        assert word.encode() not in sent


async def test_the_gateway_learns_which_span_it_works_for(
    send: Send,
    upstream: FakeUpstream,
    collector: Collector,
):
    upstream.answers = [whole_stream(), completion()]

    await send()

    told = [received.headers["traceparent"] for received in upstream.received]
    spans = collector.named("gateway request")
    assert told == [f"00-{span.trace_id}-{span.span_id}-01" for span in spans]


async def test_what_failed_is_marked_all_the_way_up(
    send: Send,
    runtime: CallingRuntime,
    upstream: FakeUpstream,
    collector: Collector,
):
    runtime.calls = (CHAT,)
    runtime.script.append([])
    upstream.answers = [error(500, "server_error")]

    await send()

    errors = {span.name: span.attributes.get("error.type") for span in collector.spans}
    assert errors["gateway request"] == errors["model call"] == "server_error"
    assert errors["agent run"] == errors["turn"] == "model_failed"
    [request] = collector.named("gateway request")
    assert request.attributes["http.response.status_code"] == 500


async def test_a_refused_call_belongs_to_its_turn(
    send: Send,
    runtime: CallingRuntime,
    upstream: FakeUpstream,
    collector: Collector,
):
    runtime.calls = ({**CHAT, "n": 1_000_000},)

    await send()

    [call] = collector.named("model call")
    assert path_of(call, collector.spans)[1:] == ["turn", "agent run", "model call"]
    assert (call.is_error, call.attributes["error.type"]) == (True, "budget_spent")
    assert upstream.received == []


async def test_a_repeated_request_is_no_second_root(
    send: Send,
    upstream: FakeUpstream,
    collector: Collector,
):
    upstream.answers = [whole_stream(), completion()]
    key = {"Idempotency-Key": "one"}

    first = await send(**key)
    second = await send(**key)

    assert first.json()["turn_id"] == second.json()["turn_id"]
    assert len([span for span in collector.spans if not span.parent_id]) == 1


class TestWithASamplerThatKeepsNone:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(
            update={
                "otel_traces_sampler": "parentbased_traceidratio",
                "otel_traces_sampler_arg": "0",
            }
        )

    async def test_nothing_is_sent_and_the_gateway_is_told(
        self,
        send: Send,
        upstream: FakeUpstream,
        collector: Collector,
    ):
        upstream.answers = [whole_stream(), completion()]

        await send()

        assert collector.spans == []
        assert upstream.received[0].headers["traceparent"].endswith("-00")
