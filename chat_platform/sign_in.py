"""Signs people in and out, and tells who is calling. One policy for every door and credential."""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import cookie_parser

from chat_platform import access_tokens
from chat_platform.access_tokens import AccessClaims, invalid_token
from chat_platform.accounts import account_for, normalise_email, tidy_name
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading, transaction
from chat_platform.errors import NotAllowed, NotSignedIn
from chat_platform.ids import AccountId
from chat_platform.models import Account, ApiToken, SignIn, SignInSecret
from chat_platform.passwords import ensure_strong

COOKIE = "chat_sign_in"
API_TOKEN_PREFIX = "cp_"  # noqa: S105
SIGN_IN_SECONDS = 30 * 24 * 3600
"""How long a sign-in lives after it was last used."""
_SEEN_EVERY_MS = 60_000
"""Last use is noted to the minute: most events then write nothing."""
_MAX_DEVICE_CHARACTERS = 200


@dataclass(frozen=True)
class Caller:
    """Who is calling. `scopes` is None for the person themself, a set for an ApiToken."""

    account: Account
    scopes: frozenset[str] | None = None
    sign_in_id: str | None = None

    @property
    def account_id(self) -> AccountId:
        return AccountId(self.account.id)

    def has_scope(self, scope: str) -> bool:
        return self.scopes is None or scope in self.scopes


@dataclass(frozen=True)
class SignedIn:
    """A new sign-in. `secret` is its refresh token or cookie; only its hash is kept."""

    account: Account
    sign_in_id: str
    secret: str


async def register(
    ctx: AppContext, *, email: str, password: str, name: str, kind: str, device: str
) -> SignedIn | None:
    """Make an account and sign in; None when the address must be confirmed first.

    Raises Conflict `email_taken`, Invalid, Unavailable.
    """
    address, shown_name = normalise_email(email), tidy_name(name)
    ensure_strong(password)
    identity = await ctx.identity.register(address, password, name=shown_name)
    if identity is None:
        return None
    return await open_sign_in(ctx, await account_for(ctx, identity), kind=kind, device=device)


async def login(ctx: AppContext, *, email: str, password: str, kind: str, device: str) -> SignedIn:
    """Raises NotSignedIn `invalid_credentials`, NotAllowed, RateLimited, Unavailable."""
    identity = await ctx.identity.check_password(normalise_email(email), password)
    account = await account_for(ctx, identity)
    ensure_welcome(account)
    return await open_sign_in(ctx, account, kind=kind, device=device)


async def open_sign_in(ctx: AppContext, account: Account, *, kind: str, device: str) -> SignedIn:
    """Open a sign-in for a person who has just proven who they are."""
    secret = secrets.token_urlsafe(32)
    sign_in = SignIn(
        account_id=account.id,
        kind=kind,
        device=device[:_MAX_DEVICE_CHARACTERS],
        expires_at_ms=_expiry(now_ms()),
    )
    async with transaction(ctx.engine) as session:
        session.add(sign_in)
        await session.flush()
        session.add(SignInSecret(secret_hash=hash_secret(secret), sign_in_id=sign_in.id))
    return SignedIn(account, sign_in.id, secret)


def access_token(ctx: AppContext, signed_in: SignedIn) -> str:
    account = signed_in.account
    claims = AccessClaims(AccountId(account.id), signed_in.sign_in_id, account.token_version)
    return access_tokens.issue(ctx.settings, claims)


async def refresh(ctx: AppContext, refresh_token: str) -> SignedIn:
    """Swap a refresh token for its successor.

    A token that comes a second time was stolen, by whoever came first or second: its sign-in
    ends for both. Raises NotSignedIn.
    """
    secret, now = secrets.token_urlsafe(32), now_ms()
    async with transaction(ctx.engine) as session:
        known = await session.get(SignInSecret, hash_secret(refresh_token))
        sign_in = await session.get(SignIn, known.sign_in_id) if known else None
        account = await session.get(Account, sign_in.account_id) if sign_in else None
        is_live = bool(sign_in and sign_in.kind == "api" and _is_live(sign_in, now))
        if not (known and sign_in and account and is_live):
            raise invalid_token()
        is_first_use = await _use_up(session, known.secret_hash, now)
        if is_first_use:
            session.add(SignInSecret(secret_hash=hash_secret(secret), sign_in_id=sign_in.id))
            sign_in.last_seen_at_ms, sign_in.expires_at_ms = now, _expiry(now)
        else:
            sign_in.revoked_at_ms = now
        session.add(sign_in)
    if not is_first_use:
        raise invalid_token()
    ensure_welcome(account)
    return SignedIn(account, sign_in.id, secret)


async def logout(ctx: AppContext, account_id: AccountId, sign_in_id: str) -> None:
    """End one sign-in: its cookie, refresh and access tokens are void at once."""
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(SignIn)
            .where(
                col(SignIn.id) == sign_in_id,
                col(SignIn.account_id) == account_id,
                col(SignIn.revoked_at_ms).is_(None),
            )
            .values(revoked_at_ms=now_ms())
        )


async def caller_from_bearer(ctx: AppContext, token: str) -> Caller:
    """Return who holds this access token or ApiToken.

    Raises NotSignedIn, and NotAllowed `account_disabled`.
    """
    if token.startswith(API_TOKEN_PREFIX):
        return await _caller_from_api_token(ctx, token)
    claims = access_tokens.read(ctx.settings, token)
    found = await _find_sign_in(ctx, col(SignIn.id) == claims.sign_in_id)
    if found is None:
        raise invalid_token()
    sign_in, account = found
    is_current = (account.id, account.token_version) == (claims.account_id, claims.token_version)
    if not is_current or not _is_live(sign_in, now_ms()):
        raise invalid_token()
    ensure_welcome(account)
    await _note_seen(ctx, sign_in)
    return Caller(account, sign_in_id=sign_in.id)


async def caller_from_cookie(ctx: AppContext, cookie_header: str) -> Caller | None:
    """Return who is signed in in this browser now, or None. Asked again at every event."""
    secret = cookie_parser(cookie_header).get(COOKIE, "")
    if not secret:
        return None
    of_secret = select(SignInSecret.sign_in_id).where(
        col(SignInSecret.secret_hash) == hash_secret(secret)
    )
    found = await _find_sign_in(ctx, col(SignIn.id).in_(of_secret), kind="browser")
    if found is None:
        return None
    sign_in, account = found
    is_welcome = account.disabled_at_ms is None and account.deleting_at_ms is None
    if not is_welcome or not _is_live(sign_in, now_ms()):
        return None
    await _note_seen(ctx, sign_in)
    return Caller(account, sign_in_id=sign_in.id)


def ensure_welcome(account: Account) -> None:
    """Raise when the person has proven who they are but may not come in."""
    if account.deleting_at_ms is not None:
        raise NotSignedIn("This account is being deleted.", code="account_deleted")
    if account.disabled_at_ms is not None:
        raise NotAllowed("This account is disabled. Ask an administrator.", code="account_disabled")


def hash_secret(secret: str) -> str:
    """Hash a random secret for storage; it is too long to guess, so one round is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def _caller_from_api_token(ctx: AppContext, token: str) -> Caller:
    query = (
        select(ApiToken, Account)
        .join(Account, col(Account.id) == col(ApiToken.account_id))
        .where(col(ApiToken.token_hash) == hash_secret(token))
    )
    async with reading(ctx.engine) as session:
        found = (await session.exec(query)).one_or_none()
    if found is None or found[0].revoked_at_ms is not None:
        raise invalid_token()
    api_token, account = found
    now = now_ms()
    if api_token.expires_at_ms is not None and api_token.expires_at_ms <= now:
        raise NotSignedIn("This token has expired. Make a new one.", code="token_expired")
    ensure_welcome(account)
    if now - (api_token.last_used_at_ms or 0) > _SEEN_EVERY_MS:
        async with transaction(ctx.engine) as session:
            await session.exec(
                update(ApiToken).where(col(ApiToken.id) == api_token.id).values(last_used_at_ms=now)
            )
    return Caller(account, frozenset(api_token.scopes.split()))


async def _find_sign_in(
    ctx: AppContext, condition: object, *, kind: str | None = None
) -> tuple[SignIn, Account] | None:
    query = select(SignIn, Account).join(Account, col(Account.id) == col(SignIn.account_id))
    query = query.where(condition)  # pyright: ignore[reportArgumentType, reportCallIssue]
    if kind:
        query = query.where(col(SignIn.kind) == kind)
    async with reading(ctx.engine) as session:
        return (await session.exec(query)).one_or_none()


def _is_live(sign_in: SignIn, now: int) -> bool:
    return sign_in.revoked_at_ms is None and sign_in.expires_at_ms > now


def _expiry(now: int) -> int:
    return now + SIGN_IN_SECONDS * 1000


async def _note_seen(ctx: AppContext, sign_in: SignIn) -> None:
    now = now_ms()
    if now - sign_in.last_seen_at_ms <= _SEEN_EVERY_MS:
        return
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(SignIn)
            .where(col(SignIn.id) == sign_in.id)
            .values(last_seen_at_ms=now, expires_at_ms=_expiry(now))
        )


async def _use_up(session: AsyncSession, secret_hash: str, now: int) -> bool:
    """Mark a refresh token as used; False when it already was. Two at once: one wins."""
    done = await session.exec(
        update(SignInSecret)
        .where(col(SignInSecret.secret_hash) == secret_hash, col(SignInSecret.used_at_ms).is_(None))
        .values(used_at_ms=now)
    )
    return done.rowcount == 1
