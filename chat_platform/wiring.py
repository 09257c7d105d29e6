"""The only place that builds adapters: settings in, a running AppContext out."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from chat_platform.account_deletion import DELETION_SECONDS, resume_deletions
from chat_platform.background import Routine, running
from chat_platform.billing import ledger
from chat_platform.billing.reconciliation import RECONCILE_SECONDS, reconcile
from chat_platform.context import AppContext
from chat_platform.db import GroupWriter, migrate, open_engine
from chat_platform.identity.local import LocalIdentity
from chat_platform.identity.smtp_mailer import SmtpMailer
from chat_platform.identity.supabase import TIMEOUT_SECONDS, SupabaseIdentity
from chat_platform.identity.supabase_tokens import SupabaseTokens
from chat_platform.letta.memory import LettaMemory
from chat_platform.letta.runtime import LettaRuntime, open_letta
from chat_platform.litellm_gateway import admin_client, open_gateway
from chat_platform.ports import (
    AddressConfirmation,
    AgentMemory,
    AgentRuntime,
    BillingGateway,
    ForeignTokens,
    IdentityProvider,
)
from chat_platform.rate_limits import RateLimits
from chat_platform.settings import Settings
from chat_platform.turns.recovery import kept_turns
from chat_platform.turns.relay import relayed_turns


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[AppContext]:
    """Open the database and the adapters, and close them again in reverse order."""
    async with AsyncExitStack() as stack:
        engine, writer = await _open_database(settings, stack)
        runtime, memory = await _open_agents(settings, stack)
        identity, confirmation, foreign_tokens = await _open_identity(settings, engine, stack)
        ctx = AppContext(
            settings=settings,
            engine=engine,
            writer=writer,
            runtime=runtime,
            memory=memory,
            billing=await _open_billing(settings, stack),
            identity=identity,
            confirmation=confirmation,
            foreign_tokens=foreign_tokens,
            limits=RateLimits(settings.redis_url.get_secret_value()),
        )
        await stack.enter_async_context(running(*_routines(ctx)))
        await stack.enter_async_context(relayed_turns(ctx))
        await stack.enter_async_context(kept_turns(ctx))
        yield ctx


def _routines(ctx: AppContext) -> list[Routine]:
    return [
        Routine("renew_leases", ledger.RENEW_SECONDS, partial(ledger.renew_leases, ctx)),
        Routine(
            "abort_cancelled", ledger.CANCEL_POLL_SECONDS, partial(ledger.abort_cancelled, ctx)
        ),
        Routine("resume_deletions", DELETION_SECONDS, partial(resume_deletions, ctx)),
        Routine("reconcile", RECONCILE_SECONDS, partial(reconcile, ctx)),
    ]


async def _open_database(
    settings: Settings, stack: AsyncExitStack
) -> tuple[AsyncEngine, GroupWriter]:
    if not settings.database_url.get_secret_value():
        await migrate(settings.database)
    # The group writer holds one of its own.
    engine = open_engine(settings.database, connections=settings.database_connections - 1)
    stack.push_async_callback(engine.dispose)
    writer = GroupWriter(settings.database)
    stack.push_async_callback(writer.close)
    return engine, writer


async def _open_agents(
    settings: Settings, stack: AsyncExitStack
) -> tuple[AgentRuntime, AgentMemory]:
    client = await stack.enter_async_context(open_letta(settings))
    return LettaRuntime(client, settings), LettaMemory(client)


async def _open_billing(settings: Settings, stack: AsyncExitStack) -> BillingGateway:
    http = await stack.enter_async_context(admin_client(settings))
    return open_gateway(settings, http)


async def _open_identity(
    settings: Settings, engine: AsyncEngine, stack: AsyncExitStack
) -> tuple[IdentityProvider, AddressConfirmation | None, ForeignTokens | None]:
    if settings.uses_supabase:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=TIMEOUT_SECONDS))
        supabase = SupabaseIdentity(settings, http)
        return supabase, supabase, SupabaseTokens(settings, http)
    smtp_url = settings.smtp_url.get_secret_value()
    mailer = SmtpMailer(smtp_url) if smtp_url else None
    return LocalIdentity(engine, mailer=mailer), None, None
