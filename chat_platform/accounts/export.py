"""Everything the platform stores about a person, as one archive for that person."""

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from sqlmodel import SQLModel, col, select

from chat_platform.accounts import audit
from chat_platform.agents.agents import agent_of
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import (
    Account,
    ApiToken,
    BlockRevision,
    Message,
    ModelCall,
    SignIn,
)
from chat_platform.values.clock import to_rfc3339
from chat_platform.values.ids import AgentId
from chat_platform.values.money import to_usd_text

Row = TypeVar("Row", bound=SQLModel)

_Pages = AsyncIterator[list[dict[str, object]]]

_PASSAGES_AT_ONCE = 100
_ROWS_AT_ONCE = 100
_LEDGER_COLUMNS = (
    *("started_at", "kind", "model", "prompt_tokens", "completion_tokens", "cost_usd"),
    *("state", "turn_id"),
)
_README = """Your data in the AI Chat Platform

account.json   your profile, sign-ins and API tokens (without their secrets)
messages.json  your conversation with your agent, oldest first
memory.json    what your agent remembers: blocks with their history, and the archive
ledger.csv     every model call charged to you
"""


async def export_account(ctx: AppContext, account: Account) -> bytes:
    """Return a zip of the account, its messages, memory and ledger.

    Raises Unavailable while the agent server is down: an export is never partial.
    """
    files = {
        "README.txt": [_README],
        "account.json": [_as_json(await _account(ctx, account))],
        "messages.json": await _as_json_list(_messages(ctx, account)),
        "memory.json": await _memory(ctx, account),
        "ledger.csv": await _ledger(ctx, account),
    }
    async with transaction(ctx.engine) as session:
        audit.record(session, actor_id=account.id, action="account.exported", subject_id=account.id)
    return await asyncio.to_thread(_zip, files)


async def _account(ctx: AppContext, account: Account) -> dict[str, object]:
    sign_ins = await _all(_pages(ctx, SignIn, account, order=col(SignIn.id)))
    tokens = await _all(_pages(ctx, ApiToken, account, order=col(ApiToken.id)))
    return {
        "id": account.id,
        "email": account.email,
        "name": account.name,
        "role": account.role,
        "language": account.language,
        "theme": account.theme,
        "created_at": to_rfc3339(account.created_at_ms),
        "sign_ins": [
            {
                "kind": row.kind,
                "device": row.device,
                "created_at": to_rfc3339(row.created_at_ms),
                "last_seen_at": to_rfc3339(row.last_seen_at_ms),
            }
            for row in sign_ins
        ],
        "tokens": [
            {
                "name": row.name,
                "prefix": row.prefix,
                "scopes": row.scopes.split(),
                "created_at": to_rfc3339(row.created_at_ms),
            }
            for row in tokens
        ],
    }


async def _messages(ctx: AppContext, account: Account) -> _Pages:
    async for page in _pages(ctx, Message, account, order=col(Message.position)):
        yield [
            {
                "id": row.id,
                "turn_id": row.turn_id,
                "role": row.role,
                "content": row.content,
                "status": row.status,
                "created_at": to_rfc3339(row.created_at_ms),
            }
            for row in page
        ]


async def _memory(ctx: AppContext, account: Account) -> list[str]:
    agent_id = await agent_of(ctx, account.id)
    blocks = await ctx.memory.blocks(agent_id) if agent_id else []
    return [
        '{"blocks": ',
        _as_json([{"label": block.label, "value": block.value} for block in blocks]),
        ',\n"passages": ',
        *await _as_json_list(_passages(ctx, agent_id)),
        ',\n"block_history": ',
        *await _as_json_list(_block_history(ctx, account)),
        "}\n",
    ]


async def _passages(ctx: AppContext, agent_id: AgentId | None) -> _Pages:
    page = await ctx.memory.passages(agent_id, limit=_PASSAGES_AT_ONCE) if agent_id else []
    while agent_id and page:
        yield [
            {"id": p.id, "text": p.text, "created_at": to_rfc3339(p.created_at_ms)} for p in page
        ]
        page = await ctx.memory.passages(agent_id, limit=_PASSAGES_AT_ONCE, before=page[-1].id)


async def _block_history(ctx: AppContext, account: Account) -> _Pages:
    async for page in _pages(ctx, BlockRevision, account, order=col(BlockRevision.position)):
        yield [
            {
                "label": row.label,
                "value": row.value,
                "cause": row.cause,
                "changed_at": to_rfc3339(row.changed_at_ms),
            }
            for row in page
        ]


async def _ledger(ctx: AppContext, account: Account) -> list[str]:
    pieces = [",".join(_LEDGER_COLUMNS) + "\r\n"]
    async for page in _pages(ctx, ModelCall, account, order=col(ModelCall.id)):
        pieces.append(await asyncio.to_thread(_as_csv, page))
    return pieces


def _as_csv(calls: Sequence[ModelCall]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    for call in calls:
        writer.writerow(
            [
                to_rfc3339(call.started_at_ms),
                call.kind,
                call.model,
                call.prompt_tokens,
                call.completion_tokens,
                to_usd_text(call.cost_nano_usd),
                call.state,
                call.turn_id or "",
            ]
        )
    return text.getvalue()


async def _pages(
    ctx: AppContext, table: type[Row], account: Account, *, order: Any
) -> AsyncIterator[Sequence[Row]]:
    """Yield the account's rows in batches, so that other requests are served in between."""
    own = select(table).filter_by(account_id=account.id).order_by(order).limit(_ROWS_AT_ONCE)
    query = own
    while True:
        async with reading(ctx.engine) as session:
            rows = (await session.exec(query)).all()
        yield rows
        if len(rows) < _ROWS_AT_ONCE:
            return
        query = own.where(order > getattr(rows[-1], order.key))


async def _all(pages: AsyncIterator[Sequence[Row]]) -> list[Row]:
    return [row async for page in pages for row in page]


async def _as_json_list(pages: _Pages) -> list[str]:
    """Return the list's JSON in pieces, written off the event loop."""
    pieces = ["["]
    async for page in pages:
        if page:
            separator = ",\n" if len(pieces) > 1 else "\n"
            pieces.append(separator + await asyncio.to_thread(_members, page))
    return [*pieces, "\n]"]


def _members(page: list[dict[str, object]]) -> str:
    return ",\n".join(map(_as_json, page))


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _zip(files: dict[str, list[str]]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, pieces in files.items():
            with opened.open(name, "w") as file:
                for piece in pieces:
                    file.write(piece.encode())
    return archive.getvalue()
