"""Writes an account's history as JSON or Markdown, in pieces, since it can be long.

Each piece is written off the event loop.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Literal

from chat_platform.context import AppContext
from chat_platform.conversations.history import message_data, pages_of_messages
from chat_platform.models import Message
from chat_platform.values.clock import now_ms, to_datetime, to_rfc3339
from chat_platform.values.ids import AccountId

ExportFormat = Literal["json", "markdown"]

_STATUS_WORDS = {"partial": " · not finished", "failed": " · not answered"}


def export(ctx: AppContext, account_id: AccountId, *, format_: ExportFormat) -> AsyncIterator[str]:
    """Return the whole history as text, in pieces, oldest message first."""
    return _as_json(ctx, account_id) if format_ == "json" else _as_markdown(ctx, account_id)


async def _as_json(ctx: AppContext, account_id: AccountId) -> AsyncIterator[str]:
    yield f'{{"exported_at": "{to_rfc3339(now_ms())}", "messages": ['
    separator = "\n"
    async for page in pages_of_messages(ctx, account_id):
        yield separator + await asyncio.to_thread(_json_of, page)
        separator = ",\n"
    yield "\n]}\n"


def _json_of(page: Sequence[Message]) -> str:
    return ",\n".join(json.dumps(message_data(m), ensure_ascii=False) for m in page)


async def _as_markdown(ctx: AppContext, account_id: AccountId) -> AsyncIterator[str]:
    yield "# Conversation\n"
    async for page in pages_of_messages(ctx, account_id):
        yield await asyncio.to_thread(_markdown_of, page)


def _markdown_of(page: Sequence[Message]) -> str:
    return "".join(f"\n## {_heading(m)}\n\n{m.content}\n" for m in page)


def _heading(message: Message) -> str:
    who = "You" if message.role == "user" else "Agent"
    at = to_datetime(message.created_at_ms).strftime("%Y-%m-%d %H:%M UTC")
    return f"{who} · {at}{_STATUS_WORDS.get(message.status, '')}"
