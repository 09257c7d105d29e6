"""The rows behind cookies and refresh tokens: opened, found, swapped, ended. Judges nobody."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform import audit
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading, transaction
from chat_platform.errors import NotFound
from chat_platform.ids import AccountId
from chat_platform.models import Account, SignIn, SignInSecret

Kind = Literal["browser", "api"]
SIGN_IN_SECONDS = 30 * 24 * 3600
"""How long a sign-in lives after it was last used."""
SEEN_EVERY_MS = 60_000
"""Last use is noted to the minute: most events then write nothing."""
_MAX_DEVICE_CHARACTERS = 200


@dataclass(frozen=True)
class Visit:
    """Where somebody signs in from."""

    kind: Kind
    device: str
    """What the client says it is."""
    address: str
    """The network address, for counting attempts; it is not kept."""


@dataclass(frozen=True)
class SignedIn:
    """A new sign-in. `secret` is its refresh token or cookie; only its hash is kept."""

    account: Account
    sign_in_id: str
    secret: str


async def open_sign_in(ctx: AppContext, account: Account, visit: Visit) -> SignedIn:
    """Open a sign-in for a person who has just proven who they are."""
    secret = secrets.token_urlsafe(32)
    sign_in = SignIn(
        account_id=account.id,
        kind=visit.kind,
        device=visit.device[:_MAX_DEVICE_CHARACTERS],
        expires_at_ms=_expiry(now_ms()),
    )
    async with transaction(ctx.engine) as session:
        session.add(sign_in)
        await session.flush()
        session.add(SignInSecret(secret_hash=hash_secret(secret), sign_in_id=sign_in.id))
    return SignedIn(account, sign_in.id, secret)


async def swap_refresh_token(ctx: AppContext, refresh_token: str) -> SignedIn | None:
    """Return a live sign-in with a new token, or None when this one is not good.

    A token that comes a second time was stolen, by whoever came first or second: its sign-in
    ends for both.
    """
    secret, now = secrets.token_urlsafe(32), now_ms()
    async with transaction(ctx.engine) as session:
        old = await session.get(SignInSecret, hash_secret(refresh_token))
        sign_in = await session.get(SignIn, old.sign_in_id) if old else None
        account = await session.get(Account, sign_in.account_id) if sign_in else None
        if not (old and sign_in and account) or sign_in.kind != "api" or not is_live(sign_in):
            return None
        session.add(sign_in)
        if not await _use_up(session, old.secret_hash, now):
            sign_in.revoked_at_ms = now
            audit.record(
                session, actor_id=None, action="sign_in.token_reused", subject_id=account.id
            )
            return None
        session.add(SignInSecret(secret_hash=hash_secret(secret), sign_in_id=sign_in.id))
        sign_in.last_seen_at_ms, sign_in.expires_at_ms = now, _expiry(now)
    return SignedIn(account, sign_in.id, secret)


async def find_by_id(ctx: AppContext, sign_in_id: str) -> tuple[SignIn, Account] | None:
    return await _find_live(ctx, col(SignIn.id) == sign_in_id)


async def find_by_cookie(ctx: AppContext, secret: str) -> tuple[SignIn, Account] | None:
    of_secret = select(SignInSecret.sign_in_id).where(
        col(SignInSecret.secret_hash) == hash_secret(secret)
    )
    return await _find_live(ctx, col(SignIn.id).in_(of_secret), col(SignIn.kind) == "browser")


async def list_sign_ins(ctx: AppContext, account_id: AccountId) -> list[SignIn]:
    """Return the live sign-ins, last used first."""
    query = (
        select(SignIn)
        .where(*_live(account_id), col(SignIn.expires_at_ms) > now_ms())
        .order_by(col(SignIn.last_seen_at_ms).desc(), col(SignIn.id).desc())
    )
    async with reading(ctx.engine) as session:
        return list((await session.exec(query)).all())


async def end_sign_in(ctx: AppContext, account_id: AccountId, sign_in_id: str) -> None:
    """End one: its cookie, refresh and access tokens are void at once.

    Raises NotFound, for another account's sign-ins too.
    """
    async with transaction(ctx.engine) as session:
        done = await session.exec(
            update(SignIn)
            .where(*_live(account_id), col(SignIn.id) == sign_in_id)
            .values(revoked_at_ms=now_ms())
        )
        if done.rowcount == 0:
            raise NotFound("There is no such sign-in.")
        audit.record(session, actor_id=account_id, action="sign_in.ended", subject_id=sign_in_id)


async def end_all(session: AsyncSession, account_id: str, *, but: str | None = None) -> None:
    """End every sign-in of the account except `but`, within the caller's transaction."""
    await session.exec(
        update(SignIn)
        .where(*_live(account_id), col(SignIn.id) != (but or ""))
        .values(revoked_at_ms=now_ms())
    )


async def note_seen(ctx: AppContext, sign_in: SignIn) -> None:
    """Note the use, which also prolongs the sign-in."""
    now = now_ms()
    if now - sign_in.last_seen_at_ms <= SEEN_EVERY_MS:
        return
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(SignIn)
            .where(col(SignIn.id) == sign_in.id)
            .values(last_seen_at_ms=now, expires_at_ms=_expiry(now))
        )


def is_live(sign_in: SignIn) -> bool:
    return sign_in.revoked_at_ms is None and sign_in.expires_at_ms > now_ms()


def hash_secret(secret: str) -> str:
    """Hash a random secret for storage; it is too long to guess, so one round is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def _find_live(ctx: AppContext, *conditions) -> tuple[SignIn, Account] | None:
    query = select(SignIn, Account).join(Account, col(Account.id) == col(SignIn.account_id))
    async with reading(ctx.engine) as session:
        found = (await session.exec(query.where(*conditions))).one_or_none()
    return found if found and is_live(found[0]) else None


def _live(account_id: str):
    return col(SignIn.account_id) == account_id, col(SignIn.revoked_at_ms).is_(None)


def _expiry(now: int) -> int:
    return now + SIGN_IN_SECONDS * 1000


async def _use_up(session: AsyncSession, secret_hash: str, now: int) -> bool:
    """Mark a refresh token as used; False when it already was. Two at once: one wins."""
    done = await session.exec(
        update(SignInSecret)
        .where(col(SignInSecret.secret_hash) == secret_hash, col(SignInSecret.used_at_ms).is_(None))
        .values(used_at_ms=now)
    )
    return done.rowcount == 1
