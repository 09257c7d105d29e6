"""ApiTokens: a person's long-lived credentials for scripts, limited to scopes."""

import secrets
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import func, update
from sqlmodel import col, select

from chat_platform import audit
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading, transaction
from chat_platform.errors import Conflict, NotFound
from chat_platform.ids import AccountId
from chat_platform.models import Account, ApiToken
from chat_platform.sign_ins import SEEN_EVERY_MS, hash_secret

Scope = Literal["chat", "memory", "usage"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "cp_"
"""Lets people and secret scanners recognise a token that leaked."""
MAX_TOKENS = 50
_SHOWN_CHARACTERS = 8
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class NewToken:
    """A token just made; `secret` is shown now and never again."""

    row: ApiToken
    secret: str


async def make_token(
    ctx: AppContext,
    account_id: AccountId,
    *,
    name: str,
    scopes: frozenset[Scope],
    expires_in_days: int | None,
) -> NewToken:
    """Raises Conflict `too_many_tokens`."""
    secret, now = PREFIX + secrets.token_urlsafe(32), now_ms()
    row = ApiToken(
        account_id=account_id,
        token_hash=hash_secret(secret),
        prefix=secret[:_SHOWN_CHARACTERS],
        name=name,
        scopes=" ".join(scope for scope in SCOPES if scope in scopes),
        created_at_ms=now,
        expires_at_ms=None if expires_in_days is None else now + expires_in_days * _DAY_MS,
    )
    async with transaction(ctx.engine) as session:
        count = select(func.count()).where(*_live(account_id))
        if (await session.exec(count)).one() >= MAX_TOKENS:
            raise Conflict(
                f"You have {MAX_TOKENS} tokens. Revoke one first.", code="too_many_tokens"
            )
        session.add(row)
        audit.record(
            session,
            actor_id=account_id,
            action="token.made",
            subject_id=row.id,
            detail={"scopes": row.scopes},
        )
    return NewToken(row, secret)


async def list_tokens(ctx: AppContext, account_id: AccountId) -> list[ApiToken]:
    """Return the tokens that are not revoked, newest first; expired ones are still listed."""
    query = select(ApiToken).where(*_live(account_id)).order_by(col(ApiToken.id).desc())
    async with reading(ctx.engine) as session:
        return list((await session.exec(query)).all())


async def revoke_token(ctx: AppContext, account_id: AccountId, token_id: str) -> None:
    """Raises NotFound, for another account's tokens too."""
    async with transaction(ctx.engine) as session:
        done = await session.exec(
            update(ApiToken)
            .where(*_live(account_id), col(ApiToken.id) == token_id)
            .values(revoked_at_ms=now_ms())
        )
        if done.rowcount == 0:
            raise NotFound("There is no such token.")
        audit.record(session, actor_id=account_id, action="token.revoked", subject_id=token_id)


async def find_token(ctx: AppContext, secret: str) -> tuple[ApiToken, Account] | None:
    """Return the token that is not revoked, and whose it is; notes that it was used."""
    query = (
        select(ApiToken, Account)
        .join(Account, col(Account.id) == col(ApiToken.account_id))
        .where(
            col(ApiToken.token_hash) == hash_secret(secret), col(ApiToken.revoked_at_ms).is_(None)
        )
    )
    async with reading(ctx.engine) as session:
        found = (await session.exec(query)).one_or_none()
    if found:
        await _note_used(ctx, found[0])
    return found


async def _note_used(ctx: AppContext, row: ApiToken) -> None:
    now = now_ms()
    if now - (row.last_used_at_ms or 0) <= SEEN_EVERY_MS:
        return
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(ApiToken).where(col(ApiToken.id) == row.id).values(last_used_at_ms=now)
        )


def _live(account_id: AccountId):
    return col(ApiToken.account_id) == account_id, col(ApiToken.revoked_at_ms).is_(None)
