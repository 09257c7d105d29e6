"""How a budget's counters change with its calls: reserve, settle, renew. Pure arithmetic.

The counters are exact: `spent` is the sum of the period's ledger rows and of what is `earlier`,
`reserved` the sum of what its open calls hold.
"""

from typing import Literal, NamedTuple

from chat_platform.values.ids import AccountId
from chat_platform.values.periods import window_at

BudgetRefusal = Literal["budget_spent", "background_spent", "busy"]
"""`busy`: less than the call's worst case is left, and other calls hold some of it. Wait."""
CLOCK_DIFFERENCE_MS = 60_000


class Counters(NamedTuple):
    """A row of `budgets`."""

    account_id: AccountId
    limit_nano_usd: int
    period: str
    period_start_ms: int
    period_end_ms: int
    spent_nano_usd: int = 0
    reserved_nano_usd: int = 0
    open_calls: int = 0
    background_spent_nano_usd: int = 0
    background_reserved_nano_usd: int = 0
    earlier_nano_usd: int = 0
    """The part of `spent` from an earlier, deleted account of the same person."""

    @property
    def remaining_nano_usd(self) -> int:
        return max(0, self.limit_nano_usd - self.spent_nano_usd)

    def counted(
        self, spent: int, reserved: int, background_spent: int, background_reserved: int
    ) -> "Counters":
        """Return the counters with the ledger's sums for their period."""
        return self._replace(
            spent_nano_usd=spent,
            reserved_nano_usd=reserved,
            background_spent_nano_usd=background_spent,
            background_reserved_nano_usd=background_reserved,
        )


def first_counters(
    account_id: AccountId, *, limit_nano_usd: int, period: str, now_ms: int
) -> Counters:
    start_ms, end_ms = window_at(period, now_ms=now_ms)
    return Counters(account_id, limit_nano_usd, period, start_ms, end_ms)


def is_in_period(counters: Counters, now_ms: int) -> bool:
    return counters.period_start_ms <= now_ms < counters.period_end_ms


def just_before(counters: Counters, now_ms: int) -> bool:
    """Tell whether the period is about to begin: clocks of different hosts differ a little."""
    return 0 < counters.period_start_ms - now_ms <= CLOCK_DIFFERENCE_MS


def renewed(counters: Counters, now_ms: int) -> Counters:
    """Return the counters of the window that contains `now_ms`, with nothing counted yet; the
    same ones if that is theirs.

    It may be an earlier window, after a wrong clock. Calls that stay open over the change belong
    to the window in which they began.
    """
    if is_in_period(counters, now_ms):
        return counters
    start_ms, end_ms = window_at(counters.period, now_ms=now_ms, anchor_ms=counters.period_start_ms)
    return counters._replace(
        period_start_ms=start_ms,
        period_end_ms=end_ms,
        spent_nano_usd=0,
        reserved_nano_usd=0,
        background_spent_nano_usd=0,
        background_reserved_nano_usd=0,
        earlier_nano_usd=0,
    )


def reservation(
    counters: Counters,
    worst_case_nano_usd: int,
    *,
    background_cap_nano_usd: int | None,
    least_nano_usd: int = 1,
) -> int | BudgetRefusal:
    """Return how much a call may hold: its worst case, or all that is left if it runs alone.

    With less than `least_nano_usd` it is not worth sending: that counts as nothing left.
    `background_cap_nano_usd` is None for calls inside a turn.
    """
    amount = held(
        worst_case_nano_usd,
        least=least_nano_usd,
        limit=counters.limit_nano_usd,
        spent=counters.spent_nano_usd,
        reserved=counters.reserved_nano_usd,
    )
    if not isinstance(amount, int) or background_cap_nano_usd is None:
        return "budget_spent" if amount == "spent" else amount
    background = held(
        worst_case_nano_usd,
        least=least_nano_usd,
        limit=background_cap_nano_usd,
        spent=counters.background_spent_nano_usd,
        reserved=counters.background_reserved_nano_usd,
    )
    if not isinstance(background, int):
        return "background_spent" if background == "spent" else background
    return min(amount, background)


def held(
    worst_case: int, *, least: int = 1, limit: int, spent: int, reserved: int
) -> int | Literal["busy", "spent"]:
    """Return how much a call may hold: its worst case, or all that is left if it runs alone.

    Also `spent` if less than `least` would be left even if all other calls cost nothing.
    """
    if spent + max(1, least) > limit:
        return "spent"
    left = limit - spent - reserved
    if worst_case <= left:
        return worst_case
    return "busy" if reserved else left


def opened(counters: Counters, held_nano_usd: int, *, is_background: bool) -> Counters:
    """Return the counters with one more open call, which holds this much."""
    return counters._replace(
        open_calls=counters.open_calls + 1,
        reserved_nano_usd=counters.reserved_nano_usd + held_nano_usd,
        background_reserved_nano_usd=counters.background_reserved_nano_usd
        + (held_nano_usd if is_background else 0),
    )


def closed(
    counters: Counters, held_nano_usd: int, *, period_start_ms: int, is_background: bool
) -> Counters:
    """Return the counters with one open call less, and its reservation released."""
    if period_start_ms != counters.period_start_ms:
        held_nano_usd = 0
    return counters._replace(
        open_calls=counters.open_calls - 1,
        reserved_nano_usd=counters.reserved_nano_usd - held_nano_usd,
        background_reserved_nano_usd=counters.background_reserved_nano_usd
        - (held_nano_usd if is_background else 0),
    )


def charged(
    counters: Counters, change_nano_usd: int, *, period_start_ms: int, is_background: bool
) -> Counters:
    """Return the counters with this much more (or less) spent, if it belongs to their period."""
    if period_start_ms != counters.period_start_ms or not change_nano_usd:
        return counters
    return counters._replace(
        spent_nano_usd=counters.spent_nano_usd + change_nano_usd,
        background_spent_nano_usd=counters.background_spent_nano_usd
        + (change_nano_usd if is_background else 0),
    )
