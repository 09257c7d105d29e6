"""The usage page's numbers: every list adds up, in every period and for every state of a budget."""

import csv
import io
from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from reflex.event import EventSpec
from sqlalchemy import update
from sqlmodel import col

from chat_platform.billing import budgets
from chat_platform.context import AppContext
from chat_platform.database.engine import transaction
from chat_platform.models import Budget, ModelCall
from chat_platform.state.usage import LISTED_TURNS, PERIODS, UsageState
from chat_platform.values.clock import now_ms
from chat_platform.values.ids import AgentId
from chat_platform.values.money import to_nano_usd
from chat_platform.web.i18n import words_in
from tests.people import Person
from tests.state.tab import OpenTab
from tests.turn_rows import add_messages, add_turn

DAY_MS = 86_400_000
CENT = 10_000_000
EN = words_in("en")


async def book(
    ctx: AppContext, person: Person, cost: int, *, days_ago: float = 0, **fields: object
) -> None:
    """Add a call to the ledger; the first one begins the budget's period."""
    await budgets.set_limit(ctx, person.id)
    call = ModelCall(
        account_id=person.id,
        agent_id=AgentId("agent"),
        kind="chat",
        model="demo-chat",
        state="settled",
        prompt_tokens=100,
        completion_tokens=20,
        cost_nano_usd=cost,
        cost_source="header",
        owner="tests",
        lease_until_ms=0,
        started_at_ms=now_ms() - int(days_ago * DAY_MS),
    )
    call.sqlmodel_update(fields)
    async with transaction(ctx.engine) as session:
        session.add(call)


async def ask(ctx: AppContext, person: Person, text: str, cost: int) -> str:
    """Store a question and what its answer cost; return the turn's id."""
    (question,) = await add_messages(ctx, person.id, [text])
    await book(ctx, person, cost, turn_id=question.turn_id)
    return question.turn_id


async def set_budget(ctx: AppContext, person: Person, *, limit: int, spent: int) -> None:
    await budgets.set_limit(ctx, person.id, limit_nano_usd=limit)
    async with transaction(ctx.engine) as session:
        row = await session.get(Budget, person.id)
        assert row
        row.spent_nano_usd = spent
        session.add(row)


async def opened(person: Person, period: str = "budget", zone: str = "UTC") -> OpenTab:
    tab = OpenTab(f"{person.cookie}; zone={zone}")
    await tab.send(UsageState, "choose", period)
    return tab


def total(lines: Sequence[dict[str, str]]) -> int:
    """Add up what the lines show."""
    return sum(to_nano_usd(line["cost"].removeprefix("$").replace(",", "")) for line in lines)


def as_nano_usd(text: str) -> int:
    return to_nano_usd(text.removeprefix("$"))


async def test_who_has_used_nothing_sees_an_untouched_budget(alice: Person):
    usage = (await opened(alice)).of(UsageState)

    assert usage.is_empty
    assert (usage.spent, usage.left, usage.limit) == ("$0.00", "$5.00", "$5.00")
    assert (usage.spent_share, usage.budget_state, usage.pending) == ("0.0%", "", "")
    assert usage.renews_in == "in 30 days"
    assert usage.turns == usage.rest == usage.models == []
    assert [line["share"] for line in usage.days] == ["0%"]


@pytest.mark.parametrize("period", PERIODS)
async def test_every_list_adds_up_in_every_period(ctx: AppContext, alice: Person, period: str):
    await ask(ctx, alice, "How much?", 3 * CENT + 1)
    await book(ctx, alice, 7, kind="embedding", model="demo-embedding", days_ago=3)
    await book(ctx, alice, CENT, kind="background", days_ago=20)
    await book(ctx, alice, 2 * CENT, days_ago=60)

    usage = (await opened(alice, period)).of(UsageState)

    whole = as_nano_usd(usage.total)
    assert whole > 0
    assert total(usage.days) == total(usage.models) == total(usage.kinds) == whole
    assert total([*usage.turns, *usage.rest]) == whole


async def test_of_a_long_period_the_first_line_is_all_that_was_before(
    ctx: AppContext, alice: Person
):
    for days_ago in (0, 91, 92, 150):
        await book(ctx, alice, CENT, days_ago=days_ago)
    of_alice = update(Budget).where(col(Budget.account_id) == alice.id)
    async with transaction(ctx.engine) as session:
        await session.exec(of_alice.values(period_start_ms=now_ms() - 200 * DAY_MS))

    usage = (await opened(alice, "budget")).of(UsageState)

    assert [(line["name"], line["cost"]) for line in usage.days[:1]] == [("Earlier", "$0.02")]
    assert len(usage.days) == 93
    assert total(usage.days) == as_nano_usd(usage.total) == 4 * CENT


@pytest.mark.parametrize(("period", "days"), [("7", 7), ("30", 30), ("90", 90)])
async def test_days_without_calls_have_their_place(
    ctx: AppContext, alice: Person, period: str, days: int
):
    await book(ctx, alice, CENT)
    await book(ctx, alice, 2 * CENT, days_ago=days - 1)

    usage = (await opened(alice, period)).of(UsageState)

    assert len(usage.days) == days
    shares = [line["share"] for line in usage.days]
    assert shares == ["100.0%", *["0.0%"] * (days - 2), "50.0%"]
    assert usage.highest == "$0.02"
    assert usage.last_day == EN.short_day(datetime.now(UTC))
    assert usage.first_day == EN.short_day(datetime.now(UTC) - timedelta(days=days - 1))


@pytest.mark.parametrize("period", ["", "abc", "8", "-1", "9" * 99])
async def test_a_period_that_is_none_is_the_budgets(alice: Person, period: str):
    usage = (await opened(alice, period)).of(UsageState)

    assert usage.period == "budget"


@pytest.mark.parametrize(
    ("limit", "spent", "state", "left", "share"),
    [
        (100 * CENT, 79 * CENT, "", "$0.21", "79.0%"),
        (100 * CENT, 80 * CENT, "nearly", "$0.20", "80.0%"),
        (100 * CENT, 100 * CENT, "spent", "$0.00", "100.0%"),
        (100 * CENT, 130 * CENT, "spent", "$0.00", "100.0%"),
        (0, 0, "spent", "$0.00", "0%"),
    ],
)
async def test_a_budget_is_fine_or_nearly_or_wholly_spent(
    ctx: AppContext,
    alice: Person,
    limit: int,
    spent: int,
    state: str,
    left: str,
    share: str,
):
    await set_budget(ctx, alice, limit=limit, spent=spent)

    usage = (await opened(alice)).of(UsageState)

    assert (usage.budget_state, usage.left, usage.spent_share) == (state, left, share)
    assert usage.spent_words.startswith("Your budget is spent. It renews on ") == (state == "spent")


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        (1, "The price of 1 call is pending."),
        (2, "The prices of 2 calls are pending."),
    ],
)
async def test_prices_to_come_are_counted(ctx: AppContext, alice: Person, calls: int, words: str):
    for _ in range(calls):
        await book(ctx, alice, CENT, cost_source="pending")

    usage = (await opened(alice)).of(UsageState)

    assert usage.pending == words


async def test_the_most_expensive_messages_come_first_and_the_rest_is_summed_up(
    ctx: AppContext, alice: Person
):
    count = LISTED_TURNS + 3
    for n in range(count):
        await ask(ctx, alice, f"Question {n}", (n + 1) * CENT)

    usage = (await opened(alice)).of(UsageState)

    assert [line["name"] for line in usage.turns] == [
        f"Question {n}" for n in range(count - 1, 2, -1)
    ]
    assert [(line["name"], line["cost"]) for line in usage.rest] == [("Everything else", "$0.06")]


async def test_messages_beyond_those_that_are_looked_up_are_summed_up_too(
    ctx: AppContext, alice: Person
):
    for n in range(45):
        await ask(ctx, alice, f"Question {n}", CENT)

    usage = (await opened(alice)).of(UsageState)

    assert len(usage.turns) == LISTED_TURNS
    assert total([*usage.turns, *usage.rest]) == 45 * CENT


async def test_what_no_message_asked_for_stands_apart(ctx: AppContext, alice: Person):
    by_hand = await add_turn(ctx, alice.id, kind="memory", status="finished")
    await book(ctx, alice, CENT, turn_id=by_hand.id)
    await book(ctx, alice, 2 * CENT, kind="background")

    usage = (await opened(alice)).of(UsageState)

    assert usage.turns == []
    assert [(line["name"], line["cost"]) for line in usage.rest] == [
        ("Not tied to a message", "$0.03")
    ]


async def test_a_long_question_is_shortened_to_one_line(ctx: AppContext, alice: Person):
    turn_id = await ask(ctx, alice, "one\ntwo " + "x" * 200, CENT)

    (line,) = (await opened(alice)).of(UsageState).turns

    assert line["name"] == f"one two {'x' * 81}…"
    assert line["turn_id"] == turn_id


async def test_what_a_deleted_account_spent_is_named_so_that_the_page_adds_up(
    ctx: AppContext, alice: Person
):
    await ask(ctx, alice, "How much?", CENT)
    assert (await opened(alice)).of(UsageState).earlier_words == ""
    async with transaction(ctx.engine) as session:
        await session.exec(
            update(Budget)
            .where(col(Budget.account_id) == alice.id)
            .values(spent_nano_usd=3 * CENT, earlier_nano_usd=2 * CENT)
        )

    usage = (await opened(alice)).of(UsageState)

    assert (usage.spent, usage.total) == ("$0.03", "$0.01")
    assert usage.earlier_words.startswith("$0.02 of this was spent by an earlier account of yours")


async def test_bob_sees_nothing_of_alices(ctx: AppContext, alice: Person, bob: Person):
    await ask(ctx, alice, "Secret", CENT)

    usage = (await opened(bob)).of(UsageState)

    assert usage.is_empty
    assert usage.turns == usage.rest == []


async def test_days_and_the_renewal_are_the_persons_own(ctx: AppContext, alice: Person):
    await book(ctx, alice, CENT)
    zone = ZoneInfo("Pacific/Kiritimati")

    usage = (await opened(alice, "7", zone.key)).of(UsageState)

    assert usage.last_day == EN.short_day(datetime.now(zone))
    assert usage.days[-1]["cost"] == "$0.01"


async def test_the_file_has_every_day_of_the_chosen_period(ctx: AppContext, alice: Person):
    await book(ctx, alice, CENT + 1)
    await book(ctx, alice, CENT, days_ago=5)
    await book(ctx, alice, CENT, days_ago=50)
    tab = await opened(alice, "7")

    (download,) = await tab.send(UsageState, "download_csv")

    rows = list(csv.DictReader(io.StringIO(_file_of(download))))
    assert [row["cost_usd"] for row in rows] == ["0.010000000", "0.010000001"]
    assert rows[1] == {
        "day": datetime.now(UTC).date().isoformat(),
        "cost_usd": "0.010000001",
        "model_calls": "1",
        "prompt_tokens": "100",
        "completion_tokens": "20",
    }


async def test_the_summary_counts_messages_calls_and_tokens(ctx: AppContext, alice: Person):
    turn_id = await ask(ctx, alice, "How much?", CENT)
    await book(ctx, alice, CENT, kind="embedding", turn_id=turn_id)

    usage = (await opened(alice)).of(UsageState)

    assert usage.summary == "1 message · 2 model calls · 200 input tokens · 40 output tokens"


def _file_of(download: EventSpec) -> str:
    """Return the text of a file that an event sends to the browser."""
    (url,) = [str(value) for name, value in download.args if str(name) == "url"]
    return b64decode(url.strip('"').partition("base64,")[2]).decode()
