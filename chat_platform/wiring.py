"""The only place that builds adapters: settings in, a running AppContext out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from chat_platform.accounts import audit, shut_out
from chat_platform.accounts.deletion import DELETION_SECONDS, resume_deletions
from chat_platform.accounts.open_readers import OpenReaders
from chat_platform.adapters.identity.local import LocalIdentity
from chat_platform.adapters.identity.smtp_mailer import SmtpMailer
from chat_platform.adapters.identity.supabase import TIMEOUT_SECONDS, SupabaseIdentity
from chat_platform.adapters.identity.supabase_tokens import SupabaseTokens
from chat_platform.adapters.letta.memory import LettaMemory
from chat_platform.adapters.letta.runtime import LettaRuntime, open_letta
from chat_platform.adapters.litellm import admin_client, open_gateway
from chat_platform.billing import ledger, platform_budget
from chat_platform.billing.open_calls import OpenCalls
from chat_platform.billing.reconciliation import RECONCILE_SECONDS, Reconciliation
from chat_platform.billing.unsettled import Unsettled
from chat_platform.context import AppContext
from chat_platform.database.engine import migrate, open_engine
from chat_platform.database.writer import GroupWriter
from chat_platform.ports import (
    AddressConfirmation,
    AgentMemory,
    AgentRuntime,
    BillingGateway,
    ForeignTokens,
    IdentityProvider,
    TraceCollector,
)
from chat_platform.process import metrics
from chat_platform.process.background import Routine, running
from chat_platform.process.rate_limits import RateLimits
from chat_platform.settings import Settings
from chat_platform.turns import unwelcome
from chat_platform.turns.feed import TurnFeed
from chat_platform.turns.recovery import kept_turns
from chat_platform.turns.redis_feed import relayed_turns
from chat_platform.turns.running import RunningTurns


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[AppContext]:
    """Open the database and the adapters, and close them again in reverse order."""
    async with AsyncExitStack() as stack:
        engine, writer = await _open_database(settings, stack)
        runtime, memory = await _open_agents(settings, stack)
        identity, confirmation, foreign_tokens = await _open_identity(settings, engine, stack)
        ctx = new_context(
            settings,
            engine,
            writer,
            runtime=runtime,
            memory=memory,
            billing=await _open_billing(settings, stack),
            identity=identity,
            confirmation=confirmation,
            foreign_tokens=foreign_tokens,
            traces=_open_traces(settings, stack),
            limits=RateLimits(settings.redis_url.get_secret_value()),
        )
        await platform_budget.recount(ctx)
        stack.push_async_callback(ledger.flush, ctx)
        await stack.enter_async_context(running(*routines(ctx)))
        await stack.enter_async_context(relayed_turns(ctx))
        await stack.enter_async_context(kept_turns(ctx))
        yield ctx


def new_context(
    settings: Settings,
    engine: AsyncEngine,
    writer: GroupWriter,
    *,
    runtime: AgentRuntime,
    memory: AgentMemory,
    billing: BillingGateway,
    identity: IdentityProvider,
    confirmation: AddressConfirmation | None = None,
    foreign_tokens: ForeignTokens | None = None,
    traces: TraceCollector | None = None,
    limits: RateLimits | None = None,
) -> AppContext:
    """Put a process's context together: what is given, and what the process itself keeps."""
    return AppContext(
        settings=settings,
        engine=engine,
        writer=writer,
        runtime=runtime,
        memory=memory,
        billing=billing,
        identity=identity,
        confirmation=confirmation,
        foreign_tokens=foreign_tokens,
        traces=traces,
        limits=limits or RateLimits(),
        open_calls=OpenCalls(),
        unsettled=Unsettled(),
        open_readers=OpenReaders(),
        turn_feed=TurnFeed(),
        running_turns=RunningTurns(),
    )


def routines(ctx: AppContext) -> list[Routine]:
    return [
        Routine("look_at_loop", metrics.LOOK_SECONDS, metrics.look_at_loop),
        Routine("renew_leases", ledger.RENEW_SECONDS, partial(ledger.renew_leases, ctx)),
        Routine(
            "abort_cancelled", ledger.CANCEL_POLL_SECONDS, partial(ledger.abort_cancelled, ctx)
        ),
        Routine("end_void_readers", shut_out.LOOK_SECONDS, partial(shut_out.end_void_readers, ctx)),
        Routine(
            "cancel_unwelcome", unwelcome.LOOK_SECONDS, partial(unwelcome.cancel_unwelcome, ctx)
        ),
        Routine("resume_deletions", DELETION_SECONDS, partial(resume_deletions, ctx)),
        Routine("reconcile", RECONCILE_SECONDS, Reconciliation(ctx).run),
        Routine(
            "forget_old_sign_ins", audit.FORGET_SECONDS, partial(audit.forget_old_sign_ins, ctx)
        ),
    ]


async def _open_database(
    settings: Settings, stack: AsyncExitStack
) -> tuple[AsyncEngine, GroupWriter]:
    if not settings.database_url.get_secret_value():
        await migrate(settings.database)
    # The group writer has its own connection.
    survives = settings.durability == "full"
    engine = open_engine(
        settings.database,
        connections=settings.database_connections - 1,
        survives_power_cuts=survives,
    )
    stack.push_async_callback(engine.dispose)
    writer = GroupWriter(settings.database, survives_power_cuts=survives)
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


def _open_traces(settings: Settings, stack: AsyncExitStack) -> TraceCollector | None:
    if not settings.otel_exporter_otlp_endpoint:
        return None
    # OpenTelemetry's SDK is imported only if it is used.
    from chat_platform.adapters.open_telemetry import OtlpTraces  # noqa: PLC0415

    traces = OtlpTraces(settings)
    stack.push_async_callback(asyncio.to_thread, traces.close)
    return traces


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
