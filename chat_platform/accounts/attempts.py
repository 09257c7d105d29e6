"""Protects passwords and codes from guessing, without locking out their owner elsewhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlmodel import col, select

from chat_platform.accounts import audit
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.errors import NotSignedIn, PlatformError
from chat_platform.models import Account
from chat_platform.process import rate_limits
from chat_platform.process.rate_limits import Hit, Rule


@asynccontextmanager
async def attempt(ctx: AppContext, *, email: str, address: str) -> AsyncIterator[None]:
    """Run one check of a password or code; only failed checks stay counted.

    Counted before the check, so that concurrent attempts are limited too; the narrowest rule
    comes first, so that a single address cannot exhaust an account's limit.
    Raises RateLimited.
    """
    taken = [await ctx.limits.take(rule, *key) for rule, key in _rules(email, address)]
    try:
        yield
    except NotSignedIn as exc:
        await _note_failure(ctx, email, exc.code)
        raise
    except PlatformError:
        await _give_back(ctx, taken)
        raise
    await _give_back(ctx, taken)


async def _note_failure(ctx: AppContext, email: str, code: str) -> None:
    """Record the failure, with the account if the address belongs to one.

    The limits bound how many there are. The work is the same for unknown addresses.
    """
    async with transaction(ctx.engine) as session:
        known = select(Account.id).where(col(Account.email) == email)
        account_id = (await session.exec(known)).one_or_none()
        audit.record(
            session,
            actor_id=None,
            action="sign_in.failed",
            subject_id=account_id,
            detail={"code": code},
        )


def _rules(email: str, address: str) -> list[tuple[Rule, tuple[str, ...]]]:
    return [
        (rate_limits.WRONG_PASSWORDS_FROM_ADDRESS_FOR_ACCOUNT, ("guess", address, email)),
        (rate_limits.WRONG_PASSWORDS_FROM_ADDRESS, ("guess", address)),
        (rate_limits.WRONG_PASSWORDS_FOR_ACCOUNT, ("guess", email)),
    ]


async def _give_back(ctx: AppContext, taken: list[Hit]) -> None:
    for hit in taken:
        await ctx.limits.give_back(hit)
