"""ApiTokens: a person's long-lived credentials for scripts, limited to scopes."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import func, or_, update
from sqlmodel import col, select

from chat_platform.accounts import audit
from chat_platform.accounts.sign_in_rows import SEEN_EVERY_MS, hash_secret
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import Conflict, Invalid, NotFound
from chat_platform.models import Account, ApiToken
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId
from chat_platform.values.texts import tidy_line

Scope = Literal["chat", "memory", "usage"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "cp_"
"""Lets people and secret scanners recognise a leaked token."""
MAX_TOKENS = 50
MAX_NAME_CHARACTERS = 100
MAX_DAYS = 3650
DEFAULT_DAYS = 90
_SHOWN_CHARACTERS = 8
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class TokenTerms:
    """What a token is called, what it may do and for how long; made by `terms_of` only."""

    name: str
    scopes: frozenset[Scope]
    expires_in_days: int | None
    """None: it never expires."""


@dataclass(frozen=True)
class NewToken:
    """A token just created; `secret` is shown only now."""

    row: ApiToken
    secret: str


def terms_of(
    name: str, scopes: Collection[Scope], *, expires_in_days: int | None = DEFAULT_DAYS
) -> TokenTerms:
    """Return the terms of a token, its name on one line.

    A token needs a visible name and at least one scope, and lives from 1 to `MAX_DAYS` days, or
    for ever. Raises Invalid `invalid_name`, `invalid_scopes` or `invalid_expires_in_days`; its
    fields name everything that is wrong.
    """
    terms = TokenTerms(tidy_line(name, field="name"), frozenset(scopes), expires_in_days)
    wrong: list[Invalid] = []
    if not 0 < len(terms.name) <= MAX_NAME_CHARACTERS:
        wrong.append(_bad_name())
    if not terms.scopes:
        wrong.append(no_scopes())
    if expires_in_days is not None and not 0 < expires_in_days <= MAX_DAYS:
        wrong.append(_bad_lifetime())
    if wrong:
        wrong[0].fields = tuple(field for error in wrong for field in error.fields)
        raise wrong[0]
    return terms


def _bad_name() -> Invalid:
    return Invalid(
        "Give the token a name of at most {most} characters.",
        values={"most": MAX_NAME_CHARACTERS},
        code="invalid_name",
        field="name",
    )


def no_scopes() -> Invalid:
    return Invalid("Choose at least one permission.", code="invalid_scopes", field="scopes")


def _bad_lifetime() -> Invalid:
    return Invalid(
        "A token can expire in 1 to {most} days, or never.",
        values={"most": MAX_DAYS},
        code="invalid_expires_in_days",
        field="expires_in_days",
    )


async def make_token(ctx: AppContext, account_id: AccountId, terms: TokenTerms) -> NewToken:
    """Raises Conflict `too_many_tokens`."""
    secret, now, days = PREFIX + secrets.token_urlsafe(32), now_ms(), terms.expires_in_days
    row = ApiToken(
        account_id=account_id,
        token_hash=hash_secret(secret),
        prefix=secret[:_SHOWN_CHARACTERS],
        name=terms.name,
        scopes=" ".join(scope for scope in SCOPES if scope in terms.scopes),
        created_at_ms=now,
        expires_at_ms=None if days is None else now + days * _DAY_MS,
    )
    async with transaction(ctx.engine) as session:
        count = select(func.count()).where(*_live(account_id))
        if (await session.exec(count)).one() >= MAX_TOKENS:
            raise Conflict(
                "You already have {most} tokens, the maximum. Revoke one first.",
                values={"most": MAX_TOKENS},
                code="too_many_tokens",
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
    """Return the tokens that are not revoked, newest first, including expired ones."""
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
            raise NotFound("There is no such token. It may have been revoked already.")
        audit.record(session, actor_id=account_id, action="token.revoked", subject_id=token_id)


async def find_token(ctx: AppContext, secret: str) -> tuple[ApiToken, Account] | None:
    """Return the token, unless revoked, and its account; records the use."""
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


async def live_among(ctx: AppContext, token_ids: Collection[str]) -> set[str]:
    """Return which of them are neither revoked nor expired."""
    expires_at_ms = col(ApiToken.expires_at_ms)
    query = select(ApiToken.id).where(
        col(ApiToken.id).in_(token_ids),
        col(ApiToken.revoked_at_ms).is_(None),
        or_(expires_at_ms.is_(None), expires_at_ms > now_ms()),
    )
    async with reading(ctx.engine) as session:
        return set((await session.exec(query)).all())


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
