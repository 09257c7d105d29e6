"""How often one person may do costly things. REST and pages share the same counters."""

from collections.abc import Callable
from typing import Any, TypeVar

from chat_platform.context import AppContext
from chat_platform.process.rate_limits import Rule
from chat_platform.values.ids import AccountId

Function = TypeVar("Function", bound=Callable[..., Any])

_RULE = "rule_of_account"


def counts_as(rule: Rule | None) -> Callable[[Function], Function]:
    """Mark a route or a page's handler with the rate limit that applies to it.

    None: it must always work, because it stops something, or revokes a credential with which
    somebody else may be exhausting the limits.
    """

    def mark(function: Function) -> Function:
        setattr(function, _RULE, rule)
        return function

    return mark


def rule_of(function: object, default: Rule | None) -> Rule | None:
    """Return the rule that the function was marked with."""
    return getattr(function, _RULE, default)


async def count(ctx: AppContext, account_id: AccountId, rule: Rule | None) -> None:
    """Count one for the person, whatever the credential; raises RateLimited."""
    if rule is not None:
        await ctx.limits.take(rule, rule.name, account_id)
