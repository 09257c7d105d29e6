"""The demo model's HTTP side: `/v1/chat/completions`, `/v1/embeddings`, `/v1/models`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from chat_platform.demo_model import faults as out_of_order
from chat_platform.demo_model.answers import Answer, answer
from chat_platform.demo_model.calls import Call, CallList
from chat_platform.demo_model.context_window import ContextWindow, read_context
from chat_platform.demo_model.embeddings import DIMENSIONS, embed, to_base64
from chat_platform.demo_model.faults import FailureCounts, Faults, apply_faults, read_faults
from chat_platform.demo_model.tokens import count_prompt, count_tokens
from chat_platform.demo_model.wire import (
    DONE,
    Completion,
    chunks,
    complete,
    error_body,
    event,
    usage_chunk,
    whole_body,
)
from chat_platform.values.clock import now_ms
from chat_platform.values.default_models import DEMO_CHAT_MODEL, DEMO_EMBEDDING_MODEL
from chat_platform.values.ids import new_id

_MALFORMED = b'data: {"id": "broken", "choi\n\n'


class ConnectionCut(Exception):
    """Raised in the middle of an answer, to make the server drop the connection."""


def create_app(*, with_faults: bool = False) -> Starlette:
    model = _DemoModel(with_faults=with_faults)
    routes = [
        Route("/v1/chat/completions", model.chat, methods=["POST"]),
        Route("/v1/embeddings", model.embeddings, methods=["POST"]),
        Route("/v1/models", model.models),
    ]
    if with_faults:
        routes.append(Route("/__calls", model.list_calls, methods=["GET", "DELETE"]))
    return Starlette(routes=routes)


class _DemoModel:
    def __init__(self, *, with_faults: bool) -> None:
        self._with_faults = with_faults
        self._calls = CallList()
        self._failures = FailureCounts()

    async def models(self, _request: Request) -> Response:
        names = (DEMO_CHAT_MODEL, DEMO_EMBEDDING_MODEL)
        data = [{"id": name, "object": "model", "owned_by": "chat-platform"} for name in names]
        return JSONResponse({"object": "list", "data": data})

    async def list_calls(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._calls.clear()
        return JSONResponse(self._calls.as_list())

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        context = read_context(body)
        call = self._note(request, body, context.last_words)
        faults = self._faults(context.last_words)
        refusal = self._refusal(body, DEMO_CHAT_MODEL, faults, context.last_words)
        if refusal:
            call.state = "failed"
            return refusal
        chosen = apply_faults(answer(context), faults, context)
        completion = _completion(body, context, chosen)
        call.usage = completion.usage
        if body.get("stream"):
            pieces = _stream(body, completion, chosen, faults, call)
            return StreamingResponse(pieces, media_type="text/event-stream")
        return await _whole(completion, faults, call)

    async def embeddings(self, request: Request) -> Response:
        body = await request.json()
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        words = "\n".join(str(text) for text in texts)
        call = self._note(request, body, words)
        refusal = self._refusal(body, DEMO_EMBEDDING_MODEL, self._faults(words), words)
        if refusal:
            call.state = "failed"
            return refusal
        tokens = sum(count_tokens(str(text)) for text in texts)
        call.usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        call.state = "done"
        return JSONResponse(
            {
                "object": "list",
                "model": body["model"],
                "data": [_embedding(body, i, str(text)) for i, text in enumerate(texts)],
                "usage": call.usage,
            }
        )

    def _note(self, request: Request, body: dict[str, Any], words: str) -> Call:
        return self._calls.open(
            path=request.url.path,
            model=str(body.get("model")),
            authorization=request.headers.get("authorization", ""),
            is_streamed=bool(body.get("stream")),
            last_words=words,
        )

    def _faults(self, words: str) -> Faults:
        return read_faults(words) if self._with_faults else out_of_order.NONE

    def _refusal(
        self, body: dict[str, Any], model: str, faults: Faults, words: str
    ) -> JSONResponse | None:
        if body.get("model") != model:
            text = f"The model `{body.get('model')}` does not exist."
            return JSONResponse(error_body(404, text), status_code=404)
        if self._failures.is_due(faults, words):
            status = faults.fail_status or 500
            return JSONResponse(error_body(status, f"Asked to fail: {status}"), status_code=status)
        return None


def _completion(body: dict[str, Any], context: ContextWindow, chosen: Answer) -> Completion:
    return complete(
        chosen,
        # Unlike everything else, new each time: gateways bill by it, and would drop duplicates.
        id=f"chatcmpl-{new_id()}",
        model=body["model"],
        created=now_ms() // 1000,
        prompt_tokens=count_prompt(context.messages, body.get("tools") or []),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
    )


async def _whole(completion: Completion, faults: Faults, call: Call) -> Response:
    try:
        await asyncio.sleep(faults.silence_seconds)
    except asyncio.CancelledError:
        call.state = "disconnected"
        raise
    if faults.is_cut:
        call.state = "failed"
        return StreamingResponse(_cut_off(), media_type="application/json")
    if faults.is_malformed:
        call.state = "failed"
        return Response('{"id": "broken", "choi', media_type="application/json")
    call.state = "done"
    answer_body = whole_body(completion)
    if faults.hides_usage:
        del answer_body["usage"]
    return JSONResponse(answer_body)


async def _cut_off() -> AsyncIterator[bytes]:
    yield b'{"id": "cut'
    raise ConnectionCut


async def _stream(
    body: dict[str, Any], completion: Completion, chosen: Answer, faults: Faults, call: Call
) -> AsyncIterator[bytes]:
    """Yield the events of a streamed answer; if the caller leaves, the state is `disconnected`."""
    try:
        async for piece in _events(completion, chosen, faults):
            yield piece
            call.pieces_sent += 1
        if not faults.is_unfinished:
            asked = (body.get("stream_options") or {}).get("include_usage")
            if asked and not faults.hides_usage:
                yield event(usage_chunk(completion))
            yield DONE
        call.state = "done"
    except (asyncio.CancelledError, GeneratorExit):
        call.state = "disconnected"
        raise
    except ConnectionCut:
        call.state = "failed"
        raise


async def _events(completion: Completion, chosen: Answer, faults: Faults) -> AsyncIterator[bytes]:
    all_chunks = list(chunks(completion))
    middle = len(all_chunks) // 2
    for number, chunk in enumerate(all_chunks):
        if number == 1:
            await asyncio.sleep(faults.silence_seconds)
        if number == middle and faults.is_cut:
            raise ConnectionCut
        if number == middle and faults.is_malformed:
            yield _MALFORMED
        is_last = number == len(all_chunks) - 1
        if is_last and faults.is_unfinished:
            return
        yield event(chunk)
        await asyncio.sleep(chosen.pace_ms / 1000)


def _embedding(body: dict[str, Any], index: int, text: str) -> dict[str, Any]:
    vector = embed(text, int(body.get("dimensions") or DIMENSIONS))
    value = to_base64(vector) if body.get("encoding_format") == "base64" else vector
    return {"object": "embedding", "index": index, "embedding": value}
