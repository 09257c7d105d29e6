"""Forwards one call to LiteLLM, relays its answer as it arrives, and records how it ended.

Whatever happens (a failure, silence, a lost caller, a cancelled turn), the call is settled exactly
once, before the last byte of its answer is sent.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Literal

import structlog
from starlette.types import Send

from chat_platform.billing import ledger, metrics
from chat_platform.billing.ledger_rows import Settlement
from chat_platform.billing.open_calls import OpenCall
from chat_platform.context import AppContext
from chat_platform.ports import ModelPrice
from chat_platform.proxy import answers, metering, problems
from chat_platform.proxy.call_request import CallRequest
from chat_platform.proxy.metering import CALL_ID_HEADER, COST_HEADER, Metered
from chat_platform.proxy.payers import Payer
from chat_platform.proxy.problems import Problem
from chat_platform.proxy.sse import StreamWatch
from chat_platform.proxy.upstream import Answer, AnswerBroken, AnswerTooLong, Unreachable, Upstream
from chat_platform.values.ids import TurnId
from chat_platform.values.json_size import is_heavy

log = structlog.get_logger()

# An instant answer fills the buffer: its first bytes must not wait for the rest.
_FIRST_BYTES = 4096
_BYTES_AT_ONCE = 4 * 1024
_TURN_SECONDS = 0.005
"""How long events are read before everybody else has a turn."""

_ANSWERED = 200
_MAX_ERROR_BYTES = 128 * 1024
_MAX_NAME = 200

_Ending = Literal["settled", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class PaidCall:
    """A call whose intent is committed: its payer, request and price."""

    call: OpenCall
    request: CallRequest
    payer: Payer
    price: ModelPrice
    turn_id: TurnId | None


class Relay:
    """The relay of one call to LiteLLM and back."""

    def __init__(self, ctx: AppContext, client: Upstream, paid: PaidCall, send: Send) -> None:
        self._ctx = ctx
        self._client = client
        self._paid = paid
        self._send = send
        self._began_at = time.perf_counter()
        self._first_byte_ms: int | None = None
        self._upstream_status: int | None = None
        self._gateway_call_id: str | None = None
        self._watch: StreamWatch | None = None
        self._is_sent = False
        self._has_begun = False
        self._is_settled = False

    async def run(self) -> bool:
        """Relay the call; return whether it succeeded.

        Raises Problem if it failed before anything was sent.
        """
        try:
            return await self._exchange()
        except asyncio.CancelledError:
            return await self._end_cancelled()
        except Unreachable:
            return await self._fail(problems.unreachable(), metering.NOTHING)
        except TimeoutError:
            return await self._end_early(problems.timed_out())
        except AnswerBroken:
            return await self._end_early(problems.broken_answer())
        except AnswerTooLong:
            return await self._end_early(problems.too_long_answer())
        except Exception:
            self._settle("failed", self._broken(), error_code="internal_error")
            if not self._has_begun:
                raise
            log.exception("proxy.failed", **_ids(self._paid))
            return await self._tell(problems.internal_error())

    async def _exchange(self) -> bool:
        settings = self._ctx.settings
        async with (
            asyncio.timeout(settings.proxy_first_byte_timeout_seconds) as limit,
            self._client.post(
                f"/v1/{self._paid.request.endpoint}",
                self._headers(),
                self._paid.request.body,
                on_sent=self._note_sent,
            ) as response,
        ):
            if _is_event_stream(response):
                return await self._stream(response, limit)
            return await self._whole(response)

    async def _whole(self, response: Answer) -> bool:
        self._note_start(response)
        if response.status >= 400:
            return await self._pass_error(response)
        try:
            body = await response.read(self._ctx.settings.proxy_max_answer_bytes)
            _ensure_light(body)
        except AnswerTooLong as too_long:
            return await self._fail(problems.too_long_answer(), self._cut(response, too_long))
        if response.status != _ANSWERED:
            # Redirects, partial or no content: not a model's answer.
            refusal = metering.of_refusal(response.header(COST_HEADER))
            return await self._fail(problems.broken_answer(), refusal)
        answer = metering.read_answer(body)
        usage = (answer or {}).get("usage")
        metered = metering.of_answer(
            self._paid.request,
            self._paid.price,
            usage if isinstance(usage, dict) else None,
            text_length=lambda: metering.text_length(answer or {}),
            header_cost=response.header(COST_HEADER),
        )
        if answer is None or not _has_content(answer):
            return await self._fail(problems.broken_answer(), metered)
        self._settle("settled", metered, response_id=_text(answer.get("id")))
        headers = answers.passed_headers(response.headers)
        await self._answer(response.status, headers, body)
        return True

    def _cut(self, response: Answer, too_long: AnswerTooLong) -> Metered:
        """Charge an unread answer: as LiteLLM reports, or by its length."""
        is_text = self._paid.request.endpoint == "chat/completions"
        return metering.of_answer(
            self._paid.request,
            self._paid.price,
            None,
            text_length=lambda: too_long.length if is_text else 0,
            header_cost=response.header(COST_HEADER),
        )

    async def _pass_error(self, response: Answer) -> bool:
        metered = metering.of_refusal(response.header(COST_HEADER))
        try:
            body = await response.read(_MAX_ERROR_BYTES)
        except AnswerTooLong:
            return await self._fail(problems.too_long_answer(), metered)
        self._settle("failed", metered, error_code=answers.error_type(body))
        replaced = answers.replaced_error(response.status, body)
        if replaced:
            raise replaced
        headers = answers.passed_headers(response.headers)
        headers = [(name, answers.without_keys(value)) for name, value in headers]
        await self._answer(response.status, headers, answers.without_keys(body))
        return False

    async def _stream(self, response: Answer, limit: asyncio.Timeout) -> bool:
        watch = StreamWatch(hides_usage=self._paid.request.hides_usage, clean=answers.without_keys)
        self._watch = watch
        silence = self._ctx.settings.proxy_silence_timeout_seconds
        clock = asyncio.get_running_loop().time
        while piece := await response.piece():
            if not self._has_begun:
                await self._begin_stream(response)
                await self._pass_events(watch, watch.feed(piece[:_FIRST_BYTES]))
                piece = piece[_FIRST_BYTES:]
            await self._pass_piece(watch, piece)
            limit.reschedule(clock() + silence)
        if not self._has_begun:
            await self._begin_stream(response)
        return await self._end_stream(watch)

    async def _pass_piece(self, watch: StreamWatch, piece: bytes) -> None:
        """Pass a piece on at once, unless it takes so long that others must have a turn."""
        passed: list[bytes] = []
        began_at = time.perf_counter()
        for at in range(0, len(piece), _BYTES_AT_ONCE):
            passed.append(watch.feed(piece[at : at + _BYTES_AT_ONCE]))
            if watch.is_too_long:
                break
            if time.perf_counter() - began_at > _TURN_SECONDS:
                await self._pass_events(watch, b"".join(passed))
                await asyncio.sleep(0)
                passed, began_at = [], time.perf_counter()
        await self._pass_events(watch, b"".join(passed))

    async def _pass_events(self, watch: StreamWatch, events: bytes) -> None:
        if watch.is_whole and watch.usage:
            # Callers hang up as soon as they have read `[DONE]`, and may call again at once.
            # Some gateways report usage only after it.
            self._settle_whole(watch)
        if events:
            await self._send_body(events, more=True)
        if watch.is_too_long:
            raise AnswerTooLong(watch.text_length)

    async def _begin_stream(self, response: Answer) -> None:
        self._note_start(response)
        self._has_begun = True
        headers = answers.passed_headers(response.headers)
        await self._send(
            {"type": "http.response.start", "status": response.status, "headers": headers}
        )

    async def _end_stream(self, watch: StreamWatch) -> bool:
        rest = watch.end()
        if watch.is_whole:
            self._settle_whole(watch)
            await self._send_body(rest, more=False)
            return True
        code = "error_event" if watch.error else "broken_answer"
        self._settle("failed", self._broken(), error_code=code)
        # LiteLLM's own error event has already told the caller.
        told = b"" if watch.error else _after(rest, problems.broken_answer().as_event())
        await self._send_body(rest + told, more=False)
        return False

    async def _end_cancelled(self) -> bool:
        call = self._paid.call
        if call.abort_reason is None:
            # The server itself is shutting down.
            self._settle("cancelled", self._broken(), error_code="server_stopped")
            raise asyncio.CancelledError
        call.task.uncancel()
        if self._watch and self._watch.is_whole:
            self._settle_whole(self._watch)
            return True
        self._settle("cancelled", self._broken(), error_code=call.abort_reason)
        if call.abort_reason == CALLER_GONE:
            return False
        return await self._tell(problems.turn_cancelled())

    def _settle_whole(self, watch: StreamWatch) -> None:
        metered = metering.of_answer(
            self._paid.request, self._paid.price, watch.usage, text_length=lambda: watch.text_length
        )
        self._settle("settled", metered, response_id=watch.response_id)

    async def _end_early(self, problem: Problem) -> bool:
        """End a call whose connection was lost or silent; harmless once the answer is complete."""
        if self._watch and self._watch.is_whole:
            return await self._end_stream(self._watch)
        return await self._fail(problem, self._broken())

    async def _fail(self, problem: Problem, metered: Metered) -> bool:
        self._settle("failed", metered, error_code=problem.code)
        return await self._tell(problem)

    async def _tell(self, problem: Problem) -> bool:
        """Report a failure to the caller; as an event if the stream has begun."""
        if not self._has_begun:
            raise problem
        rest = self._watch.end() if self._watch else b""
        await self._send_body(rest + _after(rest, problem.as_event()), more=False)
        return False

    def _broken(self) -> Metered:
        if not self._is_sent:
            return metering.NOTHING
        watch, paid = self._watch, self._paid
        if watch is None:
            return metering.of_broken(paid.request, paid.price, text_length=0)
        return metering.of_broken(
            paid.request, paid.price, text_length=watch.text_length, usage=watch.usage
        )

    def _headers(self) -> list[tuple[str, str]]:
        return [
            ("authorization", f"Bearer {self._paid.payer.billing_key}"),
            ("content-type", "application/json"),
            # A compressed answer could not be metered or cleaned on the fly.
            ("accept-encoding", "identity"),
            (CALL_ID_HEADER.decode(), self._paid.call.call_id),
            ("x-litellm-spend-logs-metadata", _attribution(self._paid)),
        ]

    def _note_sent(self) -> None:
        self._is_sent = True

    def _note_start(self, response: Answer) -> None:
        self._first_byte_ms = self._elapsed_ms()
        self._upstream_status = response.status
        self._gateway_call_id = response.header(CALL_ID_HEADER)

    def _elapsed_ms(self) -> int:
        return round((time.perf_counter() - self._began_at) * 1000)

    def _settle(
        self,
        state: _Ending,
        metered: Metered,
        *,
        error_code: str | None = None,
        response_id: str | None = None,
    ) -> None:
        if self._is_settled:
            return
        self._is_settled = True
        settlement = Settlement(
            call_id=self._paid.call.call_id,
            account_id=self._paid.payer.account_id,
            state=state,
            tokens=metered.tokens,
            cost_nano_usd=metered.cost_nano_usd,
            cost_source=metered.cost_source,
            total_ms=self._elapsed_ms(),
            first_byte_ms=self._first_byte_ms,
            upstream_status=self._upstream_status,
            error_code=_name(error_code),
            gateway_call_id=_name(self._gateway_call_id),
            response_id=_name(response_id or (self._watch.response_id if self._watch else None)),
        )
        self._book(settlement)

    def _book(self, settlement: Settlement) -> None:
        metrics.count_call(settlement)
        if settlement.state != "settled":
            error = word_of(settlement.error_code)
            log.info("call.broke", state=settlement.state, error=error, **_ids(self._paid))
        # Queued now, before anything the caller sends next; nothing waits for the commit.
        ledger.settle_call(self._ctx, settlement)

    async def _answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        headers.append((b"content-length", str(len(body)).encode()))
        self._has_begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send_body(body, more=False)

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


CALLER_GONE = "caller_gone"


def _ids(paid: PaidCall) -> dict[str, str | None]:
    """Return what a line of the log says about a call."""
    call = paid.call
    return {
        "call_id": call.call_id,
        "account_id": call.account_id,
        "agent_id": call.agent_id,
        "turn_id": paid.turn_id,
        "model": paid.request.model,
    }


def _attribution(paid: PaidCall) -> str:
    turn = f', "turn_id": "{paid.turn_id}"' if paid.turn_id else ""
    return f'{{"call_id": "{paid.call.call_id}", "account_id": "{paid.payer.account_id}"{turn}}}'


def _is_event_stream(response: Answer) -> bool:
    kind = response.header(b"content-type") or ""
    return response.status == _ANSWERED and kind.startswith("text/event-stream")


def _ensure_light(body: bytes) -> None:
    """Raises AnswerTooLong for an answer that is short but would take too long to parse."""
    if is_heavy(body):
        raise AnswerTooLong(len(body))


def _has_content(answer: dict[str, object]) -> bool:
    return bool(answer.get("choices") or answer.get("data"))


def _name(text: str | None) -> str | None:
    """Return a gateway's identifier, as far as it can be stored."""
    if text is None or (len(text) <= _MAX_NAME and text.isprintable()):
        return text
    return "".join(letter for letter in text[:_MAX_NAME] if letter.isprintable())


def word_of(code: str | None) -> str | None:
    """Return an error's code for logs and traces; a gateway's may be anything."""
    return code if code is None or code.isidentifier() else "other"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _after(rest: bytes, event: bytes) -> bytes:
    """Return the event, separated from the incomplete event at the end of the stream."""
    return b"\n\n" + event if rest else event
