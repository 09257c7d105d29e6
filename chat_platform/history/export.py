"""Writes an account's history as JSON or Markdown, piece by piece: it may be long."""

import json
from collections.abc import AsyncIterator
from typing import Literal

from chat_platform.clock import now_ms, to_datetime, to_rfc3339
from chat_platform.context import AppContext
from chat_platform.history.pages import all_messages, message_data
from chat_platform.ids import AccountId
from chat_platform.models import Message

ExportFormat = Literal["json", "markdown"]

_STATUS_WORDS = {"partial": " · not finished", "failed": " · not answered"}


def export(ctx: AppContext, account_id: AccountId, *, format_: ExportFormat) -> AsyncIterator[str]:
    """Return the whole history as text, in pieces, oldest message first."""
    return _as_json(ctx, account_id) if format_ == "json" else _as_markdown(ctx, account_id)


async def _as_json(ctx: AppContext, account_id: AccountId) -> AsyncIterator[str]:
    yield f'{{"exported_at": "{to_rfc3339(now_ms())}", "messages": ['
    separator = "\n"
    async for message in all_messages(ctx, account_id):
        yield separator + json.dumps(message_data(message), ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


async def _as_markdown(ctx: AppContext, account_id: AccountId) -> AsyncIterator[str]:
    yield "# Conversation\n"
    async for message in all_messages(ctx, account_id):
        yield f"\n## {_heading(message)}\n\n{message.content}\n"


def _heading(message: Message) -> str:
    who = "You" if message.role == "user" else "Agent"
    at = to_datetime(message.created_at_ms).strftime("%Y-%m-%d %H:%M UTC")
    return f"{who} · {at}{_STATUS_WORDS.get(message.status, '')}"
