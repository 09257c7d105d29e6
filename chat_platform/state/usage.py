"""What the person used and has left: totals, lists, the chart's bars and the CSV."""

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, TypedDict
from zoneinfo import ZoneInfo

import reflex as rx

from chat_platform.billing.budgets import BudgetView
from chat_platform.billing.usage import UsageLine, UsageReport, report
from chat_platform.clock import now_ms
from chat_platform.context import app_context
from chat_platform.history.questions import questions_of
from chat_platform.ids import AccountId
from chat_platform.models import Account
from chat_platform.money import to_usd_text
from chat_platform.state.account import AccountState
from chat_platform.state.receipt import kind_words
from chat_platform.web.i18n import Words, at_ms
from chat_platform.web.problem_words import budget_words

PERIODS = ("budget", "7", "30", "90")
DEAREST_TURNS = 10
_LOOKED_UP_TURNS = 40
_MAX_BARS = 92
_QUESTION_CHARACTERS = 90
_NEARLY_SPENT_PERCENT = 80


class Line(TypedDict):
    name: str
    cost: str
    calls: str
    tokens: str
    share: str
    """Of the greatest in its list, as a CSS length."""
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
    total: str = ""
    summary: str = ""
    pending: str = ""
    days: list[Line] = []
    models: list[Line] = []
    kinds: list[Line] = []
    turns: list[Line] = []
    rest: list[Line] = []
    """What the listed turns leave of the total: other turns, and calls outside any."""
    highest: str = ""
    first_day: str = ""
    last_day: str = ""

    @rx.event
    async def open(self) -> None:
        await self._read(await self._account())

    @rx.event
    async def choose(self, period: str) -> None:
        account = await self._account()
        self.period = period if period in PERIODS else "budget"
        await self._read(account)

    @rx.event
    async def download_csv(self) -> Any:
        """Give the days of the chosen period as a file."""
        read = await self._report(await self._account())
        return rx.download(data=_as_csv(read.by_day), filename="usage.csv")

    async def _report(self, account: Account) -> UsageReport:
        zone, start_ms, end_ms = self._zone(), None, None
        if self.period != "budget":
            first = at_ms(now_ms(), zone).date() - timedelta(days=int(self.period) - 1)
            start_ms, end_ms = _midnight_ms(first, zone), now_ms() + 1
        return await report(
            app_context(), AccountId(account.id), start_ms=start_ms, end_ms=end_ms, zone=zone
        )

    async def _read(self, account: Account) -> None:
        read = await self._report(account)
        self._show_budget(read.budget)
        self._show_lists(read)
        await self._show_turns(read, AccountId(account.id))

    def _show_budget(self, budget: BudgetView) -> None:
        say, zone = self._words(), self._zone()
        renews = at_ms(budget.resets_at_ms, zone)
        days = (renews.date() - at_ms(now_ms(), zone).date()).days
        self.spent = say.money(budget.spent_nano_usd)
        self.left = say.money(max(0, budget.remaining_nano_usd))
        self.limit = say.money(budget.limit_nano_usd)
        self.renews = say.short_day(renews)
        self.renews_in = say.many("in {number} day", "in {number} days", days) if days > 0 else ""
        self.spent_share = _share(budget.spent_nano_usd, budget.limit_nano_usd)
        self.budget_state = _budget_state(budget)
        is_spent = self.budget_state == "spent"
        self.spent_words = budget_words(say, zone, budget.resets_at_ms) if is_spent else ""

    def _show_lists(self, read: UsageReport) -> None:
        say = self._words()
        self.total = say.money(read.cost_nano_usd)
        self.summary = _summary(say, read)
        self.pending = _pending(say, read.pending_calls)
        days = _every_day(read, self._zone())
        self.days = _lines(say, days, lambda name: _day_name(say, name))
        self.highest = say.money(max(line.cost_nano_usd for line in days))
        self.first_day, self.last_day = self.days[0]["name"], self.days[-1]["name"]
        self.models = _lines(say, _dearest(read.by_model), str)
        self.kinds = _lines(say, _dearest(read.by_kind), lambda name: kind_words(say, name))
        self.is_empty = not self.models

    async def _show_turns(self, read: UsageReport, account_id: AccountId) -> None:
        """The dearest turns by what was asked, and the rest, so that the list adds up."""
        say = self._words()
        turns = _dearest([line for line in read.by_turn if line.name])
        ids = [line.name for line in turns[:_LOOKED_UP_TURNS]]
        asked = await questions_of(app_context(), account_id, ids)
        shown = [line for line in turns if line.name in asked][:DEAREST_TURNS]
        # Actions on the memory page hold a turn too, without any message.
        outside = [line for line in read.by_turn if not line.name or line.name in ids]
        outside = [line for line in outside if line.name not in asked]
        listed = {line.name for line in (*shown, *outside)}
        others = [line for line in turns if line.name not in listed]
        self.turns = _lines(say, shown, lambda name: _excerpt(asked[name]), are_turns=True)
        rest = [
            *([_sum_of(say("Everything else"), others)] if others else []),
            *([_sum_of(say("Outside your messages"), outside)] if outside else []),
        ]
        self.rest = _lines(say, rest, str)


def _budget_state(budget: BudgetView) -> str:
    if budget.remaining_nano_usd <= 0:
        return "spent"
    is_near = 100 * budget.spent_nano_usd >= _NEARLY_SPENT_PERCENT * budget.limit_nano_usd
    return "nearly" if is_near else ""


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
            say("{number} tokens read", number=say.number(read.prompt_tokens)),
            say("{number} tokens written", number=say.number(read.completion_tokens)),
        )
    )


def _pending(say: Words, calls: int) -> str:
    if not calls:
        return ""
    return say.many(
        "The price of {number} call is still to come.",
        "The prices of {number} calls are still to come.",
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
            share=_share(line.cost_nano_usd, greatest),
            turn_id=line.name if are_turns else "",
        )
        for line in lines
    ]


def _dearest(lines: Sequence[UsageLine]) -> list[UsageLine]:
    return sorted(lines, key=lambda line: -line.cost_nano_usd)


def _every_day(read: UsageReport, zone: ZoneInfo) -> list[UsageLine]:
    """Return the days up to today, those without calls included, oldest first.

    Of a long period the first line, without a name, is everything before the days that are shown.
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


def _share(part: int, whole: int) -> str:
    return f"{min(100, 100 * part / whole):.1f}%" if whole > 0 else "0%"


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
