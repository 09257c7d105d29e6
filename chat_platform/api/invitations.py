"""Invitations: created, listed and revoked by administrators; 404 for everyone else."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from chat_platform.accounts import admin
from chat_platform.accounts.invitations import DEFAULT_DAYS, MAX_DAYS, Status, link_to, status_of
from chat_platform.api.admin import Limit, Money
from chat_platform.api.deps import AdminCaller, Ctx
from chat_platform.api.fields import Email, RowId
from chat_platform.models.registration import Invitation
from chat_platform.values.clock import to_rfc3339
from chat_platform.values.money import to_nano_usd, to_usd_text

router = APIRouter(prefix="/admin/invitations", tags=["administrators"])


class NewInvitation(BaseModel):
    """Every field is optional."""

    budget_usd: Money | None = None
    """The new account's budget per period; null: the default budget."""
    expires_in_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = DEFAULT_DAYS
    email: Email | None = None
    """The only address that may use it; null: any."""


class InvitationView(BaseModel):
    id: str
    status: Status
    budget_usd: str | None
    email: str | None
    created_by: str | None
    """The administrator's account; null: the operator, from the command line."""
    created_at: str
    expires_at: str
    used_by: str | None
    """The account created with it."""
    used_at: str | None


class MadeInvitation(InvitationView):
    code: str
    """Shown only once; only its hash is stored."""
    link: str
    """The URL of the registration form with the code filled in."""


class InvitationList(BaseModel):
    invitations: list[InvitationView]
    has_more: bool
    next_before: str | None


@router.post("", status_code=201)
async def make_invitation(
    ctx: Ctx, caller: AdminCaller, body: NewInvitation, request: Request
) -> MadeInvitation:
    """Invite one person: whoever uses the code first, or only the owner of `email`."""
    made = await admin.make_invitation(
        ctx,
        caller.account,
        budget_nano_usd=None if body.budget_usd is None else to_nano_usd(body.budget_usd),
        days=body.expires_in_days,
        email=body.email,
    )
    site = str(request.base_url).rstrip("/") + ctx.settings.root_path
    link = link_to(site, made.code)
    return MadeInvitation(**_view(made.row).model_dump(), code=made.code, link=link)


@router.get("")
async def list_invitations(
    ctx: Ctx, caller: AdminCaller, limit: Limit = 50, before: RowId | None = None
) -> InvitationList:
    """Invitations, newest first, without their codes."""
    page = await admin.list_invitations(ctx, limit=limit, before=before)
    return InvitationList(
        invitations=[_view(row) for row in page.invitations],
        has_more=page.next_before is not None,
        next_before=page.next_before,
    )


@router.delete("/{invitation_id}", status_code=204)
async def revoke_invitation(ctx: Ctx, caller: AdminCaller, invitation_id: RowId) -> None:
    """Revoke an unused invitation."""
    await admin.revoke_invitation(ctx, caller.account, invitation_id)


def _view(row: Invitation) -> InvitationView:
    return InvitationView(
        id=row.id,
        status=status_of(row),
        budget_usd=None if row.budget_nano_usd is None else to_usd_text(row.budget_nano_usd),
        email=row.email,
        created_by=row.created_by,
        created_at=to_rfc3339(row.created_at_ms),
        expires_at=to_rfc3339(row.expires_at_ms),
        used_by=row.used_by,
        used_at=None if row.used_at_ms is None else to_rfc3339(row.used_at_ms),
    )
