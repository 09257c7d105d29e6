"""What the person used and has left: totals, lists, the chart's bars and the CSV."""

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, TypedDict
from zoneinfo import ZoneInfo

import reflex as rx

from chat_platform.accounts.limits import counts_as
from chat_platform.billing.budgets import BudgetView, budget_spent
from chat_platform.billing.usage import UsageLine, UsageReport, report
from chat_platform.context import app_context
from chat_platform.conversations.questions import questions_of
from chat_platform.models import Account
from chat_platform.process.rate_limits import SEARCHES_OF_ACCOUNT
from chat_platform.state.account import AccountState
from chat_platform.state.gauges import budget_state, share_of
from chat_platform.state.receipt import kind_words
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AccountId
from chat_platform.values.money import to_usd_text
from chat_platform.web.i18n import Words, at_ms

PERIODS = ("budget", "7", "30", "90")
LISTED_TURNS = 10
_LOOKED_UP_TURNS = 40
_MAX_BARS = 92
_QUESTION_CHARACTERS = 90


class Line(TypedDict):
    name: str
    cost: str
    calls: str
    tokens: str
    share: str
    """Its share of the largest in the list, as a CSS length."""
    turn_id: str


class UsageState(AccountState):
    period: str = "budget"
    is_empty: bool = False
    spent: str = ""
    left: str = ""
    limit: str = ""
    renews: str = ""
    renews_in: str = ""
    spent_share: str = "0%"
    budget_state: str = ""
    """Empty, `nearly` or `spent`."""
    spent_words: str = ""
    """When it renews, once it is spent."""
    earlier_words: str = ""
    """The part spent by an earlier, deleted account of the same person."""
    total: str = ""
    summary: str = ""
    pending: str = ""
    days: list[Line] = []
    models: list[Line] = []
    kinds: list[Line] = []
    turns: list[Line] = []
    rest: list[Line] = []
    """The rest of the total: other turns, and calls outside any."""
    highest: str = ""
    first_day: str = ""
    last_day: str = ""

    @rx.event
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def open(self) -> None:
        await self._read(await self._account())

    @rx.event
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def choose(self, period: str) -> None:
        account = await self._account()
        self.period = period if period in PERIODS else "budget"
        await self._read(account)

    @rx.event
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def download_csv(self) -> Any:
        """Offer the days of the chosen period as a CSV file."""
        read = await self._report(await self._account())
        return rx.download(data=_as_csv(read.by_day), filename="usage.csv")

    async def _report(self, account: Account) -> UsageReport:
        zone, start_ms, end_ms = self._zone(), None, None
        if self.period != "budget":
            first = at_ms(now_ms(), zone).date() - timedelta(days=int(self.period) - 1)
            start_ms, end_ms = _midnight_ms(first, zone), now_ms() + 1
        return await report(app_context(), account.id, start_ms=start_ms, end_ms=end_ms, zone=zone)

    async def _read(self, account: Account) -> None:
        read = await self._report(account)
        self._show_budget(read.budget)
        self._show_lists(read)
        await self._show_turns(read, account.id)

    def _show_budget(self, budget: BudgetView) -> None:
        say, zone = self._words(), self._zone()
        renews = at_ms(budget.resets_at_ms, zone)
        days = (renews.date() - at_ms(now_ms(), zone).date()).days
        self.spent = say.money(budget.spent_nano_usd)
        self.left = say.money(max(0, budget.remaining_nano_usd))
        self.limit = say.money(budget.limit_nano_usd)
        self.renews = say.short_day(renews)
        self.renews_in = say.many("in {number} day", "in {number} days", days) if days > 0 else ""
        self.spent_share = share_of(budget.spent_nano_usd, budget.limit_nano_usd)
        self.budget_state = budget_state(budget.spent_nano_usd, budget.limit_nano_usd)
        is_spent = self.budget_state == "spent"
        self.earlier_words = _earlier(say, budget.earlier_nano_usd)
        self.spent_words = (
            self._why(budget_spent(resets_at_ms=budget.resets_at_ms)) if is_spent else ""
        )

    def _show_lists(self, read: UsageReport) -> None:
        say = self._words()
        self.total = say.money(read.cost_nano_usd)
        self.summary = _summary(say, read)
        self.pending = _pending(say, read.pending_calls)
        days = _every_day(read, self._zone())
        self.days = _lines(say, days, lambda name: _day_name(say, name))
        self.highest = say.money(max(line.cost_nano_usd for line in days))
        self.first_day, self.last_day = self.days[0]["name"], self.days[-1]["name"]
        self.models = _lines(say, _most_expensive(read.by_model), str)
        self.kinds = _lines(say, _most_expensive(read.by_kind), lambda name: kind_words(say, name))
        self.is_empty = not self.models

    async def _show_turns(self, read: UsageReport, account_id: AccountId) -> None:
        """The most expensive turns, by their message, and the rest, so that the list adds up."""
        say = self._words()
        turns = _most_expensive([line for line in read.by_turn if line.name])
        ids = [line.name for line in turns[:_LOOKED_UP_TURNS]]
        asked = await questions_of(app_context(), account_id, ids)
        shown = [line for line in turns if line.name in asked][:LISTED_TURNS]
        # Actions on the memory page hold a turn too, without any message.
        outside = [line for line in read.by_turn if not line.name or line.name in ids]
        outside = [line for line in outside if line.name not in asked]
        listed = {line.name for line in (*shown, *outside)}
        others = [line for line in turns if line.name not in listed]
        self.turns = _lines(say, shown, lambda name: _excerpt(asked[name]), are_turns=True)
        rest = [
            *([_sum_of(say("Everything else"), others)] if others else []),
            *([_sum_of(say("Not tied to a message"), outside)] if outside else []),
        ]
        self.rest = _lines(say, rest, str)


def _earlier(say: Words, nano_usd: int) -> str:
    if not nano_usd:
        return ""
    return say(
        "{amount} of this was spent by an earlier account of yours, now deleted. The "
        "costs below do not include it.",
        amount=say.money(nano_usd),
    )


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUESTION_CHARACTERS else line[: _QUESTION_CHARACTERS - 1] + "…"


def _sum_of(name: str, lines: Sequence[UsageLine]) -> UsageLine:
    return UsageLine(
        name,
        sum(line.cost_nano_usd for line in lines),
        sum(line.model_calls for line in lines),
        sum(line.prompt_tokens for line in lines),
        sum(line.completion_tokens for line in lines),
    )


def _summary(say: Words, read: UsageReport) -> str:
    return " · ".join(
        (
            say.many("{number} message", "{number} messages", read.turns),
            say.many("{number} model call", "{number} model calls", read.model_calls),
            say("{number} input tokens", number=say.number(read.prompt_tokens)),
            say("{number} output tokens", number=say.number(read.completion_tokens)),
        )
    )


def _pending(say: Words, calls: int) -> str:
    if not calls:
        return ""
    return say.many(
        "The price of {number} call is pending.",
        "The prices of {number} calls are pending.",
        calls,
    )


def _lines(
    say: Words, lines: Sequence[UsageLine], name_of: Any, *, are_turns: bool = False
) -> list[Line]:
    greatest = max((line.cost_nano_usd for line in lines), default=0)
    return [
        Line(
            name=name_of(line.name),
            cost=say.money(line.cost_nano_usd),
            calls=say.number(line.model_calls),
            tokens=say.number(line.prompt_tokens + line.completion_tokens),
            share=share_of(line.cost_nano_usd, greatest),
            turn_id=line.name if are_turns else "",
        )
        for line in lines
    ]


def _most_expensive(lines: Sequence[UsageLine]) -> list[UsageLine]:
    return sorted(lines, key=lambda line: -line.cost_nano_usd)


def _every_day(read: UsageReport, zone: ZoneInfo) -> list[UsageLine]:
    """Return the days up to today, including those without calls, oldest first.

    In a long period the first line, without a name, is everything before the days shown.
    """
    used = {line.name: line for line in read.by_day}
    first = at_ms(read.start_ms, zone).date()
    last = min(at_ms(read.end_ms - 1, zone).date(), at_ms(now_ms(), zone).date())
    count = min((last - first).days + 1, _MAX_BARS)
    days = [(last - timedelta(days=n)).isoformat() for n in reversed(range(count))]
    earlier = [line for line in read.by_day if line.name < days[0]]
    return [
        *([_sum_of("", earlier)] if earlier else []),
        *(used.get(day) or UsageLine(day, 0, 0, 0, 0) for day in days),
    ]


def _day_name(say: Words, day: str) -> str:
    return say.short_day(datetime.fromisoformat(day)) if day else say("Earlier")


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, time(), zone).timestamp() * 1000)


def _as_csv(lines: Sequence[UsageLine]) -> str:
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(("day", "cost_usd", "model_calls", "prompt_tokens", "completion_tokens"))
    for line in lines:
        cost = to_usd_text(line.cost_nano_usd)
        rows.writerow(
            (line.name, cost, line.model_calls, line.prompt_tokens, line.completion_tokens)
        )
    return file.getvalue()
