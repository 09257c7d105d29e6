"""A run's chunks become events: each piece once, each step begun and ended, each end checked."""

import tracemalloc
from functools import cache
from typing import Any

import pytest
from letta_client import AsyncLetta
from letta_client.types.agents import LettaStreamingResponse

from chat_platform.adapters.letta.stream import RunReader
from chat_platform.errors import PlatformError
from chat_platform.ports import RunCancelled, RunEvent, RunStarted, StepChanged, TextPiece

PING = {"message_type": "ping", "id": "ping-1", "run_id": "run-1", "date": "2026-01-01T00:00:00Z"}


def chunk(message_type: str, **fields: Any) -> LettaStreamingResponse:
    """Return a chunk as the client builds it from the wire."""
    data = {"message_type": message_type, "date": "2026-01-01T00:00:00Z", "id": "m1", **fields}
    return _client()._process_response_data(
        data=data,
        cast_to=LettaStreamingResponse,  # pyright: ignore[reportArgumentType]
        response=None,  # pyright: ignore[reportArgumentType]
    )


@cache
def _client() -> AsyncLetta:
    """Return one client for all chunks: making one reads the certificates, which takes 50 ms."""
    return AsyncLetta(base_url="http://letta.test", api_key="x")


def said(text: Any, message: str = "m1") -> LettaStreamingResponse:
    return chunk("assistant_message", id=message, content=text)


def tool_call(name: str | None = None, arguments: str | None = None, call: str = "c1"):
    piece = {"name": name, "arguments": arguments, "tool_call_id": call}
    return chunk("tool_call_message", tool_call=piece)


def tool_return(status: str = "success", call: str = "c1"):
    return chunk("tool_return_message", status=status, tool_call_id=call, tool_return="...")


def stop(reason: str) -> LettaStreamingResponse:
    return chunk("stop_reason", stop_reason=reason)


def read(*chunks: LettaStreamingResponse) -> list[RunEvent]:
    reader = RunReader("a-model")
    return [event for piece in chunks for event in reader.read(piece)]


def finish(*chunks: LettaStreamingResponse) -> None:
    reader = RunReader("a-model")
    for piece in chunks:
        list(reader.read(piece))
    reader.finish()


def texts(events: list[RunEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, TextPiece)]


def steps(events: list[RunEvent], kind: str) -> list[tuple[str, str, str]]:
    return [
        (event.name, event.status, event.detail)
        for event in events
        if isinstance(event, StepChanged) and event.kind == kind
    ]


def test_the_first_chunk_tells_the_run():
    events = read(chunk(**PING), chunk(**PING))

    assert events == [RunStarted("run-1"), StepChanged("model_call", "a-model", "started")]


def test_pieces_of_one_message_are_one_text():
    assert texts(read(said("The sky"), said(" is blue"), said(""))) == ["The sky", " is blue"]


def test_a_second_message_is_a_paragraph_of_its_own():
    assert texts(read(said("One."), said("Two.", "m2"), said(" More.", "m2"))) == [
        "One.",
        "\n\nTwo.",
        " More.",
    ]


def test_content_in_parts_is_text():
    parts = [{"type": "text", "text": "The sky"}, {"type": "text", "text": " is blue"}]

    assert texts(read(said(parts))) == ["The sky is blue"]


def test_a_call_that_arrives_in_pieces_is_one_step():
    events = read(
        tool_call("archival_memory_search"),
        tool_call(arguments='{"que'),
        tool_call(arguments='ry": "bike"}'),
        tool_return(),
    )

    assert steps(events, "embedding") == [
        ("archival_memory_search", "started", ""),
        ("archival_memory_search", "done", "bike"),
    ]


@pytest.mark.parametrize(
    ("tool", "kind"),
    [
        ("memory_insert", "memory_edit"),
        ("memory_replace", "memory_edit"),
        ("memory", "memory_edit"),
        ("archival_memory_insert", "memory_edit"),
        ("archival_memory_search", "embedding"),
        ("conversation_search", "tool_call"),
    ],
)
def test_each_tool_is_a_step_of_its_kind(tool: str, kind: str):
    events = read(tool_call(tool, "{}"), tool_return())

    assert steps(events, kind) == [(tool, "started", ""), (tool, "done", "")]


def test_a_refused_tool_is_a_failed_step():
    assert steps(read(tool_call("memory_insert", "{}"), tool_return("error")), "memory_edit") == [
        ("memory_insert", "started", ""),
        ("memory_insert", "failed", ""),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        *("", "{", "[1]", '"words"', '{"content": "a secret"}'),
        *("[" * 90_000, '{"label": ' * 9_000, '{"label": [[["a secret"]]]}'),
    ],
    ids=lambda arguments: arguments[:30],
)
def test_a_step_shows_nothing_but_labels_and_queries(arguments: str):
    events = read(tool_call("memory_insert", arguments), tool_return())

    assert steps(events, "memory_edit")[-1] == ("memory_insert", "done", "")


def test_a_long_query_is_shown_in_short():
    events = read(tool_call("conversation_search", f'{{"query": "{"x" * 999}"}}'), tool_return())

    assert steps(events, "tool_call")[-1][2] == "x" * 200


def test_what_arguments_without_end_say_is_not_looked_into():
    events = read(
        tool_call("memory_insert", '{"label": "human", "value": "'),
        *[tool_call(arguments="x" * 1_000) for _ in range(101)],
        tool_call(arguments='"}'),
        tool_return(),
    )

    assert steps(events, "memory_edit")[-1] == ("memory_insert", "done", "")


def test_arguments_without_end_are_not_kept():
    pieces = [tool_call("memory_insert", "x" * 10_000) for _ in range(100)]
    reader = RunReader("a-model")
    tracemalloc.start()

    for piece in pieces:
        list(reader.read(piece))

    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200_000


def test_every_tool_round_is_a_model_call():
    events = read(
        chunk(**PING),
        tool_call("memory_insert", "{}"),
        tool_return(),
        said("Ok."),
        stop("end_turn"),
    )

    assert [status for _, status, _ in steps(events, "model_call")] == [
        "started",
        "done",
        "started",
        "done",
    ]


@pytest.mark.parametrize(
    ("reason", "status"), [("end_turn", "done"), ("cancelled", "done"), ("llm_api_error", "failed")]
)
def test_a_model_call_that_broke_the_run_is_a_failed_step(reason: str, status: str):
    events = read(chunk(**PING), stop(reason))

    assert steps(events, "model_call")[-1] == ("a-model", status, "")


def test_a_compaction_is_told_from_its_start_to_its_end():
    events = read(
        chunk("event_message", event_type="compaction", event_data={}),
        chunk("summary_message", summary="..."),
    )

    assert [status for _, status, _ in steps(events, "compaction")] == ["started", "done"]


def test_unknown_chunks_are_passed_over():
    assert read(chunk("hologram_message"), chunk("usage_statistics")) == []


@pytest.mark.parametrize("reason", ["end_turn", "max_steps", "max_tokens_exceeded", "tool_rule"])
def test_an_answer_that_ended_is_an_answer(reason: str):
    finish(said("Yes."), stop(reason))


def test_a_run_that_somebody_cancelled_is_not_a_whole_one():
    with pytest.raises(RunCancelled):
        finish(chunk(**PING), stop("cancelled"))


@pytest.mark.parametrize(
    ("chunks", "code"),
    [
        ([chunk(**PING)], "agent_unavailable"),
        ([said("Half an")], "agent_unavailable"),
        ([stop("end_turn")], "model_failed"),
        ([said("Half an"), stop("llm_api_error")], "model_failed"),
        ([stop("invalid_llm_response")], "model_failed"),
        ([said("Half an"), stop("error")], "model_failed"),
    ],
)
def test_an_end_without_an_answer_is_a_failure(chunks: list[LettaStreamingResponse], code: str):
    with pytest.raises(PlatformError) as failed:
        finish(*chunks)

    assert failed.value.code == code
