"""An agent server's call to the proxy of one process, as its web server would pass it on."""

import asyncio
import json
from typing import Any

from starlette.types import Message

from tests.contexts import GLOBAL_KEY
from tests.faults.agents import Heard, Question, text_heard
from tests.faults.processes import Process


async def ask(process: Process, question: Question) -> Heard:
    """Make the call; if the process dies or stays silent, the call has failed."""
    gone = asyncio.Event()
    messages: list[Message] = [{"type": "http.request", "body": json.dumps(question.body).encode()}]
    heard: list[Message] = []

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        heard.append(message)

    answering = process.spawn(process.proxy(_scope(question), receive, send))
    dying = asyncio.ensure_future(process.died.wait())
    try:
        await asyncio.wait(
            {answering, dying},
            timeout=question.patience_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        dying.cancel()
        gone.set()
    return _heard(heard)


def _scope(question: Question) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": f"/api/v1/llm-proxy/{question.agent_id}/chat/completions",
        "headers": [
            (b"authorization", f"Bearer {GLOBAL_KEY}".encode()),
            (b"x-stainless-retry-count", b"%d" % question.try_),
        ],
        "client": ("127.0.0.1", 1),
    }


def _heard(messages: list[Message]) -> Heard:
    if not messages:
        return Heard(0, None)
    status = messages[0]["status"]
    bodies = messages[1:]
    is_whole = bool(bodies) and not bodies[-1].get("more_body", False)
    body = b"".join(message["body"] for message in bodies)
    return Heard(status, text_heard(body) if status == 200 and is_whole else None)
