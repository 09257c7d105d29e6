"""The person's conversation: in pages, by search, and as a whole."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from chat_platform.accounts.limits import counts_as
from chat_platform.api.chat import MessageOut
from chat_platform.api.deps import ChatCaller, Ctx
from chat_platform.api.fields import HistoryCursor, Line, RowId
from chat_platform.conversations.export import ExportFormat, export
from chat_platform.conversations.history import history_page, message_data
from chat_platform.conversations.search import search
from chat_platform.process.rate_limits import EXPORTS_OF_ACCOUNT, SEARCHES_OF_ACCOUNT
from chat_platform.values.ids import MessageId

router = APIRouter(prefix="/chat", tags=["chat"])

_FILES: dict[ExportFormat, tuple[str, str]] = {
    "json": ("application/json", "conversation.json"),
    "markdown": ("text/markdown; charset=utf-8", "conversation.md"),
}


class HistoryOut(BaseModel):
    messages: list[MessageOut]
    has_more: bool
    next_before: RowId | None


class FoundOut(BaseModel):
    message: MessageOut
    snippet: str


class SearchOut(BaseModel):
    results: list[FoundOut]


@router.get("/history")
async def show_history(
    ctx: Ctx,
    caller: ChatCaller,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: HistoryCursor | None = None,
) -> HistoryOut:
    """Show the newest messages, or those before a message; each page from oldest to newest."""
    cursor = MessageId(before) if before else None
    page = await history_page(ctx, caller.account.id, limit=limit, before=cursor)
    return HistoryOut(
        messages=[MessageOut(**message_data(message)) for message in page.messages],
        has_more=page.next_before is not None,
        next_before=page.next_before,
    )


@router.get("/search")
@counts_as(SEARCHES_OF_ACCOUNT)
async def search_history(
    ctx: Ctx,
    caller: ChatCaller,
    q: Line = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> SearchOut:
    """Find the messages that contain all the words, newest first."""
    found = await search(ctx, caller.account.id, query=q, limit=limit)
    return SearchOut(
        results=[
            FoundOut(message=MessageOut(**message_data(hit.message)), snippet=hit.snippet)
            for hit in found
        ]
    )


@router.get("/export", response_class=StreamingResponse)
@counts_as(EXPORTS_OF_ACCOUNT)
async def export_history(
    ctx: Ctx, caller: ChatCaller, format_: Annotated[ExportFormat, Query(alias="format")] = "json"
) -> StreamingResponse:
    """Download the whole conversation."""
    media_type, name = _FILES[format_]
    return StreamingResponse(
        export(ctx, caller.account.id, format_=format_),
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
