"""What administrators may see and do: accounts, budgets, usage, the audit log; never content."""

from collections.abc import Collection
from dataclasses import dataclass

import structlog
from sqlalchemy import or_
from sqlmodel import col, select

from chat_platform.accounts import audit, invitations, setup_code
from chat_platform.accounts.invitations import DAY_MS, InvitationPage, NewInvitation, bad_budget
from chat_platform.accounts.passwords import end_every_credential
from chat_platform.accounts.profiles import load_account
from chat_platform.billing import budgets
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import Conflict, Invalid, PlatformError
from chat_platform.models import Account
from chat_platform.process import rate_limits
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId
from chat_platform.values.money import NANO_PER_USD, to_usd_text
from chat_platform.values.periods import is_period

log = structlog.get_logger()

MAX_LIMIT_NANO_USD = 1_000_000 * NANO_PER_USD


@dataclass(frozen=True)
class AccountPage:
    """Newest first; `next_before` is the cursor for the next page, None at the end."""

    accounts: list[Account]
    next_before: str | None


async def list_accounts(
    ctx: AppContext, *, words: str = "", limit: int = 50, before: str | None = None
) -> AccountPage:
    """List accounts whose address or name contains the words."""
    query = select(Account).order_by(col(Account.id).desc()).limit(limit + 1)
    if words:
        query = query.where(
            or_(
                col(Account.email).icontains(words, autoescape=True),
                col(Account.name).icontains(words, autoescape=True),
            )
        )
    if before is not None:
        query = query.where(col(Account.id) < before)
    async with reading(ctx.engine) as session:
        found = list((await session.exec(query)).all())
    shown = found[:limit]
    return AccountPage(shown, shown[-1].id if len(found) > limit else None)


async def emails_of(ctx: AppContext, account_ids: Collection[str]) -> dict[str, str]:
    """Return the addresses by id, without ids that are unknown or deleted."""
    query = select(Account.id, Account.email).where(col(Account.id).in_(account_ids))
    async with reading(ctx.engine) as session:
        return dict((await session.exec(query)).all())


async def set_disabled(
    ctx: AppContext, actor: Account, account_id: AccountId, *, is_disabled: bool
) -> Account:
    """Disable an account at once, or enable it again. Raises NotFound, Conflict."""
    if is_disabled and actor.id == account_id:
        raise Conflict("You cannot disable yourself.", code="own_account")
    async with transaction(ctx.engine) as session:
        account = await load_account(session, account_id)
        account.disabled_at_ms = now_ms() if is_disabled else None
        session.add(account)
        if is_disabled:
            await session.flush()
            await end_every_credential(session, account_id)
        audit.record(
            session,
            actor_id=actor.id,
            action="account.disabled" if is_disabled else "account.enabled",
            subject_id=account_id,
        )
    await _tell_billing(ctx, account_id, is_blocked=is_disabled)
    return account


async def _tell_billing(ctx: AppContext, account_id: AccountId, *, is_blocked: bool) -> None:
    """Block the BillingKey too, as a second barrier: its failure does not undo the first."""
    try:
        await ctx.billing.set_blocked(account_id, is_blocked=is_blocked)
    except PlatformError as exc:
        log.warning("account.billing_not_told", account_id=account_id, error=exc.code)


async def set_budget(
    ctx: AppContext,
    actor: Account,
    account_id: AccountId,
    *,
    limit_nano_usd: int | None,
    period: str | None,
) -> None:
    """Change an account's budget at once; None means unchanged. Raises NotFound, Invalid."""
    if limit_nano_usd is not None and not 0 <= limit_nano_usd <= MAX_LIMIT_NANO_USD:
        raise bad_budget()
    if period is not None and not is_period(period):
        raise Invalid(
            "A period must look like 30d, 12h or 1mo.", code="bad_period", field="budget_period"
        )
    async with transaction(ctx.engine) as session:
        await load_account(session, account_id)
        limit = {} if limit_nano_usd is None else {"limit_usd": to_usd_text(limit_nano_usd)}
        detail = limit | ({} if period is None else {"period": period})
        audit.record(
            session,
            actor_id=actor.id,
            action="account.budget_set",
            subject_id=account_id,
            detail=detail,
        )
        await budgets.change_limit(
            session, ctx, account_id, limit_nano_usd=limit_nano_usd, period=period
        )


async def become_administrator(
    ctx: AppContext, account_id: AccountId, code: str, *, address: str
) -> None:
    """Make the holder of the setup code an administrator.

    Raises NotAllowed `wrong_setup_code`, RateLimited.
    """
    await ctx.limits.take(rate_limits.SETUP_CODES_FROM_ADDRESS, "setup-code", address)
    async with transaction(ctx.engine) as session:
        account = await load_account(session, account_id)
        await setup_code.use(session, ctx.settings, account, code)


async def make_invitation(
    ctx: AppContext,
    actor: Account,
    *,
    budget_nano_usd: int | None,
    days: int,
    email: str | None,
) -> NewInvitation:
    """Invite one person. Raises Invalid."""
    async with transaction(ctx.engine) as session:
        return await invitations.invite(
            session,
            ctx.settings,
            actor_id=actor.id,
            budget_nano_usd=budget_nano_usd,
            expires_in_ms=days * DAY_MS,
            email=email,
        )


async def list_invitations(
    ctx: AppContext, *, limit: int = 50, before: str | None = None
) -> InvitationPage:
    async with reading(ctx.engine) as session:
        return await invitations.page(session, limit=limit, before=before)


async def revoke_invitation(ctx: AppContext, actor: Account, invitation_id: str) -> None:
    """Raises NotFound if it is used, revoked or unknown."""
    async with transaction(ctx.engine) as session:
        await invitations.revoke(session, invitation_id, actor_id=actor.id)
