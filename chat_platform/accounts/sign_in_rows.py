"""The rows behind cookies and refresh tokens: opened, found, rotated, ended. Makes no decisions."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.accounts import audit
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import NotFound
from chat_platform.models import Account, SignIn, SignInSecret
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId
from chat_platform.values.keyed_hashes import KeyedHash

Kind = Literal["browser", "api"]
SIGN_IN_SECONDS = 30 * 24 * 3600
"""How long a sign-in lasts after its last use."""
LONGEST_SIGN_IN_SECONDS = 90 * 24 * 3600
"""How long it lasts at most, however often it is used."""
FRESH_SECONDS = 300
"""How long after signing in the password is not asked for again."""
REFRESH_GRACE_SECONDS = 30
"""How long a replaced refresh token gets the same response again: a client that refreshed twice at
once, or lost the response, retries within the usual timeouts of HTTP clients."""
SEEN_EVERY_MS = 60_000
"""Last use is recorded to the minute, so that most events write nothing."""
_MAX_DEVICE_CHARACTERS = 200


@dataclass(frozen=True)
class Visit:
    """Where somebody signs in from."""

    kind: Kind
    device: str
    """The client's description of itself."""
    address: str
    """The network address, for counting attempts; not stored."""


@dataclass(frozen=True)
class SignedIn:
    """A new sign-in. `secret` is its refresh token or cookie; only its hash is stored."""

    account: Account
    sign_in_id: str
    secret: str


async def open_sign_in(ctx: AppContext, account: Account, visit: Visit) -> SignedIn:
    """Open a sign-in for a person who has just been verified."""
    secret = secrets.token_urlsafe(32)
    now = now_ms()
    sign_in = SignIn(
        account_id=account.id,
        kind=visit.kind,
        device=visit.device[:_MAX_DEVICE_CHARACTERS],
        created_at_ms=now,
        expires_at_ms=_expiry(now, began_at_ms=now),
    )
    async with transaction(ctx.engine) as session:
        session.add(sign_in)
        await session.flush()
        session.add(SignInSecret(secret_hash=hash_secret(secret), sign_in_id=sign_in.id))
        audit.record(
            session,
            actor_id=account.id,
            action="sign_in.opened",
            subject_id=sign_in.id,
            detail={"kind": visit.kind},
        )
    return SignedIn(account, sign_in.id, secret)


async def swap_refresh_token(ctx: AppContext, refresh_token: str) -> SignedIn | None:
    """Return the sign-in with a new token, or None if this one is not valid.

    A token used twice was stolen, by the first or the second user: its sign-in ends for both. Only
    a token replaced a moment ago may be used again, and gets the same successor as before: owner
    and thief still collide at the next rotation.
    """
    now = now_ms()
    # Derived from the token, so that it can be returned again although only its hash is stored.
    successors = KeyedHash("refresh token", *ctx.settings.secret_keys).candidates(refresh_token)
    async with transaction(ctx.engine) as session:
        old = await session.get(SignInSecret, hash_secret(refresh_token))
        sign_in = await session.get(SignIn, old.sign_in_id) if old else None
        account = await session.get(Account, sign_in.account_id) if sign_in else None
        if not (old and sign_in and account) or sign_in.kind != "api" or not is_live(sign_in):
            return None
        session.add(sign_in)
        if not await _use_up(session, old.secret_hash, now):
            if again := await _just_given(session, old, successors, now):
                return SignedIn(account, sign_in.id, again)
            sign_in.revoked_at_ms = now
            audit.record(
                session, actor_id=None, action="sign_in.token_reused", subject_id=account.id
            )
            return None
        successor = SignInSecret(secret_hash=hash_secret(successors[0]), sign_in_id=sign_in.id)
        session.add(successor)
        sign_in.last_seen_at_ms = now
        sign_in.expires_at_ms = _expiry(now, began_at_ms=sign_in.created_at_ms)
    return SignedIn(account, sign_in.id, successors[0])


async def find_by_id(ctx: AppContext, sign_in_id: str) -> tuple[SignIn, Account] | None:
    return await _find_live(ctx, col(SignIn.id) == sign_in_id)


async def find_by_cookie(ctx: AppContext, secret: str) -> tuple[SignIn, Account] | None:
    of_secret = select(SignInSecret.sign_in_id).where(
        col(SignInSecret.secret_hash) == hash_secret(secret)
    )
    return await _find_live(ctx, col(SignIn.id).in_(of_secret), col(SignIn.kind) == "browser")


async def live_among(ctx: AppContext, sign_in_ids: Collection[str]) -> set[str]:
    """Return which of them are still valid."""
    query = (
        select(SignIn.id)
        .join(Account, col(Account.id) == col(SignIn.account_id))
        .where(
            col(SignIn.id).in_(sign_in_ids),
            col(SignIn.revoked_at_ms).is_(None),
            col(SignIn.expires_at_ms) > now_ms(),
            col(Account.disabled_at_ms).is_(None),
            col(Account.deleting_at_ms).is_(None),
        )
    )
    async with reading(ctx.engine) as session:
        return set((await session.exec(query)).all())


async def is_fresh(ctx: AppContext, sign_in_id: str | None) -> bool:
    """Tell whether the person signed in within the last minutes."""
    async with reading(ctx.engine) as session:
        sign_in = await session.get(SignIn, sign_in_id) if sign_in_id else None
    return sign_in is not None and now_ms() - sign_in.created_at_ms <= FRESH_SECONDS * 1000


async def list_sign_ins(ctx: AppContext, account_id: AccountId) -> list[SignIn]:
    """Return the valid sign-ins, most recently used first."""
    query = (
        select(SignIn)
        .where(*_live(account_id), col(SignIn.expires_at_ms) > now_ms())
        .order_by(col(SignIn.last_seen_at_ms).desc(), col(SignIn.id).desc())
    )
    async with reading(ctx.engine) as session:
        return list((await session.exec(query)).all())


async def end_sign_in(ctx: AppContext, account_id: AccountId, sign_in_id: str) -> None:
    """End one: its cookie, refresh and access tokens stop working at once.

    Raises NotFound, for another account's sign-ins too.
    """
    async with transaction(ctx.engine) as session:
        done = await session.exec(
            update(SignIn)
            .where(*_live(account_id), col(SignIn.id) == sign_in_id)
            .values(revoked_at_ms=now_ms())
        )
        if done.rowcount == 0:
            raise NotFound("There is no such sign-in. It may have ended already.")
        audit.record(session, actor_id=account_id, action="sign_in.ended", subject_id=sign_in_id)


async def end_all(session: AsyncSession, account_id: AccountId, *, but: str | None = None) -> None:
    """End every sign-in of the account except `but`, within the caller's transaction."""
    await session.exec(
        update(SignIn)
        .where(*_live(account_id), col(SignIn.id) != (but or ""))
        .values(revoked_at_ms=now_ms())
    )


async def note_seen(ctx: AppContext, sign_in: SignIn) -> None:
    """Record the use, which also extends the sign-in, up to its maximum lifetime."""
    now = now_ms()
    if now - sign_in.last_seen_at_ms <= SEEN_EVERY_MS:
        return
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(SignIn)
            .where(col(SignIn.id) == sign_in.id)
            .values(
                last_seen_at_ms=now,
                expires_at_ms=_expiry(now, began_at_ms=sign_in.created_at_ms),
            )
        )


def is_live(sign_in: SignIn) -> bool:
    return sign_in.revoked_at_ms is None and sign_in.expires_at_ms > now_ms()


def hash_secret(secret: str) -> str:
    """Hash a random secret for storage; it is too long to guess, so one round is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def _find_live(
    ctx: AppContext, *conditions: ColumnElement[bool]
) -> tuple[SignIn, Account] | None:
    query = select(SignIn, Account).join(Account, col(Account.id) == col(SignIn.account_id))
    async with reading(ctx.engine) as session:
        found = (await session.exec(query.where(*conditions))).one_or_none()
    return found if found and is_live(found[0]) else None


def _live(account_id: AccountId):
    return col(SignIn.account_id) == account_id, col(SignIn.revoked_at_ms).is_(None)


def _expiry(now: int, *, began_at_ms: int) -> int:
    return min(now + SIGN_IN_SECONDS * 1000, began_at_ms + LONGEST_SIGN_IN_SECONDS * 1000)


async def _use_up(session: AsyncSession, secret_hash: str, now: int) -> bool:
    """Mark a refresh token as used; False if it already was. Of two at once, one succeeds."""
    done = await session.exec(
        update(SignInSecret)
        .where(col(SignInSecret.secret_hash) == secret_hash, col(SignInSecret.used_at_ms).is_(None))
        .values(used_at_ms=now)
    )
    return done.rowcount == 1


async def _just_given(
    session: AsyncSession, old: SignInSecret, successors: Collection[str], now: int
) -> str | None:
    """Return the unused token that replaced this one a moment ago, or None.

    A request that waited for another rotation of the same token sees its result here.
    """
    await session.refresh(old)
    if old.used_at_ms is None or now - old.used_at_ms > REFRESH_GRACE_SECONDS * 1000:
        return None
    for successor in successors:
        found = await session.get(SignInSecret, hash_secret(successor))
        if found and found.sign_in_id == old.sign_in_id and found.used_at_ms is None:
            return successor
    return None
