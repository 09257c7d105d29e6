"""An audit entry stands if and only if what it tells has happened."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from chat_platform.accounts import admin, api_tokens
from chat_platform.accounts.api_tokens import terms_of
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.models import AuditEntry
from tests.people import Person

Act = Callable[[AppContext, Person, Person], Awaitable[object]]


def set_budget(ctx: AppContext, root: Person, alice: Person) -> Awaitable[object]:
    return admin.set_budget(ctx, root.account, alice.id, limit_nano_usd=1, period=None)


def disable(ctx: AppContext, root: Person, alice: Person) -> Awaitable[object]:
    return admin.set_disabled(ctx, root.account, alice.id, is_disabled=True)


def invite(ctx: AppContext, root: Person, alice: Person) -> Awaitable[object]:
    return admin.make_invitation(ctx, root.account, budget_nano_usd=None, days=7, email=None)


def make_token(ctx: AppContext, root: Person, alice: Person) -> Awaitable[object]:
    return api_tokens.make_token(ctx, alice.id, terms_of("laptop", ["chat"]))


async def entries(ctx: AppContext) -> int:
    async with reading(ctx.engine) as session:
        return len((await session.exec(select(AuditEntry.position))).all())


@pytest.mark.parametrize(
    ("table", "act"),
    [
        ("budgets", set_budget),
        ("accounts", disable),
        ("invitations", invite),
        ("api_tokens", make_token),
    ],
)
async def test_what_could_not_be_done_is_not_told(
    ctx: AppContext, root: Person, alice: Person, table: str, act: Act
):
    await act(ctx, root, alice)
    before = await entries(ctx)
    async with transaction(ctx.engine) as session:
        await session.exec(text(f"alter table {table} rename to gone"))  # pyright: ignore

    with pytest.raises(DBAPIError):
        await act(ctx, root, alice)

    assert await entries(ctx) == before > 0
