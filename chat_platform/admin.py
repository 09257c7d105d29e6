"""What administrators may see and do: accounts, budgets, usage, the audit log. Never content."""

from collections.abc import Collection
from dataclasses import dataclass

import structlog
from sqlalchemy import or_
from sqlmodel import col, select

from chat_platform import audit
from chat_platform.accounts import load_account
from chat_platform.billing import budgets
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading, transaction
from chat_platform.errors import Conflict, FieldError, Invalid, PlatformError
from chat_platform.ids import AccountId
from chat_platform.models import Account
from chat_platform.money import NANO_PER_USD, to_usd_text
from chat_platform.password_change import end_every_credential
from chat_platform.periods import is_period

log = structlog.get_logger()

MAX_LIMIT_NANO_USD = 1_000_000 * NANO_PER_USD


@dataclass(frozen=True)
class AccountPage:
    """Newest first; `next_before` continues it, or is None at the end."""

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
    """Return the addresses by id; ids of no account, or of one that is gone, are left out."""
    query = select(Account.id, Account.email).where(col(Account.id).in_(account_ids))
    async with reading(ctx.engine) as session:
        return dict((await session.exec(query)).all())


async def set_disabled(
    ctx: AppContext, actor: Account, account_id: AccountId, *, is_disabled: bool
) -> Account:
    """Shut an account out at once, or let it in again. Raises NotFound, Conflict."""
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
    """Block the BillingKey too: a second lock, so its failure does not undo the first."""
    try:
        await ctx.billing.set_blocked(account_id, is_blocked=is_blocked)
    except PlatformError as exc:
        log.warning("account.billing_not_told", account_id=account_id, code=exc.code)


async def set_budget(
    ctx: AppContext,
    actor: Account,
    account_id: AccountId,
    *,
    limit_nano_usd: int | None,
    period: str | None,
) -> None:
    """Change an account's budget at once; what is None stays. Raises NotFound, Invalid."""
    if limit_nano_usd is not None and not 0 <= limit_nano_usd <= MAX_LIMIT_NANO_USD:
        words = "It must be from 0 to 1,000,000 dollars."
        raise Invalid(words, code="bad_budget", fields=(FieldError("budget_usd", words),))
    if period is not None and not is_period(period):
        words = "It must look like 30d, 12h or 1mo."
        raise Invalid(words, code="bad_period", fields=(FieldError("budget_period", words),))
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
    await budgets.set_limit(ctx, account_id, limit_nano_usd=limit_nano_usd, period=period)
