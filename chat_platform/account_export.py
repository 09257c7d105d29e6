"""Everything that the platform keeps about a person, as one archive for that person."""

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlmodel import SQLModel, col, select

from chat_platform import audit
from chat_platform.agents import agent_of
from chat_platform.clock import to_rfc3339
from chat_platform.context import AppContext
from chat_platform.db import reading, transaction
from chat_platform.models import (
    Account,
    ApiToken,
    BlockRevision,
    Message,
    ModelCall,
    SignIn,
)
from chat_platform.money import to_usd_text

Row = TypeVar("Row", bound=SQLModel)

_PASSAGES_AT_ONCE = 100
_LEDGER_COLUMNS = (
    *("started_at", "kind", "model", "prompt_tokens", "completion_tokens", "cost_usd"),
    *("state", "turn_id"),
)
_README = """Your data in the AI Chat Platform

account.json   who you are here, your sign-ins and tokens (never their secrets)
messages.json  your history with your agent, oldest first
memory.json    what your agent remembers: blocks, archive, and how the blocks changed
ledger.csv     every model call that was charged to you
"""


async def export_account(ctx: AppContext, account: Account) -> bytes:
    """Return a zip of the account, its messages, memory and ledger.

    Raises Unavailable while the agent server is down: an export is whole or not at all.
    """
    files = {
        "README.txt": _README,
        "account.json": _as_json(await _account(ctx, account)),
        "messages.json": _as_json(await _messages(ctx, account)),
        "memory.json": _as_json(await _memory(ctx, account)),
        "ledger.csv": await _ledger(ctx, account),
    }
    async with transaction(ctx.engine) as session:
        audit.record(session, actor_id=account.id, action="account.exported", subject_id=account.id)
    return await asyncio.to_thread(_zip, files)


async def _account(ctx: AppContext, account: Account) -> dict[str, object]:
    sign_ins = await _rows(ctx, SignIn, account, order=col(SignIn.id))
    tokens = await _rows(ctx, ApiToken, account, order=col(ApiToken.id))
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


async def _messages(ctx: AppContext, account: Account) -> list[dict[str, object]]:
    return [
        {
            "id": row.id,
            "turn_id": row.turn_id,
            "role": row.role,
            "content": row.content,
            "status": row.status,
            "created_at": to_rfc3339(row.created_at_ms),
        }
        for row in await _rows(ctx, Message, account, order=col(Message.position))
    ]


async def _memory(ctx: AppContext, account: Account) -> dict[str, object]:
    revisions = await _rows(ctx, BlockRevision, account, order=col(BlockRevision.position))
    return {
        **await _agent_memory(ctx, account),
        "block_history": [
            {
                "label": row.label,
                "value": row.value,
                "cause": row.cause,
                "changed_at": to_rfc3339(row.changed_at_ms),
            }
            for row in revisions
        ],
    }


async def _agent_memory(ctx: AppContext, account: Account) -> dict[str, object]:
    agent_id = await agent_of(ctx, account.id)
    if agent_id is None:
        return {"blocks": [], "passages": []}
    blocks = await ctx.memory.blocks(agent_id)
    passages = []
    page = await ctx.memory.passages(agent_id, limit=_PASSAGES_AT_ONCE)
    while page:
        passages += page
        page = await ctx.memory.passages(agent_id, limit=_PASSAGES_AT_ONCE, before=page[-1].id)
    return {
        "blocks": [{"label": block.label, "value": block.value} for block in blocks],
        "passages": [
            {"id": p.id, "text": p.text, "created_at": to_rfc3339(p.created_at_ms)}
            for p in passages
        ],
    }


async def _ledger(ctx: AppContext, account: Account) -> str:
    calls = await _rows(ctx, ModelCall, account, order=col(ModelCall.id))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        [
            "started_at",
            "kind",
            "model",
            "prompt_tokens",
            "completion_tokens",
            "cost_usd",
            "state",
            "turn_id",
        ]
    )
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


async def _rows(
    ctx: AppContext, table: type[Row], account: Account, *, order: Any
) -> Sequence[Row]:
    query = select(table).filter_by(account_id=account.id).order_by(order)
    async with reading(ctx.engine) as session:
        return (await session.exec(query)).all()


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _zip(files: dict[str, str]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return archive.getvalue()
