"""Decides who may register, for everything that creates accounts. Knows no passwords.

Called twice: `ensure_welcome_to_register` before the identity provider registers anybody, and
`admit` in the transaction that creates the account, which is exact under concurrency.
"""

from dataclasses import dataclass

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from chat_platform.accounts import invitations, setup_code
from chat_platform.accounts.refusals import (
    domain_not_allowed,
    invitation_needed,
    registration_closed,
)
from chat_platform.billing import past_spending
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import Account
from chat_platform.models.registration import Installation, Invitation
from chat_platform.settings import RegistrationPolicy, Settings


@dataclass(frozen=True)
class Papers:
    """What a person provides when registering, as typed."""

    invitation: str = ""
    setup_code: str = ""


NO_PAPERS = Papers()


@dataclass(frozen=True)
class _Grant:
    """Why somebody may register."""

    setup_code: str = ""
    invitation: Invitation | None = None
    is_first: bool = False
    """Allowed only if nobody has registered before."""


async def policy_now(ctx: AppContext) -> RegistrationPolicy:
    """Return the policy that applies now: `first` only while nobody has registered."""
    policy = ctx.settings.registration_policy
    if policy != "first":
        return policy
    async with reading(ctx.engine) as session:
        return "first" if await _is_nobody_here(session) else "invite"


async def ensure_welcome_to_register(ctx: AppContext, email: str, papers: Papers) -> None:
    """Raise NotAllowed if the address may not register; hold its invitation for it.

    With an identity provider that confirms addresses, the person returns later, without the code.
    """
    async with transaction(ctx.engine) as session:
        grant = await _decide(session, ctx.settings, email, papers)
        if grant.invitation:
            await invitations.hold(session, grant.invitation, email)


async def admit(
    session: AsyncSession, settings: Settings, account: Account, papers: Papers
) -> None:
    """Admit a new account, and return what its first budget depends on.

    `account` must be flushed, so that its address and mailbox are known to be free. Raises
    NotAllowed `registration_closed`, `invitation_needed`, `domain_not_allowed`,
    `wrong_setup_code`: the transaction must then be rolled back.
    """
    grant = await _decide(session, settings, account.email, papers)
    was_first = await _note_first(session, account)
    if grant.is_first and not was_first:
        raise invitation_needed()
    if grant.setup_code:
        await setup_code.use(session, settings, account, grant.setup_code)
    if grant.invitation and not await invitations.use(session, grant.invitation, account):
        raise invitation_needed()
    limit = grant.invitation.budget_nano_usd if grant.invitation else None
    await past_spending.open_budget(session, settings, account, limit_nano_usd=limit)


async def _decide(session: AsyncSession, settings: Settings, email: str, papers: Papers) -> _Grant:
    if papers.setup_code:
        await setup_code.ensure_right(session, settings, papers.setup_code)
        return _Grant(setup_code=papers.setup_code)
    policy = settings.registration_policy
    if policy == "closed":
        raise registration_closed()
    if not settings.may_register_from(email):
        raise domain_not_allowed()
    invitation = await invitations.find(session, settings, code=papers.invitation, email=email)
    if invitation:
        return _Grant(invitation=invitation)
    if papers.invitation.strip():
        raise invitation_needed()
    if policy == "open":
        return _Grant()
    if policy == "first" and await _is_nobody_here(session):
        return _Grant(is_first=True)
    raise invitation_needed()


async def _is_nobody_here(session: AsyncSession) -> bool:
    query = select(Installation.first_account_id)
    return (await session.exec(query)).one() is None


async def _note_first(session: AsyncSession, account: Account) -> bool:
    """Record the first account of the installation; False if there was one before.

    The row is the lock: of two at once, the second waits here and then returns False.
    """
    done = await session.exec(
        update(Installation)
        .where(col(Installation.first_account_id).is_(None))
        .values(first_account_id=account.id)
    )
    return done.rowcount == 1
