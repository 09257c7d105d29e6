"""OpenAI's formats: completions, their chunks, embeddings, errors."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chat_platform.demo_model.answers import Answer, ToolCall
from chat_platform.demo_model.tokens import count_tokens, cut_to_tokens

_PIECE = re.compile(r"\s*\S+\s*|\s+")
_ARGUMENT_PIECE = 16
_ERRORS = {
    401: ("invalid_api_key", "authentication_error"),
    402: ("insufficient_quota", "insufficient_quota"),
    404: ("model_not_found", "invalid_request_error"),
    429: ("rate_limit_exceeded", "rate_limit_error"),
}


@dataclass(frozen=True)
class Completion:
    """An answer as it is sent: cut to the caller's limit, with its usage."""

    id: str
    model: str
    created: int
    prompt_tokens: int
    text: str
    tool_call: ToolCall | None
    finish_reason: str

    @property
    def usage(self) -> dict[str, int]:
        told = self.text if self.tool_call is None else _arguments(self.tool_call)
        spoken = count_tokens(told)
        total = self.prompt_tokens + spoken
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": spoken,
            "total_tokens": total,
        }


def complete(
    answer: Answer, *, id: str, model: str, created: int, prompt_tokens: int, limit: int | None
) -> Completion:
    text = answer.text if limit is None else cut_to_tokens(answer.text, limit)
    finish = "stop" if text == answer.text else "length"
    if answer.tool_call:
        finish = "tool_calls"
    return Completion(id, model, created, prompt_tokens, text, answer.tool_call, finish)


def whole_body(completion: Completion) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": completion.text or None}
    if completion.tool_call:
        message["tool_calls"] = [_call_body(completion.id, completion.tool_call)]
    choice = {"index": 0, "message": message, "finish_reason": completion.finish_reason}
    return {
        **_head(completion, "chat.completion"),
        "choices": [choice],
        "usage": completion.usage,
    }


def chunks(completion: Completion) -> Iterator[dict[str, Any]]:
    """Yield the stream's chunks up to the finish reason, without usage."""
    yield _chunk(completion, {"role": "assistant", "content": ""})
    if completion.tool_call:
        yield from _call_chunks(completion, completion.tool_call)
    else:
        for piece in _PIECE.findall(completion.text):
            yield _chunk(completion, {"content": piece})
    yield _chunk(completion, {}, finish=completion.finish_reason)


def usage_chunk(completion: Completion) -> dict[str, Any]:
    head = _head(completion, "chat.completion.chunk")
    return {**head, "choices": [], "usage": completion.usage}


def event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def error_body(status: int, message: str) -> dict[str, Any]:
    code, kind = _ERRORS.get(status, ("server_error", "server_error"))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _head(completion: Completion, kind: str) -> dict[str, Any]:
    return {
        "id": completion.id,
        "object": kind,
        "created": completion.created,
        "model": completion.model,
    }


def _chunk(completion: Completion, delta: dict[str, Any], finish: str | None = None) -> dict:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {**_head(completion, "chat.completion.chunk"), "choices": [choice]}


def _call_chunks(completion: Completion, call: ToolCall) -> Iterator[dict[str, Any]]:
    body = _call_body(completion.id, call)
    arguments = body["function"]["arguments"]
    begin = {**body, "index": 0, "function": {"name": call.name, "arguments": ""}}
    yield _chunk(completion, {"tool_calls": [begin]})
    for start in range(0, len(arguments), _ARGUMENT_PIECE):
        piece = {"arguments": arguments[start : start + _ARGUMENT_PIECE]}
        yield _chunk(completion, {"tool_calls": [{"index": 0, "function": piece}]})


def _call_body(completion_id: str, call: ToolCall) -> dict[str, Any]:
    return {
        "id": f"call_{completion_id.removeprefix('chatcmpl-')}",
        "type": "function",
        "function": {"name": call.name, "arguments": _arguments(call)},
    }


def _arguments(call: ToolCall) -> str:
    return json.dumps(call.arguments, ensure_ascii=False)
