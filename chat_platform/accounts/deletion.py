"""Deletes an account everywhere: agent, billing, identity, rows. Resumes where it stopped."""

import asyncio
import contextlib
import time

import structlog
from sqlalchemy import delete, update
from sqlmodel import col, select

from chat_platform.accounts import audit, invitations
from chat_platform.accounts.passwords import end_every_credential, ensure_password
from chat_platform.agents.agents import agent_of
from chat_platform.billing import past_spending
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import NotFound, PlatformError
from chat_platform.models import Account, Agent, ModelCall, Turn
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId, new_id

log = structlog.get_logger()

DELETION_SECONDS = 60.0
"""How often pending deletions are resumed."""
CALLS_SECONDS = 5.0
"""How long a deletion waits for open calls before it is postponed."""
_CALLS_POLL_SECONDS = 0.05


async def begin_deletion(ctx: AppContext, account: Account, *, password: str, address: str) -> None:
    """Mark the account and revoke its credentials; `finish_deletion` does the rest.

    Raises NotAllowed `wrong_password`, Unavailable.
    """
    await ensure_password(ctx, account, password, address=address)
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(Account).where(col(Account.id) == account.id).values(deleting_at_ms=now_ms())
        )
        await end_every_credential(session, account.id)
        await session.exec(
            update(Turn)
            .where(col(Turn.account_id) == account.id, col(Turn.status) == "running")
            .values(cancel_requested_at_ms=now_ms())
        )
        audit.record(
            session, actor_id=account.id, action="account.deletion_began", subject_id=account.id
        )


async def resume_deletions(ctx: AppContext) -> None:
    """Resume every deletion that a peer or a restart interrupted. Runs regularly.

    Also forgets deleted accounts' past spending once its period has ended.
    """
    async with transaction(ctx.engine) as session:
        await past_spending.forget_ended(session)
    query = select(col(Account.id)).where(col(Account.deleting_at_ms).is_not(None))
    async with reading(ctx.engine) as session:
        waiting = list((await session.exec(query)).all())
    for account_id in waiting:
        await finish_deletion(ctx, account_id)


async def finish_deletion(ctx: AppContext, account_id: AccountId) -> bool:
    """Delete at the peers, then here; False when a peer did not answer: to be resumed later.

    Every step can be repeated: whatever is already deleted counts as done.
    """
    try:
        await _delete_at_peers(ctx, account_id)
    except NotFound:
        return True
    except PlatformError as exc:
        log.warning("account.deletion_waits", account_id=account_id, error=exc.code)
        return False
    if not await _delete_rows_when_calls_ended(ctx, account_id):
        log.warning("account.deletion_waits", account_id=account_id, reason="calls open")
        return False
    log.info("account.deleted", account_id=account_id)
    return True


async def _delete_at_peers(ctx: AppContext, account_id: AccountId) -> None:
    async with reading(ctx.engine) as session:
        account = await session.get(Account, account_id)
    if account is None:
        raise NotFound("This account has already been deleted.")
    agent_id = await agent_of(ctx, account_id)
    if agent_id is not None:
        with contextlib.suppress(NotFound):
            await ctx.runtime.cancel(agent_id)
        await ctx.runtime.delete_agent(agent_id)
    await ctx.billing.close_account(account_id)
    await ctx.identity.delete(account.auth_subject)


async def _delete_rows_when_calls_ended(ctx: AppContext, account_id: AccountId) -> bool:
    """Delete the rows, after a moment for the last calls to report their cost."""
    give_up_at = time.monotonic() + CALLS_SECONDS
    while not await _delete_rows(ctx, account_id):
        if time.monotonic() >= give_up_at:
            return False
        await asyncio.sleep(_CALLS_POLL_SECONDS)
    return True


async def _delete_rows(ctx: AppContext, account_id: AccountId) -> bool:
    """Delete the person's data; amounts stay in the ledger, anonymously.

    This period's spending is remembered, so that it cannot be spent again. False, and
    nothing is deleted, while a call is open.
    """
    nobody = f"deleted-{new_id()}"
    async with transaction(ctx.engine) as session:
        account = await session.get(Account, account_id)
        if account is None:
            return True
        if not await past_spending.remember(session, ctx.settings, account):
            return False
        await session.exec(
            update(ModelCall)
            .where(col(ModelCall.account_id) == account_id)
            .values(
                account_id=nobody,
                agent_id="",
                turn_id=None,
                gateway_call_id=None,
                response_id=None,
            )
        )
        await invitations.forget_person(session, account_id)
        await session.exec(delete(Agent).where(col(Agent.account_id) == account_id))
        await session.exec(delete(Account).where(col(Account.id) == account_id))
        audit.record(session, actor_id=None, action="account.deleted", subject_id=account_id)
    return True
