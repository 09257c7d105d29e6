"""How long a sign-in lasts, and what is recorded about it."""

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from chat_platform.accounts import audit, sign_in, sign_in_rows
from chat_platform.accounts.sign_in_rows import Visit
from chat_platform.context import AppContext
from chat_platform.database.engine import reading, transaction
from chat_platform.errors import NotSignedIn
from chat_platform.models import AuditEntry, SignIn
from chat_platform.values.clock import now_ms
from tests.people import PASSWORD, Person

DAY_MS = 24 * 3600 * 1000
HERE = Visit("api", "tests", "192.0.2.1")


async def begun(ctx: AppContext, person: Person, *, days_ago: float) -> None:
    """Let the person's sign-ins have begun so long ago, and be in use until now."""
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(SignIn)
            .where(col(SignIn.account_id) == person.id)
            .values(created_at_ms=now_ms() - int(days_ago * DAY_MS), last_seen_at_ms=0)
        )


async def of_person(ctx: AppContext, person: Person) -> list[SignIn]:
    async with reading(ctx.engine) as session:
        query = select(SignIn).where(col(SignIn.account_id) == person.id)
        return list((await session.exec(query)).all())


async def test_use_prolongs_a_sign_in(ctx: AppContext, alice: Person):
    await begun(ctx, alice, days_ago=20)

    await sign_in.caller_from_cookie(ctx, alice.cookie)

    lives = max(row.expires_at_ms for row in await of_person(ctx, alice)) - now_ms()
    assert lives == pytest.approx(30 * DAY_MS, abs=60_000)


@pytest.mark.parametrize("door", ["cookie", "refresh"])
async def test_no_use_prolongs_it_beyond_its_longest_life(
    ctx: AppContext, alice: Person, door: str
):
    await begun(ctx, alice, days_ago=89)

    if door == "cookie":
        await sign_in.caller_from_cookie(ctx, alice.cookie)
    else:
        await sign_in.refresh(ctx, alice.refresh_token)

    used = [row for row in await of_person(ctx, alice) if row.last_seen_at_ms]
    assert [row.expires_at_ms - now_ms() for row in used] == [pytest.approx(DAY_MS, abs=60_000)]


async def entries(ctx: AppContext) -> list[tuple[str, str | None]]:
    async with reading(ctx.engine) as session:
        rows = (await session.exec(select(AuditEntry))).all()
    return [(row.action, row.subject_id) for row in rows]


async def test_a_sign_in_is_written_down(ctx: AppContext, alice: Person):
    signed_in = await sign_in.login(ctx, email="alice@example.com", password=PASSWORD, visit=HERE)

    assert ("sign_in.opened", signed_in.sign_in_id) in await entries(ctx)


@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com"])
async def test_a_failure_is_written_down_and_names_nobody_unknown(
    ctx: AppContext, alice: Person, email: str
):
    with pytest.raises(NotSignedIn):
        await sign_in.login(ctx, email=email, password="a wrong one", visit=HERE)

    whose = alice.id if email.startswith("alice") else None
    assert (await entries(ctx))[-1] == ("sign_in.failed", whose)


async def test_what_is_told_of_sign_ins_is_forgotten_and_the_rest_is_kept(
    ctx: AppContext, alice: Person
):
    await sign_in_rows.end_sign_in(ctx, alice.id, (await of_person(ctx, alice))[0].id)
    async with transaction(ctx.engine) as session:
        await session.exec(update(AuditEntry).values(at_ms=now_ms() - 181 * DAY_MS))

    await audit.forget_old_sign_ins(ctx)

    assert {action for action, _ in await entries(ctx)} == {"sign_in.ended"}
