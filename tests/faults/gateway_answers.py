"""A gateway's answers as bytes of HTTP, its lies and oddities included."""

import json
from typing import Any

from tests.faults.scripts import AnswerKind, ModelAnswer
from tests.proxy.fake_upstream import DONE, chunk, event

PROMPT_TOKENS = 12
INPUT_NANO_USD, OUTPUT_NANO_USD = 300, 2_500
"""A token of FakeGateway's demo-chat."""

_ABSURD_COSTS = ("1e12", "1e400", "-0.5", "nan", "inf", "", "0x10", "1_0", "\u0661", "1,5")
_ABSURD_USAGES: tuple[dict[str, Any], ...] = (
    {"prompt_tokens": 2**63, "completion_tokens": 5},
    {"prompt_tokens": 10**30, "completion_tokens": 10**30, "cost": 1e30},
    {"prompt_tokens": -12, "completion_tokens": -5, "cost": -1.0},
    {"prompt_tokens": "12", "completion_tokens": None, "cost": "nan"},
    {"prompt_tokens": 1.5, "completion_tokens": [5], "cost": {"usd": 1}},
    {"prompt_tokens": 12, "completion_tokens": 5, "cost": True, "prompt_tokens_details": [1]},
)


def cost_of(answer: ModelAnswer) -> int:
    return PROMPT_TOKENS * INPUT_NANO_USD + tokens_of(answer) * OUTPUT_NANO_USD


def http_bytes(answer: ModelAnswer) -> bytes:
    """Return the complete HTTP answer, as far as this kind has one."""
    cost = {"x-litellm-response-cost": _usd(answer)}
    match answer.kind:
        case "error_500" | "error_429" | "html":
            return _refusal(answer)
        case "plain" | "stray_while_idle":
            return _response(200, _completion(answer), **cost)
        case "absurd_cost":
            absurd = _ABSURD_COSTS[len(answer.text) % len(_ABSURD_COSTS)]
            return _response(200, _completion(answer), **{"x-litellm-response-cost": absurd})
        case "continue_100":
            return b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + _stream(answer)
        case "early_hints_103":
            hints = b"HTTP/1.1 103 Early Hints\r\nx-litellm-response-cost: 7\r\n\r\n"
            return hints + _response(200, _completion(answer), **cost)
        case "switching_101":
            return b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n" + _stream(answer)
        case "no_content_204":
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        case "partial_206":
            return _response(206, _completion(answer), **{"content-range": "bytes 0-9/99", **cost})
        case "redirect_302":
            return _response(302, {}, location="http://127.0.0.1:1/elsewhere")
        case "redirect_307":
            return _response(307, _completion(answer), location="/v1/chat/completions")
        case "not_modified_304":
            return b"HTTP/1.1 304 Not Modified\r\ncontent-length: 500\r\n\r\n"
        case "stray":
            stray = _response(200, {"choices": [], "id": "stray"}, **cost)
            return _response(200, _completion(answer), **cost) + stray
        case _:
            return _stream(answer)


def _refusal(answer: ModelAnswer) -> bytes:
    if answer.kind == "html":
        return _framed(200, "text/html", b"<html>maintenance</html>")
    status = int(answer.kind.removeprefix("error_"))
    return _response(status, {"error": {"message": "busy", "type": "x", "code": str(status)}})


def _stream(answer: ModelAnswer) -> bytes:
    usage = event({"id": "chatcmpl-1", "choices": [], "usage": _usage(answer)})
    end = [chunk(finish="stop"), usage, DONE]
    match answer.kind:
        case "no_usage":
            end = [chunk(finish="stop"), DONE]
        case "late_usage":
            end = [chunk(finish="stop"), DONE, usage]
        case "odd_events":
            end = [b": ping\n\n", event({"choices": None}), b"data:\n\n", *end]
        case "error_event":
            end = [event({"error": {"message": "overloaded", "code": "529"}})]
        case _:
            pass
    pieces = [
        chunk(answer.text[: len(answer.text) // 2]),
        chunk(answer.text[len(answer.text) // 2 :]),
    ]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, *end])
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    return head + b"\r\n" + body + b"0\r\n\r\n"


def _completion(answer: ModelAnswer) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"id": "chatcmpl-1", "choices": [choice], "usage": _usage(answer)}


def _usage(answer: ModelAnswer) -> dict[str, Any]:
    tokens = tokens_of(answer)
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens}
    if answer.kind == "absurd_usage":
        return _ABSURD_USAGES[len(answer.text) % len(_ABSURD_USAGES)]
    return {**usage, "cost": float(_usd(answer))}


def tokens_of(answer: ModelAnswer) -> int:
    return len(answer.text) // 4 + 1


def _usd(answer: ModelAnswer) -> str:
    return f"{cost_of(answer) / 1e9:.9f}"


def _response(status: int, body: dict[str, Any], **headers: str) -> bytes:
    return _framed(status, "application/json", json.dumps(body).encode(), **headers)


def _framed(status: int, kind: str, body: bytes, **headers: str) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{lines}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


IDLE_DATA: dict[AnswerKind, bytes] = {
    "stray_while_idle": _response(200, _completion(ModelAnswer("plain", "stray"))),
    "data_while_idle": b"\r\nnobody asked\r\n",
}
"""What the gateway sends some time after its answer, without a request."""
