"""An instant model: answers every chat request from memory, streams in a burst or at a pace.

python -m benchmarks.proxy.upstream PORT
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import cast

import uvloop

CHUNKS = 500
PACED_CHUNKS = 200
GAP_SECONDS = 0.001
"""Between the chunks of a paced stream, at least."""
PACED = "Answer slowly."
"""Whoever asks with these words gets a paced stream: gateways pass a message's text on."""

_USAGE = {"prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920}
_BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "demo-chat",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "It is a fine day. " * 6},
            }
        ],
        "usage": _USAGE,
    }
).encode()
PLAIN = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-litellm-response-cost: 0.00032\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


def _chunk(choices: list[object], **more: object) -> bytes:
    fields = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    event = b"data: " + json.dumps({**fields, "choices": choices, **more}).encode() + b"\n\n"
    return _framed(event)


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_WORDS = [
    _chunk([{"index": 0, "delta": {"content": f"word{n} "}, "finish_reason": None}])
    for n in range(CHUNKS)
]
_ENDING = [
    _chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    _chunk([], usage={**_USAGE, "cost": 0.00032}),
    _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n",
]


class Model(asyncio.Protocol):
    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while request := self._take_request():
            if b'"stream": true' not in request and b'"stream":true' not in request:
                self._transport.write(PLAIN)
            elif PACED.encode() in request:
                self._transport.write(STREAM_HEAD)
                self._send_slowly(iter([*_WORDS[:PACED_CHUNKS], *_ENDING]))
            else:
                self._transport.write(STREAM_HEAD)
                for chunk in (*_WORDS, *_ENDING):
                    self._transport.write(chunk)

    def _send_slowly(self, chunks: Iterator[bytes]) -> None:
        chunk = next(chunks, None)
        if chunk is not None and not self._transport.is_closing():
            self._transport.write(chunk)
            asyncio.get_running_loop().call_later(GAP_SECONDS, self._send_slowly, chunks)

    def _take_request(self) -> bytes:
        head_end = self._data.find(b"\r\n\r\n")
        if head_end < 0:
            return b""
        head = self._data[:head_end].lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        end = head_end + 4 + length
        if len(self._data) < end:
            return b""
        request, self._data = self._data[:end], self._data[end:]
        return request


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Model, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
