"""What a person has used and may still spend: exact amounts, as JSON or CSV."""

import csv
import io
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, BeforeValidator

from chat_platform.accounts.limits import counts_as
from chat_platform.api.deps import Ctx, UsageCaller
from chat_platform.api.fields import Line
from chat_platform.billing import usage
from chat_platform.billing.budgets import BudgetView
from chat_platform.billing.usage import UsageLine, UsageReport
from chat_platform.errors import Invalid
from chat_platform.process.rate_limits import SEARCHES_OF_ACCOUNT
from chat_platform.values.clock import to_rfc3339
from chat_platform.values.money import to_usd_text

router = APIRouter(prefix="/user", tags=["usage"])

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _day_or_time(value: object) -> object:
    # By default, pydantic reads a date as the time at which it begins.
    if isinstance(value, str) and _DAY.fullmatch(value):
        return date.fromisoformat(value)
    return value


Moment = Annotated[datetime | date, BeforeValidator(_day_or_time)]
"""A time, or a whole day: `from` begins with that day, `to` ends with it."""
_YEARS = range(2000, 2200)
_COLUMNS = ("cost_usd", "model_calls", "prompt_tokens", "completion_tokens")


class Period(BaseModel):
    """`from` is inclusive, `to` is exclusive."""

    model_config = {"populate_by_name": True, "serialize_by_alias": True}

    start: Annotated[str, Query(alias="from")]
    end: Annotated[str, Query(alias="to")]


class Amounts(BaseModel):
    cost_usd: str
    model_calls: int
    prompt_tokens: int
    completion_tokens: int


class Totals(Amounts):
    turns: int


class DayUsage(Amounts):
    day: str


class ModelUsage(Amounts):
    model: str


class KindUsage(Amounts):
    kind: str


class TurnUsage(Amounts):
    turn_id: str | None
    """Null for background work, which does not belong to a turn."""


class Budget(BaseModel):
    limit_usd: str
    spent_usd: str
    remaining_usd: str
    earlier_usd: str
    """The part of `spent_usd` without calls listed here: an earlier account of the same person, now
    deleted, spent it in this period."""
    period: str
    resets_at: str


class Usage(BaseModel):
    """The costs in each list add up to the total exactly."""

    period: Period
    totals: Totals
    pending_calls: int
    """Calls whose cost is still provisional."""
    budget: Budget
    by_day: list[DayUsage]
    by_model: list[ModelUsage]
    by_kind: list[KindUsage]
    by_turn: list[TurnUsage]


class Asked(BaseModel):
    """The time range, and its days. Without `from` and `to`: the current budget period."""

    model_config = {"populate_by_name": True}

    start: Annotated[Moment | None, Query(alias="from")] = None
    end: Annotated[Moment | None, Query(alias="to")] = None
    tz: Line = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """Raises Invalid `bad_time_zone`."""
        try:
            return ZoneInfo(self.tz)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise Invalid(
                "Use a time zone name such as Europe/Berlin.", code="bad_time_zone", field="tz"
            ) from exc

    def times(self) -> tuple[int | None, int | None]:
        """Return both ends in milliseconds; raises Invalid `bad_period`."""
        start = None if self.start is None else _to_ms("from", self.start, self.zone)
        end = None if self.end is None else _to_ms("to", self.end, self.zone)
        if start is not None and end is not None and start >= end:
            raise Invalid("It must be after `from`.", code="bad_period", field="to")
        return start, end


@router.get(
    "/usage", responses={200: {"content": {"text/csv": {}}, "description": "Usage, by model call."}}
)
@counts_as(SEARCHES_OF_ACCOUNT)
async def read_usage(
    ctx: Ctx,
    caller: UsageCaller,
    asked: Annotated[Asked, Query()],
    format: Literal["json", "csv"] = "json",
) -> Usage:
    """Costs and tokens, in total and by day, model, kind and turn, with the budget."""
    start_ms, end_ms = asked.times()
    report = await usage.report(
        ctx, caller.account_id, start_ms=start_ms, end_ms=end_ms, zone=asked.zone
    )
    if format == "csv":
        return Response(_as_csv(report), media_type="text/csv; charset=utf-8")  # pyright: ignore[reportReturnType]
    return usage_view(report)


def usage_view(report: UsageReport) -> Usage:
    return Usage(
        period=Period(start=to_rfc3339(report.start_ms), end=to_rfc3339(report.end_ms)),
        totals=Totals(turns=report.turns, **_amounts(report)),
        pending_calls=report.pending_calls,
        budget=budget_view(report.budget),
        by_day=[DayUsage(day=line.name, **_amounts(line)) for line in report.by_day],
        by_model=[ModelUsage(model=line.name, **_amounts(line)) for line in report.by_model],
        by_kind=[KindUsage(kind=line.name, **_amounts(line)) for line in report.by_kind],
        by_turn=[TurnUsage(turn_id=line.name or None, **_amounts(line)) for line in report.by_turn],
    )


def budget_view(budget: BudgetView) -> Budget:
    return Budget(
        limit_usd=to_usd_text(budget.limit_nano_usd),
        spent_usd=to_usd_text(budget.spent_nano_usd),
        remaining_usd=to_usd_text(budget.remaining_nano_usd),
        earlier_usd=to_usd_text(budget.earlier_nano_usd),
        period=budget.period,
        resets_at=to_rfc3339(budget.resets_at_ms),
    )


def _amounts(line: UsageLine | UsageReport) -> dict[str, Any]:
    return {
        "cost_usd": to_usd_text(line.cost_nano_usd),
        "model_calls": line.model_calls,
        "prompt_tokens": line.prompt_tokens,
        "completion_tokens": line.completion_tokens,
    }


def _as_csv(report: UsageReport) -> str:
    text = io.StringIO()
    table: csv.DictWriter[str] = csv.DictWriter(text, ("list", "name", *_COLUMNS))
    table.writeheader()
    lists = {"day": report.by_day, "model": report.by_model, "kind": report.by_kind}
    for name, lines in lists.items():
        table.writerows({"list": name, "name": line.name, **_amounts(line)} for line in lines)
    table.writerow({"list": "total", "name": "", **_amounts(report)})
    return text.getvalue()


def _to_ms(field: str, moment: datetime | date, zone: ZoneInfo) -> int:
    if moment.year not in _YEARS:
        raise Invalid(
            "Use a year from {first} to {last}.",
            values={"first": str(_YEARS[0]), "last": str(_YEARS[-1])},
            code="bad_period",
            field=field,
        )
    if not isinstance(moment, datetime):
        day = moment + timedelta(days=1) if field == "to" else moment
        moment = datetime.combine(day, time(), zone)
    elif moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
