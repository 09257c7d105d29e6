"""Talking to the agent: send a message, follow its turn, stop it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, WithJsonSchema

from chat_platform.accounts.access_tokens import invalid_token
from chat_platform.accounts.limits import counts_as
from chat_platform.accounts.open_readers import Credential
from chat_platform.api.deps import ChatCaller, Ctx, limit_messages
from chat_platform.api.event_stream import EVENT_STREAM, event_stream, until_over
from chat_platform.api.fields import MessageText, RowId
from chat_platform.api.openapi import problems
from chat_platform.context import AppContext
from chat_platform.conversations.history import message_data
from chat_platform.errors import Conflict
from chat_platform.models import ModelCall
from chat_platform.turns import control
from chat_platform.turns.events import TurnEvent
from chat_platform.turns.failures import error_of
from chat_platform.values.clock import to_rfc3339
from chat_platform.values.ids import TurnId
from chat_platform.values.money import to_usd_text
from chat_platform.web.negotiation import has_preference, header_value, prefers

router = APIRouter(prefix="/chat", tags=["chat"])


class NewMessage(BaseModel):
    content: MessageText


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
    """Number of calls whose cost is not final yet."""


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


IdempotencyKey = Annotated[
    str | None,
    Header(),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": control.MAX_KEY_CHARACTERS}),
]
LastEventId = Annotated[str, Header(alias="Last-Event-ID")]


@router.post(
    "/message",
    response_model=Reply,
    dependencies=[Depends(limit_messages)],
    responses={202: {"model": TurnRef}, **problems(402, 404, 409, 429, 502)},
)
@counts_as(None)
async def send_message(
    ctx: Ctx,
    caller: ChatCaller,
    new: NewMessage,
    request: Request,
    idempotency_key: IdempotencyKey = None,
    _prefer: Annotated[str, Header(alias="prefer")] = "",
    _accept: Annotated[str, Header(alias="accept")] = "",
    last_event_id: LastEventId = "",
) -> Response | Reply:
    """Send a message to the agent and get its reply: as JSON, as a stream of events, or later."""
    turn_id = await control.start_turn(
        ctx, caller.account, text=new.content, idempotency_key=idempotency_key
    )
    if has_preference(header_value(request.headers, "prefer"), "respond-async"):
        return _accepted(ctx, turn_id, {"Preference-Applied": "respond-async"})
    if prefers(header_value(request.headers, "accept"), EVENT_STREAM, to="application/json"):
        after = _number(last_event_id)
        events = control.follow_started(ctx, turn_id, after=after)
        return event_stream(ctx, caller.credential, events)
    return await _reply(ctx, caller.credential, turn_id)


@router.get("/turns/{turn_id}")
async def show_turn(ctx: Ctx, caller: ChatCaller, turn_id: RowId) -> TurnOut:
    """Show a turn with its messages, steps, model calls and cost so far."""
    view = await control.turn_view(ctx, caller.account.id, TurnId(turn_id))
    code, detail = view.turn.error_code, view.turn.error_detail or ""
    return TurnOut(
        turn_id=turn_id,
        status=view.turn.status,
        error=FailureOut(code=code, detail=detail) if code else None,
        messages=[MessageOut(**message_data(message)) for message in view.messages],
        usage=UsageOut(**control.usage_data(view.receipt.usage)),
        steps=[StepOut(**event.data) for event in view.steps],
        calls=[_call(call) for call in view.receipt.calls],
    )


@router.get("/turns/{turn_id}/events", response_class=Response)
async def follow_turn(
    ctx: Ctx, caller: ChatCaller, turn_id: RowId, last_event_id: LastEventId = ""
) -> Response:
    """Follow or replay a turn's events, starting after `Last-Event-ID` if given."""
    account_id = caller.account.id
    # Checked before the response begins: afterwards it could not be a 404.
    await control.turn_of(ctx, account_id, TurnId(turn_id))
    after = _number(last_event_id)
    events = control.follow_started(ctx, TurnId(turn_id), after=after)
    return event_stream(ctx, caller.credential, events)


@router.post("/turns/{turn_id}/cancel", status_code=202)
@counts_as(None)
async def cancel_turn(ctx: Ctx, caller: ChatCaller, turn_id: RowId) -> TurnRef:
    """Stop a turn: within a second nothing more is spent. The partial answer is kept."""
    await control.cancel_turn(ctx, caller.account.id, TurnId(turn_id))
    return TurnRef(turn_id=turn_id)


async def _reply(ctx: AppContext, reader: Credential, turn_id: TurnId) -> Reply:
    """Wait for the turn to end. Raises the turn's failure, or the reason the wait ended.

    Unlike a reader of events, whoever waits could not resume: a process that shuts down lets them
    wait as long as the turn may run.
    """
    leaving = ctx.running_turns.leaving
    with ctx.open_readers.reading(reader) as void:
        following = until_over(control.follow_started(ctx, turn_id), leaving, void)
        told = [event async for event in following if event and _tells_outcome(event)]
    if void.is_set():
        raise invalid_token()
    if leaving.is_set():
        # It may have ended at the last moment.
        told = [e for e in await control.told_so_far(ctx, turn_id) if _tells_outcome(e)]
    if not (told and told[-1].is_end):
        raise control.restarting(turn_id) if leaving.is_set() else control.no_turn()
    _raise_if_not_completed(turn_id, told[-1])
    message = next(event.data["message"] for event in told if event.type == "message.completed")
    usage = UsageOut(**told[-1].data["usage"])
    return Reply(turn_id=turn_id, message=MessageOut(**message), usage=usage)


def _tells_outcome(event: TurnEvent) -> bool:
    return event.is_end or event.type == "message.completed"


def _raise_if_not_completed(turn_id: TurnId, end: TurnEvent) -> None:
    if end.type == "turn.failed":
        raise error_of(end.data["code"], turn_id)
    if end.type == "turn.cancelled":
        raise Conflict(
            "This turn was stopped. The partial answer is in the history.",
            code="turn_cancelled",
            extra={"turn_id": turn_id},
        )


def _accepted(ctx: AppContext, turn_id: TurnId, headers: dict[str, str]) -> JSONResponse:
    location = f"{ctx.settings.root_path}/api/v1/chat/turns/{turn_id}"
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
    """Return the event number to resume after; 0, from the start, for anything not a number."""
    text = last_event_id.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
