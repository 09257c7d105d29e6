"""Platforms with another rule for registration, and short ways to use each door."""

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from chat_platform.accounts.invitations import invite
from chat_platform.accounts.profiles import account_for
from chat_platform.accounts.registration import NO_PAPERS, Papers
from chat_platform.api.app import create_api
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import Account

PASSWORD = "correct horse battery"


def with_settings(ctx: AppContext, **changes: Any) -> AppContext:
    return replace(ctx, settings=ctx.settings.model_copy(update=changes))


def under(ctx: AppContext, registration: str | None) -> AppContext:
    """The same platform under another REGISTRATION."""
    return with_settings(ctx, registration=registration)


async def invitation(ctx: AppContext, **terms: Any) -> str:
    """Return the code of a new invitation."""
    async with transaction(ctx.engine) as session:
        return (await invite(session, ctx.settings, actor_id=None, **terms)).code


async def registered(ctx: AppContext, email: str, papers: Papers = NO_PAPERS) -> Account:
    """Create an account as every door does."""
    identity = await ctx.identity.register(email, PASSWORD, name="")
    assert identity is not None
    return await account_for(ctx, identity, papers)


@asynccontextmanager
async def visiting(ctx: AppContext):
    """A REST client of this platform."""
    api = create_api()
    api.state.ctx = ctx
    transport = httpx.ASGITransport(app=api, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://platform.test") as client:
        yield client
