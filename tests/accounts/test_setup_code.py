"""Only the person with the code that the first start shows becomes an administrator."""

import asyncio

import httpx
import pytest
from sqlmodel import select

from chat_platform.accounts import setup_code
from chat_platform.accounts.admin import become_administrator
from chat_platform.accounts.profiles import get_account
from chat_platform.accounts.registration import Papers
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.errors import NotAllowed
from chat_platform.models.registration import Installation
from tests.people import Person
from tests.registering import registered, under, with_settings

NEW = "new@example.com"


async def offered(ctx: AppContext) -> str:
    code = await setup_code.offer_setup_code(ctx.engine, ctx.settings)
    assert code
    return code


async def test_the_first_start_shows_it_and_later_ones_do_not(ctx: AppContext):
    shown = [await setup_code.offer_setup_code(ctx.engine, ctx.settings) for _ in range(3)]

    assert [code is not None for code in shown] == [True, False, False]


async def test_of_processes_that_start_at_once_one_shows_it(ctx: AppContext):
    shown = await asyncio.gather(
        *(setup_code.offer_setup_code(ctx.engine, ctx.settings) for _ in range(6))
    )

    assert len([code for code in shown if code]) == 1


async def test_development_shows_none(ctx: AppContext):
    ctx = with_settings(ctx, environment="development")

    assert await setup_code.offer_setup_code(ctx.engine, ctx.settings) is None


async def test_where_there_is_an_administrator_none_is_shown(ctx: AppContext, root: Person):
    assert await setup_code.offer_setup_code(ctx.engine, ctx.settings) is None


@pytest.mark.parametrize("registration", ["open", "invite", "closed", None])
async def test_who_registers_with_it_is_the_administrator(
    ctx: AppContext, alice: Person, registration: str | None
):
    papers = Papers(setup_code=await offered(ctx))

    made = await registered(under(ctx, registration), NEW, papers)

    assert (await get_account(ctx, made.id)).role == "admin"


async def test_it_works_once_however_many_come(ctx: AppContext):
    papers = Papers(setup_code=await offered(ctx))

    outcomes = await asyncio.gather(
        *(registered(ctx, f"p{n}@example.com", papers) for n in range(6)), return_exceptions=True
    )

    assert sorted(type(o).__name__ for o in outcomes) == ["Account"] + ["NotAllowed"] * 5


async def test_a_wrong_code_registers_nobody(ctx: AppContext):
    await offered(ctx)

    with pytest.raises(NotAllowed) as error:
        await registered(ctx, NEW, Papers(setup_code="AAAA-AAAA"))

    assert error.value.code == "wrong_setup_code"


async def test_before_any_was_shown_none_is_right(ctx: AppContext):
    with pytest.raises(NotAllowed):
        await registered(ctx, NEW, Papers(setup_code="None"))


async def test_who_has_an_account_already_uses_it_there(
    ctx: AppContext, client: httpx.AsyncClient, alice: Person
):
    body = {"setup_code": await offered(ctx)}

    answers = [
        await client.post("/api/v1/user/setup-code", json=body, headers=alice.headers)
        for _ in range(2)
    ]

    assert [a.status_code for a in answers] == [204, 403]
    assert (await get_account(ctx, alice.id)).role == "admin"


async def test_a_lost_code_is_replaced_and_void(ctx: AppContext, alice: Person):
    lost = await offered(ctx)
    new = await setup_code.renew_setup_code(ctx.engine, ctx.settings)

    with pytest.raises(NotAllowed):
        await become_administrator(ctx, alice.id, lost, address="192.0.2.1")
    await become_administrator(ctx, alice.id, new, address="192.0.2.1")

    assert (await get_account(ctx, alice.id)).role == "admin"


async def test_it_is_kept_as_a_hash_only(ctx: AppContext):
    code = await offered(ctx)

    async with reading(ctx.engine) as session:
        stored = (await session.exec(select(Installation))).one().model_dump_json()
    assert code.replace("-", "") not in stored.replace("-", "")
