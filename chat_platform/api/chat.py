"""Talking to one's agent: send a message, follow its turn, stop it."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from chat_platform.api.deps import ChatCaller, Ctx, limit_messages
from chat_platform.api.event_stream import event_stream, until_draining
from chat_platform.api.fields import RowId
from chat_platform.api.openapi import problems
from chat_platform.clock import to_rfc3339
from chat_platform.context import AppContext
from chat_platform.errors import Conflict, NotFound
from chat_platform.history.pages import message_data
from chat_platform.ids import AccountId, TurnId
from chat_platform.models import ModelCall
from chat_platform.money import to_usd_text
from chat_platform.turn_events import TurnEvent
from chat_platform.turns import turns
from chat_platform.turns.failures import TurnFailure, error_of

router = APIRouter(prefix="/chat", tags=["chat"])


class NewMessage(BaseModel):
    content: str
    """1 to 20,000 characters."""


class MessageOut(BaseModel):
    id: str
    role: str
    content: str
    turn_id: str
    created_at: str
    status: str


class UsageOut(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    model_calls: int
    cost_usd: str
    pending_calls: int
    """Calls whose cost is not final yet."""


class Reply(BaseModel):
    turn_id: str
    message: MessageOut
    usage: UsageOut


class StepOut(BaseModel):
    kind: str
    name: str
    status: str
    detail: str


class CallOut(BaseModel):
    id: str
    kind: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: str
    status: str
    started_at: str
    seconds: float | None


class FailureOut(BaseModel):
    """Why a turn failed: the code, and words for the person."""

    code: str
    detail: str


class TurnOut(BaseModel):
    turn_id: str
    status: str
    error: FailureOut | None
    messages: list[MessageOut]
    usage: UsageOut
    steps: list[StepOut]
    calls: list[CallOut]


class TurnRef(BaseModel):
    turn_id: str


LastEventId = Annotated[str, Header(alias="Last-Event-ID")]


@router.post(
    "/message",
    response_model=Reply,
    dependencies=[Depends(limit_messages)],
    responses={202: {"model": TurnRef}, **problems(402, 404, 409, 502)},
)
async def send_message(
    ctx: Ctx,
    caller: ChatCaller,
    new: NewMessage,
    request: Request,
    idempotency_key: Annotated[str | None, Header()] = None,
    prefer: Annotated[str, Header()] = "",
    accept: Annotated[str, Header()] = "",
    last_event_id: LastEventId = "",
) -> Response | Reply:
    """Send a message to the agent and get its reply: as JSON, as a stream of events, or later."""
    turn_id = await turns.start_turn(
        ctx, caller.account, text=new.content, idempotency_key=idempotency_key
    )
    if "respond-async" in prefer:
        return _accepted(turn_id, {"Preference-Applied": "respond-async"})
    if "text/event-stream" in accept:
        after = _number(last_event_id)
        return event_stream(ctx, turns.follow_started(ctx, turn_id, after=after))
    return await _reply(ctx, turn_id, turns.follow_started(ctx, turn_id))


@router.get("/turns/{turn_id}")
async def show_turn(ctx: Ctx, caller: ChatCaller, turn_id: RowId) -> TurnOut:
    """Show a turn with its messages, steps, model calls and what it cost until now."""
    view = await turns.turn_view(ctx, AccountId(caller.account.id), TurnId(turn_id))
    code, detail = view.turn.error_code, view.turn.error_detail or ""
    return TurnOut(
        turn_id=turn_id,
        status=view.turn.status,
        error=FailureOut(code=code, detail=detail) if code else None,
        messages=[MessageOut(**message_data(message)) for message in view.messages],
        usage=UsageOut(**turns.usage_data(view.usage)),
        steps=[StepOut(**event.data) for event in view.steps],
        calls=[_call(call) for call in view.calls],
    )


@router.get("/turns/{turn_id}/events", response_class=Response)
async def follow_turn(
    ctx: Ctx, caller: ChatCaller, turn_id: RowId, last_event_id: LastEventId = ""
) -> Response:
    """Follow or replay a turn's events, after `Last-Event-ID` where it is given."""
    account_id = AccountId(caller.account.id)
    # Asked before the answer begins: afterwards it could not be a 404.
    await turns.turn_of(ctx, account_id, TurnId(turn_id))
    after = _number(last_event_id)
    return event_stream(ctx, turns.follow_started(ctx, TurnId(turn_id), after=after))


@router.post("/turns/{turn_id}/cancel", status_code=202)
async def cancel_turn(ctx: Ctx, caller: ChatCaller, turn_id: RowId) -> TurnRef:
    """Stop a turn: within a second nothing more is spent. What was said is kept."""
    await turns.cancel_turn(ctx, AccountId(caller.account.id), TurnId(turn_id))
    return TurnRef(turn_id=turn_id)


async def _reply(
    ctx: AppContext, turn_id: TurnId, events: AsyncGenerator[TurnEvent, None]
) -> Reply:
    """Wait for the turn's end. Raises what the turn failed of."""
    message: dict[str, Any] = {}
    end: TurnEvent | None = None
    async for event in until_draining(ctx, events):
        if event and event.type == "message.completed":
            message = event.data["message"]
        if event and event.is_end:
            end = event
    if end is None:
        if ctx.running_turns.draining.is_set():
            raise turns.restarting(turn_id)
        raise NotFound("There is no such turn.")
    _raise_if_not_completed(turn_id, end)
    return Reply(
        turn_id=turn_id, message=MessageOut(**message), usage=UsageOut(**end.data["usage"])
    )


def _raise_if_not_completed(turn_id: TurnId, end: TurnEvent) -> None:
    if end.type == "turn.failed":
        raise error_of(TurnFailure(end.data["code"], end.data["detail"]), turn_id)
    if end.type == "turn.cancelled":
        raise Conflict(
            "This turn was stopped. What was said is in the history.",
            code="turn_cancelled",
            extra={"turn_id": turn_id},
        )


def _accepted(turn_id: TurnId, headers: dict[str, str]) -> JSONResponse:
    location = f"/api/v1/chat/turns/{turn_id}"
    return JSONResponse(
        {"turn_id": turn_id}, status_code=202, headers={"Location": location, **headers}
    )


def _call(call: ModelCall) -> CallOut:
    return CallOut(
        id=call.id,
        kind=call.kind,
        model=call.model,
        prompt_tokens=call.prompt_tokens,
        completion_tokens=call.completion_tokens,
        cost_usd=to_usd_text(call.cost_nano_usd),
        status=call.state,
        started_at=to_rfc3339(call.started_at_ms),
        seconds=None if call.total_ms is None else call.total_ms / 1000,
    )


def _number(last_event_id: str) -> int:
    """Read a reader's place; what is no number of ours means from the start, as in browsers."""
    text = last_event_id.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
