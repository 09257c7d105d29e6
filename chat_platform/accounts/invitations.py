"""Invitations: created by administrators or the operator, each valid for one registration.

`registration` decides who may register; this module only stores invitations.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.accounts import audit
from chat_platform.accounts.refusals import DOMAIN_NOT_ALLOWED
from chat_platform.errors import Invalid, NotFound
from chat_platform.models import Account
from chat_platform.models.registration import Invitation
from chat_platform.settings import Settings
from chat_platform.values.addresses import new_email
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId
from chat_platform.values.keyed_hashes import KeyedHash
from chat_platform.values.money import NANO_PER_USD, to_usd_text
from chat_platform.values.typed_codes import letters_of, new_typed_code

MAX_DAYS = 365
DEFAULT_DAYS = 7
DAY_MS = 86_400_000
_CHARACTERS = 20
"""100 bits: impossible to guess."""
_MAX_BUDGET_NANO_USD = 1_000_000 * NANO_PER_USD


Status = Literal["waiting", "used", "revoked", "expired"]


@dataclass(frozen=True)
class NewInvitation:
    """An invitation with its code, which is shown once and stored as a hash."""

    row: Invitation
    code: str


async def invite(
    session: AsyncSession,
    settings: Settings,
    *,
    actor_id: AccountId | None,
    budget_nano_usd: int | None = None,
    expires_in_ms: int = DEFAULT_DAYS * DAY_MS,
    email: str | None = None,
) -> NewInvitation:
    """Create an invitation; `actor_id` is None for the operator.

    Raises Invalid, also for an address that could not register.
    """
    email = None if email is None else new_email(email)
    _check(settings, budget_nano_usd, expires_in_ms, email)
    code = new_typed_code(_CHARACTERS)
    row = Invitation(
        code_hash=_hashes(settings).make(letters_of(code)),
        budget_nano_usd=budget_nano_usd,
        email=email,
        created_by=actor_id,
        expires_at_ms=now_ms() + expires_in_ms,
    )
    session.add(row)
    limit = {} if budget_nano_usd is None else {"limit_usd": to_usd_text(budget_nano_usd)}
    audit.record(
        session, actor_id=actor_id, action="invitation.made", subject_id=row.id, detail=limit
    )
    return NewInvitation(row, code)


def _check(
    settings: Settings, budget_nano_usd: int | None, expires_in_ms: int, email: str | None
) -> None:
    if budget_nano_usd is not None and not 0 <= budget_nano_usd <= _MAX_BUDGET_NANO_USD:
        raise bad_budget()
    if not 0 < expires_in_ms <= MAX_DAYS * DAY_MS:
        raise Invalid(
            "An invitation can be valid for at most {most} days.",
            values={"most": MAX_DAYS},
            code="bad_expiry",
            field="expires_in_days",
        )
    if email and not settings.may_register_from(email):
        raise Invalid(DOMAIN_NOT_ALLOWED, code="domain_not_allowed", field="email")


def bad_budget() -> Invalid:
    return Invalid(
        "A budget must be from 0 to {most} dollars.",
        values={"most": _MAX_BUDGET_NANO_USD // NANO_PER_USD},
        code="bad_budget",
        field="budget_usd",
    )


def status_of(row: Invitation) -> Status:
    if row.used_at_ms is not None:
        return "used"
    if row.revoked_at_ms is not None:
        return "revoked"
    return "waiting" if row.expires_at_ms > now_ms() else "expired"


def link_to(site: str, code: str) -> str:
    """Return the URL of the registration form with the code filled in."""
    return f"{site.rstrip('/')}/register?{urlencode({'invitation': code})}"


async def find(
    session: AsyncSession, settings: Settings, *, code: str, email: str
) -> Invitation | None:
    """Return the valid invitation with this code, or the one held for this address."""
    is_good = (
        col(Invitation.used_at_ms).is_(None),
        col(Invitation.revoked_at_ms).is_(None),
        col(Invitation.expires_at_ms) > now_ms(),
    )
    if letters_of(code):
        which = col(Invitation.code_hash).in_(_hashes(settings).candidates(letters_of(code)))
    else:
        which = col(Invitation.held_for) == email
    query = select(Invitation).where(which, *is_good).order_by(col(Invitation.id))
    found = (await session.exec(query)).first()
    return found if found and found.email in (None, email) else None


async def hold(session: AsyncSession, invitation: Invitation, email: str) -> None:
    """Hold it for an address that is confirmed first. Anyone with its code can still move it."""
    await session.exec(
        update(Invitation).where(col(Invitation.id) == invitation.id).values(held_for=email)
    )


async def use(session: AsyncSession, invitation: Invitation, account: Account) -> bool:
    """Use it up for this account; False if somebody else just did, or it was revoked."""
    done = await session.exec(
        update(Invitation)
        .where(
            col(Invitation.id) == invitation.id,
            col(Invitation.used_at_ms).is_(None),
            col(Invitation.revoked_at_ms).is_(None),
        )
        .values(used_at_ms=now_ms(), used_by=account.id, held_for=None)
    )
    if done.rowcount != 1:
        return False
    audit.record(session, actor_id=account.id, action="invitation.used", subject_id=invitation.id)
    return True


async def revoke(session: AsyncSession, invitation_id: str, *, actor_id: AccountId | None) -> None:
    """Revoke an unused invitation. Raises NotFound if it is used, revoked or unknown."""
    done = await session.exec(
        update(Invitation)
        .where(
            col(Invitation.id) == invitation_id,
            col(Invitation.used_at_ms).is_(None),
            col(Invitation.revoked_at_ms).is_(None),
        )
        .values(revoked_at_ms=now_ms(), held_for=None)
    )
    if done.rowcount != 1:
        raise NotFound("There is no such invitation, or it has already been used or revoked.")
    audit.record(session, actor_id=actor_id, action="invitation.revoked", subject_id=invitation_id)


async def forget_person(session: AsyncSession, account_id: AccountId) -> None:
    """Remove a deleted person's address from the invitation they used."""
    await session.exec(
        update(Invitation)
        .where(col(Invitation.used_by) == account_id)
        .values(email=None, held_for=None)
    )


@dataclass(frozen=True)
class InvitationPage:
    """Newest first; `next_before` is the cursor for the next page, None at the end."""

    invitations: list[Invitation]
    next_before: str | None


async def page(session: AsyncSession, *, limit: int, before: str | None = None) -> InvitationPage:
    query = select(Invitation).order_by(col(Invitation.id).desc()).limit(limit + 1)
    if before is not None:
        query = query.where(col(Invitation.id) < before)
    found = list((await session.exec(query)).all())
    shown = found[:limit]
    return InvitationPage(shown, shown[-1].id if len(found) > limit else None)


def _hashes(settings: Settings) -> KeyedHash:
    return KeyedHash("invitation", *settings.secret_keys)
