"""Guards passwords and codes against guessing, without locking their owner out elsewhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chat_platform import rate_limits
from chat_platform.context import AppContext
from chat_platform.errors import NotSignedIn, PlatformError
from chat_platform.rate_limits import Hit, Rule


@asynccontextmanager
async def attempt(ctx: AppContext, *, email: str, address: str) -> AsyncIterator[None]:
    """Run one check of a password or code; only a wrong one counts in the end.

    Counted before the check, so that a thousand at once are not a thousand checks; the rules
    are asked from the narrow to the wide, so that one address alone never uses up an account's.
    Raises RateLimited.
    """
    taken = [await ctx.limits.take(rule, *key) for rule, key in _rules(email, address)]
    try:
        yield
    except NotSignedIn:
        raise
    except PlatformError:
        await _give_back(ctx, taken)
        raise
    await _give_back(ctx, taken)


def _rules(email: str, address: str) -> list[tuple[Rule, tuple[str, ...]]]:
    return [
        (rate_limits.WRONG_PASSWORDS_FROM_ADDRESS_FOR_ACCOUNT, ("guess", address, email)),
        (rate_limits.WRONG_PASSWORDS_FROM_ADDRESS, ("guess", address)),
        (rate_limits.WRONG_PASSWORDS_FOR_ACCOUNT, ("guess", email)),
    ]


async def _give_back(ctx: AppContext, taken: list[Hit]) -> None:
    for hit in taken:
        await ctx.limits.give_back(hit)
