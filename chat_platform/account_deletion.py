"""Deletes an account everywhere: agent, billing, identity, rows. Goes on where it stopped."""

import contextlib

import structlog
from sqlalchemy import delete, update
from sqlmodel import col, select

from chat_platform import audit
from chat_platform.agents import agent_of
from chat_platform.clock import now_ms
from chat_platform.context import AppContext
from chat_platform.db import reading, transaction
from chat_platform.errors import NotFound, PlatformError
from chat_platform.ids import AccountId, new_id
from chat_platform.models import Account, Agent, ModelCall, Turn
from chat_platform.password_change import end_every_credential, ensure_password

log = structlog.get_logger()

DELETION_SECONDS = 60.0
"""How often waiting deletions go on."""


async def begin_deletion(ctx: AppContext, account: Account, *, password: str, address: str) -> None:
    """Mark the account and void its credentials; `finish_deletion` does the rest.

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
    """Go on with every deletion that a peer or a restart held up. Run now and then."""
    query = select(Account.id).where(col(Account.deleting_at_ms).is_not(None))
    async with reading(ctx.engine) as session:
        waiting = list((await session.exec(query)).all())
    for account_id in waiting:
        await finish_deletion(ctx, AccountId(account_id))


async def finish_deletion(ctx: AppContext, account_id: AccountId) -> bool:
    """Delete at the peers, then here; False when a peer did not answer and it must go on later.

    Every step may be repeated: what is gone is done.
    """
    try:
        await _delete_at_peers(ctx, account_id)
    except NotFound:
        return True
    except PlatformError as exc:
        log.warning("account.deletion_waits", account_id=account_id, code=exc.code)
        return False
    await _delete_rows(ctx, account_id)
    log.info("account.deleted", account_id=account_id)
    return True


async def _delete_at_peers(ctx: AppContext, account_id: AccountId) -> None:
    async with reading(ctx.engine) as session:
        account = await session.get(Account, account_id)
    if account is None:
        raise NotFound("It is gone already.")
    agent_id = await agent_of(ctx, account_id)
    if agent_id is not None:
        with contextlib.suppress(NotFound):
            await ctx.runtime.cancel(agent_id)
        await ctx.runtime.delete_agent(agent_id)
    await ctx.billing.close_account(account_id)
    await ctx.identity.delete(account.auth_subject)


async def _delete_rows(ctx: AppContext, account_id: AccountId) -> None:
    """Delete what is the person's; amounts stay in the ledger under a name that means nobody."""
    nobody = f"deleted-{new_id()}"
    async with transaction(ctx.engine) as session:
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
        await session.exec(delete(Agent).where(col(Agent.account_id) == account_id))
        await session.exec(delete(Account).where(col(Account.id) == account_id))
        audit.record(session, actor_id=None, action="account.deleted", subject_id=account_id)
