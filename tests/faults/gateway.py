"""A billing gateway that gives scripted answers over real HTTP, lies included, and keeps books."""

import asyncio
import json
import select
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from chat_platform.ports import SpendRecord
from chat_platform.values.ids import AccountId, CallId
from tests.fakes import FakeGateway
from tests.faults.gateway_answers import IDLE_DATA, PROMPT_TOKENS, cost_of, http_bytes, tokens_of
from tests.faults.scripts import GOOD, UNANSWERED, ModelAnswer, RunScript

_PIECES = 4
_IDLE_SECONDS = 0.5


@dataclass(frozen=True)
class Sent:
    """A request that reached the gateway: its call, its run's text, and its step and attempt."""

    call_id: CallId
    text: str
    step: int
    try_: int
    """How often the gateway had received the same request before."""


@dataclass
class Gateway(FakeGateway):
    """`scripts` has the scripts by the message's text, `truth` the cost of each answered call."""

    scripts: dict[str, RunScript] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    answered: Counter[CallId] = field(default_factory=Counter)
    truth: dict[CallId, SpendRecord] = field(default_factory=dict)
    has_logs: bool = True
    met: Counter[str] = field(default_factory=Counter)
    url: str = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Gateway"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def spend(
        self, account_id: AccountId, *, since_ms: int, until_ms: int
    ) -> Sequence[SpendRecord] | None:
        await self.check()
        return list(self.truth.values()) if self.has_logs else None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        idle_data: bytes | None = b""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            # When down, it still reads what its socket had received, and does not answer it.
            while idle_data is not None:
                sent = self._note(*await _read_next(reader, writer, idle_data))
                idle_data = None if self.is_down else await self._answer(sent, writer)
        writer.transport.abort()

    async def _answer(self, sent: Sent, writer: asyncio.StreamWriter) -> bytes | None:
        """Return what to send unasked on the idle connection; None if the connection is closed."""
        answer = self.scripted(sent)
        self.met[answer.kind] += answer.kind not in GOOD
        await asyncio.sleep(answer.seconds)
        if answer.kind == "silent":
            await asyncio.sleep(300)
        if answer.kind in ("silent", "dropped"):
            return None
        self.answered[sent.call_id] += 1
        if answer.kind not in UNANSWERED:
            self.truth[sent.call_id] = _record(sent.call_id, answer)
        raw = http_bytes(answer)
        if answer.kind == "cut":
            raw = raw[: int(len(raw) * answer.cut_at)]
        size = max(1, len(raw) // _PIECES)
        for start in range(0, len(raw), size):
            writer.write(raw[start : start + size])
            await writer.drain()
            await asyncio.sleep(answer.seconds / _PIECES)
        return None if answer.kind == "cut" else IDLE_DATA.get(answer.kind, b"")

    def scripted(self, sent: Sent) -> ModelAnswer:
        return self.scripts[sent.text].answer_to(sent.step, sent.try_)

    def _note(self, headers: dict[str, str], body: dict[str, Any]) -> Sent:
        text, number = body["messages"][-1]["content"].split("#")
        step = int(number)
        tries = sum((sent.text, sent.step) == (text, step) for sent in self.sent)
        sent = Sent(CallId(headers["x-litellm-call-id"]), text, step, tries)
        self.sent.append(sent)
        return sent


async def _read_next(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle_data: bytes
) -> tuple[dict[str, str], dict[str, Any]]:
    """Read the next request; if it takes long, send something unasked."""
    reading = asyncio.ensure_future(_read(reader))
    try:
        if idle_data:
            await asyncio.wait({reading}, timeout=_IDLE_SECONDS)
            # What has arrived has now been read, or is still in the socket.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            asked = select.poll()
            asked.register(writer.get_extra_info("socket").fileno(), select.POLLIN)
            if not reading.done() and not asked.poll(0):
                writer.write(idle_data)
        return await reading
    finally:
        reading.cancel()


async def _read(reader: asyncio.StreamReader) -> tuple[dict[str, str], dict[str, Any]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    pairs = (line.partition(": ") for line in head.split("\r\n")[1:] if line)
    headers = {name.lower(): value for name, _, value in pairs}
    return headers, json.loads(await reader.readexactly(int(headers["content-length"])))


def _record(call_id: CallId, answer: ModelAnswer) -> SpendRecord:
    return SpendRecord(call_id, cost_of(answer), PROMPT_TOKENS, tokens_of(answer), is_success=True)
