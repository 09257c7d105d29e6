"""The administrators' API; for everyone else these endpoints do not exist (404)."""

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, StringConstraints, WithJsonSchema

from chat_platform.accounts import admin, audit
from chat_platform.accounts.limits import counts_as
from chat_platform.accounts.profiles import get_account
from chat_platform.api.deps import AdminCaller, Ctx
from chat_platform.api.fields import Line, RowId
from chat_platform.api.openapi import problems
from chat_platform.api.usage import Asked, Budget, Usage, budget_view, usage_view
from chat_platform.billing import platform_budget as platform
from chat_platform.billing import usage
from chat_platform.billing.budgets import BudgetView, budget_of
from chat_platform.billing.platform_budget import CapView, platform_budget
from chat_platform.models import Account, AuditEntry
from chat_platform.process.rate_limits import SEARCHES_OF_ACCOUNT
from chat_platform.values.clock import to_rfc3339
from chat_platform.values.ids import AccountId
from chat_platform.values.money import to_nano_usd, to_usd_text

router = APIRouter(prefix="/admin", tags=["administrators"])

Money = Annotated[
    Decimal,
    Field(ge=0, le=1_000_000, decimal_places=9),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1_000_000},
                {"type": "string", "pattern": r"^([0-9]{1,6}(\.[0-9]{1,9})?|1000000)$"},
            ]
        },
        mode="validation",
    ),
]
Period = Annotated[
    str,
    StringConstraints(max_length=10),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,3}(d|h|mo)$"}),
]
Limit = Annotated[int, Query(ge=1, le=200)]


class AccountView(BaseModel):
    id: str
    email: str
    name: str
    role: Literal["person", "admin"]
    is_disabled: bool
    budget: Budget
    created_at: str
    last_active_at: str | None


class AccountList(BaseModel):
    accounts: list[AccountView]
    has_more: bool
    next_before: str | None


class AccountChange(BaseModel):
    """Fields that are missing or null stay unchanged."""

    disabled: bool | None = None
    budget_usd: Money | None = None
    budget_period: Period | None = None
    """`30d`, `12h` or `1mo`."""


class AuditView(BaseModel):
    id: str
    at: str
    actor_id: str | None
    action: str
    subject_id: str | None
    detail: dict[str, str]


class AuditList(BaseModel):
    entries: list[AuditView]
    has_more: bool
    next_before: str | None


class Cap(BaseModel):
    limit_usd: str
    spent_usd: str
    reserved_usd: str
    """The most that calls still running may cost."""
    remaining_usd: str
    resets_at: str | None
    """Null if it never resets."""


class PlatformBudget(BaseModel):
    """What all accounts together may spend; null if there is no limit."""

    total: Cap | None
    day: Cap | None
    """Today's, in UTC."""


@router.get("/platform-budget")
async def read_platform_budget(ctx: Ctx, caller: AdminCaller) -> PlatformBudget:
    """The budgets of the whole platform (`PLATFORM_BUDGET`, `PLATFORM_DAILY_BUDGET`)."""
    return platform_budget_view(await platform_budget(ctx))


@router.get("/accounts")
@counts_as(SEARCHES_OF_ACCOUNT)
async def list_accounts(
    ctx: Ctx, caller: AdminCaller, q: Line = "", limit: Limit = 50, before: RowId | None = None
) -> AccountList:
    """Accounts whose address or name contains `q`, newest first."""
    page = await admin.list_accounts(ctx, words=q, limit=limit, before=before)
    return AccountList(
        accounts=[
            _account_view(account, await budget_of(ctx, account.id)) for account in page.accounts
        ],
        has_more=page.next_before is not None,
        next_before=page.next_before,
    )


@router.patch("/accounts/{account_id}", responses=problems(409))
async def change_account(
    ctx: Ctx, caller: AdminCaller, account_id: RowId, body: AccountChange
) -> AccountView:
    """Disable an account, which ends all its credentials at once, or enable it again."""
    subject = AccountId(account_id)
    account = await get_account(ctx, subject)
    if body.budget_usd is not None or body.budget_period is not None:
        limit = None if body.budget_usd is None else to_nano_usd(body.budget_usd)
        await admin.set_budget(
            ctx, caller.account, subject, limit_nano_usd=limit, period=body.budget_period
        )
    if body.disabled is not None:
        account = await admin.set_disabled(ctx, caller.account, subject, is_disabled=body.disabled)
    return _account_view(account, await budget_of(ctx, subject))


@router.get("/accounts/{account_id}/usage")
@counts_as(SEARCHES_OF_ACCOUNT)
async def read_usage(
    ctx: Ctx, caller: AdminCaller, account_id: RowId, asked: Annotated[Asked, Query()]
) -> Usage:
    """What this account used: amounts only, never content."""
    subject = AccountId(account_id)
    await get_account(ctx, subject)
    start_ms, end_ms = asked.times()
    report = await usage.report(ctx, subject, start_ms=start_ms, end_ms=end_ms, zone=asked.zone)
    return usage_view(report)


@router.get("/audit")
async def read_audit(
    ctx: Ctx,
    caller: AdminCaller,
    limit: Limit = 50,
    before: Annotated[int, Query(ge=1, le=2**53)] | None = None,
) -> AuditList:
    """The audit log, newest first: who did what and when, never what anybody wrote."""
    page = await audit.page(ctx, limit=limit, before=before)
    return AuditList(
        entries=[_audit_view(entry) for entry in page.entries],
        has_more=page.next_before is not None,
        next_before=None if page.next_before is None else str(page.next_before),
    )


def platform_budget_view(budget: platform.PlatformBudget) -> PlatformBudget:
    return PlatformBudget(total=_cap(budget.total), day=_cap(budget.day))


def _cap(cap: CapView | None) -> Cap | None:
    if cap is None:
        return None
    return Cap(
        limit_usd=to_usd_text(cap.limit_nano_usd),
        spent_usd=to_usd_text(cap.spent_nano_usd),
        reserved_usd=to_usd_text(cap.reserved_nano_usd),
        remaining_usd=to_usd_text(cap.remaining_nano_usd),
        resets_at=None if cap.resets_at_ms is None else to_rfc3339(cap.resets_at_ms),
    )


def _account_view(account: Account, budget: BudgetView) -> AccountView:
    last_active = account.last_active_at_ms
    return AccountView(
        **account.model_dump(include={"id", "email", "name", "role"}),
        is_disabled=account.disabled_at_ms is not None,
        budget=budget_view(budget),
        created_at=to_rfc3339(account.created_at_ms),
        last_active_at=None if last_active is None else to_rfc3339(last_active),
    )


def _audit_view(entry: AuditEntry) -> AuditView:
    return AuditView(
        id=str(entry.position),
        at=to_rfc3339(entry.at_ms),
        actor_id=entry.actor_id,
        action=entry.action,
        subject_id=entry.subject_id,
        detail=entry.detail,
    )
