"""Password changes, with the old password or with a one-time code. Both end other sign-ins."""

import structlog
from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.accounts import audit, sign_in_rows
from chat_platform.accounts.attempts import attempt
from chat_platform.accounts.password_rule import ensure_strong
from chat_platform.accounts.profiles import account_for, load_account
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.errors import NotAllowed, NotSignedIn, PlatformError
from chat_platform.models import Account, ApiToken
from chat_platform.process import rate_limits
from chat_platform.values.addresses import normalise_email
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId

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
    """Change it and end every other sign-in and every ApiToken; this sign-in continues.

    Raises Invalid `weak_password`, NotAllowed `wrong_password`.
    """
    await ensure_strong(ctx.settings, new, about=(account.email, account.name))
    try:
        async with attempt(ctx, email=account.email, address=address):
            await ctx.identity.change_password(account.auth_subject, current=current, new=new)
    except NotSignedIn as exc:
        raise wrong_password("current") from exc
    async with transaction(ctx.engine) as session:
        await sign_in_rows.end_all(session, account.id, but=sign_in_id)
        await _end_api_tokens(session, account.id)
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


async def ensure_proven(
    ctx: AppContext,
    account: Account,
    *,
    password: str | None,
    sign_in_id: str | None,
    address: str,
) -> None:
    """Require a recent sign-in, or the password.

    For actions that outlive the sign-in. Raises NotAllowed `password_needed`, `wrong_password`.
    """
    if password is not None:
        await ensure_password(ctx, account, password, address=address)
    elif not await sign_in_rows.is_fresh(ctx, sign_in_id):
        raise NotAllowed(
            "Enter your password to continue.", code="password_needed", field="password"
        )


async def allow_reset(ctx: AppContext, email: str, *, address: str) -> str:
    """Return the normalised address to send a code to; raises Invalid and RateLimited."""
    email = normalise_email(email)
    await ctx.limits.take(rate_limits.RESETS_FROM_ADDRESS, "reset", address)
    await ctx.limits.take(rate_limits.RESETS_FOR_ACCOUNT, "reset", email)
    return email


async def send_reset(ctx: AppContext, email: str) -> None:
    """Send a one-time code if the address is known. Runs after the response, to reveal nothing."""
    try:
        await ctx.identity.send_reset(email)
    except PlatformError as exc:
        log.warning("reset.not_sent", error=exc.code)


async def reset_password(
    ctx: AppContext, *, email: str, code: str, new: str, address: str
) -> Account:
    """Set a password with a one-time code; ends every sign-in and ApiToken of the account.

    Raises NotSignedIn `invalid_code`, Invalid `weak_password`.
    """
    # Before the code is used: with some providers a refused password would use it up.
    email = normalise_email(email)
    await ensure_strong(ctx.settings, new, about=(email,))
    async with attempt(ctx, email=email, address=address):
        identity = await ctx.identity.reset_password(email, code, new)
    account = await account_for(ctx, identity)
    async with transaction(ctx.engine) as session:
        await end_every_credential(session, account.id)
        audit.record(session, actor_id=account.id, action="password.reset", subject_id=account.id)
        return await load_account(session, account.id)


async def end_every_credential(session: AsyncSession, account_id: AccountId) -> None:
    """Revoke every access token, sign-in and ApiToken, within the caller's transaction."""
    await sign_in_rows.end_all(session, account_id)
    await _end_api_tokens(session, account_id)
    await session.exec(
        update(Account)
        .where(col(Account.id) == account_id)
        .values(token_version=col(Account.token_version) + 1)
    )


async def _end_api_tokens(session: AsyncSession, account_id: AccountId) -> None:
    await session.exec(
        update(ApiToken)
        .where(col(ApiToken.account_id) == account_id, col(ApiToken.revoked_at_ms).is_(None))
        .values(revoked_at_ms=now_ms())
    )


def wrong_password(field: str) -> NotAllowed:
    return NotAllowed("Incorrect password.", code="wrong_password", field=field)
