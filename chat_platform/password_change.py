"""New passwords: with the old one, or with a one-time code. Both end other sign-ins."""

import structlog
from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform import audit, rate_limits, sign_ins
from chat_platform.accounts import account_for, load_account, normalise_email
from chat_platform.attempts import attempt
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import transaction
from chat_platform.errors import FieldError, NotAllowed, NotSignedIn, PlatformError
from chat_platform.identity.passwords import ensure_strong
from chat_platform.models import Account, ApiToken

log = structlog.get_logger()


async def change_password(
    ctx: AppContext,
    account: Account,
    *,
    current: str,
    new: str,
    sign_in_id: str | None,
    address: str,
) -> None:
    """Change it and end every other sign-in; this one goes on.

    Raises Invalid `weak_password`, NotAllowed `wrong_password`.
    """
    ensure_strong(new)
    try:
        async with attempt(ctx, email=account.email, address=address):
            await ctx.identity.change_password(account.auth_subject, current=current, new=new)
    except NotSignedIn as exc:
        raise wrong_password("current") from exc
    async with transaction(ctx.engine) as session:
        await sign_ins.end_all(session, account.id, but=sign_in_id)
        audit.record(session, actor_id=account.id, action="password.changed", subject_id=account.id)


async def ensure_password(
    ctx: AppContext, account: Account, password: str, *, address: str
) -> None:
    """Raise NotAllowed `wrong_password` unless this is the account's password."""
    try:
        async with attempt(ctx, email=account.email, address=address):
            await ctx.identity.check_password(account.email, password)
    except NotSignedIn as exc:
        raise wrong_password("password") from exc


async def allow_reset(ctx: AppContext, email: str, *, address: str) -> str:
    """Return the normalised address to send a code to; raises Invalid and RateLimited."""
    email = normalise_email(email)
    await ctx.limits.take(rate_limits.RESETS_FROM_ADDRESS, "reset", address)
    await ctx.limits.take(rate_limits.RESETS_FOR_ACCOUNT, "reset", email)
    return email


async def send_reset(ctx: AppContext, email: str) -> None:
    """Send a one-time code if the address is known. Run after the answer: it tells nothing."""
    try:
        await ctx.identity.send_reset(email)
    except PlatformError as exc:
        log.warning("reset.not_sent", code=exc.code)


async def reset_password(
    ctx: AppContext, *, email: str, code: str, new: str, address: str
) -> Account:
    """Set a password with a one-time code; every sign-in and ApiToken of the account ends.

    Raises NotSignedIn `invalid_code`, Invalid `weak_password`.
    """
    # Before the code is looked at: a refused password would burn it with some providers.
    ensure_strong(new)
    email = normalise_email(email)
    async with attempt(ctx, email=email, address=address):
        identity = await ctx.identity.reset_password(email, code, new)
    account = await account_for(ctx, identity)
    async with transaction(ctx.engine) as session:
        await end_every_credential(session, account.id)
        audit.record(session, actor_id=account.id, action="password.reset", subject_id=account.id)
        return await load_account(session, account.id)


async def end_every_credential(session: AsyncSession, account_id: str) -> None:
    """Void every access token, sign-in and ApiToken, within the caller's transaction."""
    await sign_ins.end_all(session, account_id)
    await session.exec(
        update(ApiToken)
        .where(col(ApiToken.account_id) == account_id, col(ApiToken.revoked_at_ms).is_(None))
        .values(revoked_at_ms=now_ms())
    )
    await session.exec(
        update(Account)
        .where(col(Account.id) == account_id)
        .values(token_version=col(Account.token_version) + 1)
    )


def wrong_password(field: str) -> NotAllowed:
    words = "This is not your password."
    return NotAllowed(words, code="wrong_password", fields=(FieldError(field, words),))
