"""How a budget's counters change with its calls: reserve, settle, renew. Pure arithmetic.

The counters are exact: `spent` is the sum of the period's ledger rows, `reserved` the sum of what
its open calls hold.
"""

from typing import Literal, NamedTuple

from chat_platform.periods import window_at

BudgetRefusal = Literal["budget_spent", "background_spent", "busy"]
"""`busy`: less than the call's worst case is left, and other calls hold some of it. Wait."""


class Counters(NamedTuple):
    """A row of `budgets`."""

    account_id: str
    limit_nano_usd: int
    period: str
    period_start_ms: int
    period_end_ms: int
    spent_nano_usd: int = 0
    reserved_nano_usd: int = 0
    open_calls: int = 0
    background_spent_nano_usd: int = 0
    background_reserved_nano_usd: int = 0

    @property
    def remaining_nano_usd(self) -> int:
        return max(0, self.limit_nano_usd - self.spent_nano_usd)


def first_counters(account_id: str, *, limit_nano_usd: int, period: str, now_ms: int) -> Counters:
    start_ms, end_ms = window_at(period, now_ms=now_ms)
    return Counters(account_id, limit_nano_usd, period, start_ms, end_ms)


def renewed(counters: Counters, now_ms: int) -> Counters:
    """Return the counters of the window that holds `now_ms`; the same ones while theirs lasts.

    Calls that stay open over the change belong to the window in which they began.
    """
    if now_ms < counters.period_end_ms:
        return counters
    start_ms, end_ms = window_at(counters.period, now_ms=now_ms, anchor_ms=counters.period_start_ms)
    return counters._replace(
        period_start_ms=start_ms,
        period_end_ms=end_ms,
        spent_nano_usd=0,
        reserved_nano_usd=0,
        background_spent_nano_usd=0,
        background_reserved_nano_usd=0,
    )


def reservation(
    counters: Counters, worst_case_nano_usd: int, *, background_cap_nano_usd: int | None
) -> int | BudgetRefusal:
    """Return what a call may hold: its worst case, or all that is left when it runs alone.

    `background_cap_nano_usd` is None for calls inside a turn.
    """
    held = _held(
        worst_case_nano_usd,
        limit=counters.limit_nano_usd,
        spent=counters.spent_nano_usd,
        reserved=counters.reserved_nano_usd,
    )
    if not isinstance(held, int) or background_cap_nano_usd is None:
        return "budget_spent" if held == "spent" else held
    background = _held(
        worst_case_nano_usd,
        limit=background_cap_nano_usd,
        spent=counters.background_spent_nano_usd,
        reserved=counters.background_reserved_nano_usd,
    )
    if not isinstance(background, int):
        return "background_spent" if background == "spent" else background
    return min(held, background)


def _held(
    worst_case: int, *, limit: int, spent: int, reserved: int
) -> int | Literal["busy", "spent"]:
    if spent >= limit:
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
    """Return the counters with one open call less, what it held given back."""
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
    """Return the counters with this much more (or less) spent, if their period pays for it."""
    if period_start_ms != counters.period_start_ms or not change_nano_usd:
        return counters
    return counters._replace(
        spent_nano_usd=counters.spent_nano_usd + change_nano_usd,
        background_spent_nano_usd=counters.background_spent_nano_usd
        + (change_nano_usd if is_background else 0),
    )
