"""The platform's counters within one group of ledger entries: read and locked once, written once.

Nothing is read or written if no cap is set.
"""

from collections.abc import Iterable

from chat_platform.billing.ledger_rows import CallRow, Intent, Refused
from chat_platform.billing.platform_caps import (
    EVER,
    Caps,
    Spending,
    capped,
    day_of,
    end_of_day,
)
from chat_platform.database.group_commit.statements import Plan, Rows, Statement, Step

# Every group locks `all` first, so that its holder never waits for another's days. Accounts'
# budgets are locked before.
_SPENDING = Statement(
    "select span, spent_nano_usd, reserved_nano_usd from platform_spending where span in :spans"
    " order by span desc for update"
)
_NEW_SPENDING = Statement(
    "insert into platform_spending (span, spent_nano_usd, reserved_nano_usd) values (:span, 0, 0)"
    " on conflict do nothing"
)
_SAVE_SPENDING = Statement(
    "update platform_spending set spent_nano_usd = :spent_nano_usd,"
    " reserved_nano_usd = :reserved_nano_usd where span = :span"
)


class PlatformBookings:
    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._stored: dict[str, Spending] = {}
        self._spending: dict[str, Spending] = {}

    def read(self, intents: Iterable[Intent], calls: Iterable[CallRow]) -> Plan[None]:
        """Lock and read the rows that the group may change; create those of new days."""
        if not self._caps.are_set:
            return []
        begun = {EVER, *(day_of(intent.now_ms) for intent in intents)}
        spans = sorted(begun | {day_of(call.started_at_ms) for call in calls})
        reads = Step()
        reads.add(_SPENDING, spans=spans)
        self._note(*(yield reads))
        if missing := sorted(begun - self._stored.keys()):
            news = Step()
            for span in reversed(missing):
                news.add(_NEW_SPENDING, span=span)
            news.add(_SPENDING, spans=spans)
            self._note((yield news)[-1])
        self._spending = dict(self._stored)
        return []

    def _note(self, rows: Rows) -> None:
        self._stored = {row[0]: Spending(*row) for row in rows}

    def reserve(
        self, worst_case_nano_usd: int, now_ms: int, *, least_nano_usd: int
    ) -> int | Refused:
        """Return how much a call that begins now may reserve. Reserves nothing yet."""
        if not self._caps.are_set:
            return worst_case_nano_usd
        ever, day = self._spending[EVER], self._spending[day_of(now_ms)]
        amount = capped(
            self._caps, worst_case_nano_usd, least_nano_usd=least_nano_usd, ever=ever, day=day
        )
        if isinstance(amount, int):
            return amount
        ends = None if amount == "platform_spent" else end_of_day(now_ms)
        return Refused(amount, ends)

    def hold(self, held_nano_usd: int, now_ms: int) -> None:
        for spending in self._of(now_ms):
            self._spending[spending.span] = spending.opened(held_nano_usd)

    def change(self, before: CallRow, after: CallRow) -> None:
        """Count a changed call, in the day on which it began."""
        is_closing = before.state == "dispatched"
        for spending in self._of(before.started_at_ms):
            self._spending[spending.span] = spending.changed(
                given_back_nano_usd=before.reserved_nano_usd if is_closing else 0,
                cost_nano_usd=after.cost_nano_usd - before.cost_nano_usd,
            )

    def write(self, step: Step) -> None:
        for span, spending in self._spending.items():
            if spending is not self._stored[span]:
                step.add(_SAVE_SPENDING, **spending._asdict())

    def _of(self, ms: int) -> list[Spending]:
        if not self._spending:
            return []
        found = (self._spending.get(span) for span in (EVER, day_of(ms)))
        return [spending for spending in found if spending]
