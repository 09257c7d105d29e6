"""What all accounts together may spend: in total, and per UTC day. Pure arithmetic.

The counters are exact: a span's `spent` is the sum of the ledger's rows that began in it,
`reserved` the sum of what the open ones among them hold.
"""

from functools import cache
from typing import Literal, NamedTuple

from chat_platform.billing.reservations import held
from chat_platform.settings import Settings
from chat_platform.values.clock import to_datetime
from chat_platform.values.money import to_nano_usd

EVER = "all"
"""The span of everything; each other span is a day, such as `2026-01-31`."""
DAY_MS = 86_400_000

CapRefusal = Literal["platform_spent", "platform_day_spent", "platform_busy"]
"""`platform_busy`: less than the call's worst case is left, and other calls hold some. Wait."""


class Caps(NamedTuple):
    """None for a cap that is not set."""

    total_nano_usd: int | None = None
    day_nano_usd: int | None = None

    @property
    def are_set(self) -> bool:
        return self.total_nano_usd is not None or self.day_nano_usd is not None


NO_CAPS = Caps()


def caps_of(settings: Settings) -> Caps:
    return _caps(settings.platform_budget, settings.platform_daily_budget)


@cache
def _caps(total_usd: str, day_usd: str) -> Caps:
    return Caps(
        to_nano_usd(total_usd) if total_usd else None, to_nano_usd(day_usd) if day_usd else None
    )


class Spending(NamedTuple):
    """A row of `platform_spending`."""

    span: str
    spent_nano_usd: int = 0
    reserved_nano_usd: int = 0

    def opened(self, held_nano_usd: int) -> "Spending":
        return self._replace(reserved_nano_usd=self.reserved_nano_usd + held_nano_usd)

    def changed(self, *, given_back_nano_usd: int, cost_nano_usd: int) -> "Spending":
        """Return it with a reservation released, and a call's cost raised (or lowered)."""
        return self._replace(
            reserved_nano_usd=self.reserved_nano_usd - given_back_nano_usd,
            spent_nano_usd=self.spent_nano_usd + cost_nano_usd,
        )


def day_of(ms: int) -> str:
    return to_datetime(ms).date().isoformat()


def end_of_day(ms: int) -> int:
    return ms - ms % DAY_MS + DAY_MS


def capped(
    caps: Caps, worst_case_nano_usd: int, *, least_nano_usd: int = 1, ever: Spending, day: Spending
) -> int | CapRefusal:
    """Return how much a call may hold: its worst case, or all that is left if it runs alone."""
    amount: int = worst_case_nano_usd
    for limit, spending in ((caps.total_nano_usd, ever), (caps.day_nano_usd, day)):
        if limit is None:
            continue
        left = held(
            amount,
            least=least_nano_usd,
            limit=limit,
            spent=spending.spent_nano_usd,
            reserved=spending.reserved_nano_usd,
        )
        if left == "busy":
            return "platform_busy"
        if left == "spent":
            return "platform_spent" if spending is ever else "platform_day_spent"
        amount = left
    return amount
