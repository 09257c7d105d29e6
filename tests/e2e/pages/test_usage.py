"""The usage page on the whole platform: every figure matches the ledger."""

import csv
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.pages.behind import Behind, amounts, nano_usd
from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(300)]


def section(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title)


def figure(page: Page, name: str) -> int:
    return nano_usd(page.get_by_test_id(name).inner_text())


def costs_by_name(table: Locator) -> dict[str, int]:
    rows = table.locator("tbody tr").all()
    return {row.locator("th").inner_text(): amounts(row.locator("td").last)[0] for row in rows}


def sums(calls: list[dict], column: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for call in calls:
        found[call[column]] = found.get(call[column], 0) + call["cost_nano_usd"]
    return found


def wait_until_settled(page: Page, behind: Behind, *, more_than: int) -> None:
    """Wait until the ledger has more calls than this, and none of them is open."""
    for _ in range(200):
        calls = behind.calls
        if len(calls) > more_than and all(call["state"] != "dispatched" for call in calls):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not settled in 10 s: {behind.calls}")


def test_every_figure_adds_up_with_the_ledger(ada: Visitor, behind: Behind):
    ada.ask("Please archive that my cat is called Tom.")
    ada.ask("Hello!")
    ada.open("/memory")
    ada.page.get_by_label("Add a passage").fill("The bicycle is red.")
    ada.page.get_by_role("button", name="Add", exact=True).click()
    expect(ada.page.locator(".passages li")).to_have_count(2)
    calls_before = len(behind.calls)
    ada.page.locator("#archive-words").fill("cat")
    ada.page.locator("#archive-words").press("Enter")
    # The search is charged when it has ended; "Show all" appears earlier.
    wait_until_settled(ada.page, behind, more_than=calls_before)

    ada.open("/usage")

    page, booked = ada.page, behind.booked
    expect(page.locator(".total")).to_be_visible()
    assert figure(page, "spent") == booked > 0
    assert figure(page, "spent") + figure(page, "left") == figure(page, "limit")
    assert nano_usd(page.locator(".total").inner_text()) == booked
    assert costs_by_name(section(page, "By model")) == sums(behind.calls, "model")
    kinds = sums(behind.calls, "kind")
    assert costs_by_name(section(page, "By purpose")) == {
        "Replies and tools": kinds["chat"],
        "Archive (embeddings)": kinds["embedding"],
        "Background work": kinds["background"],
    }
    page.get_by_text("View as a table").click()
    assert sum(costs_by_name(section(page, "By day")).values()) == booked


def test_each_message_has_its_price_and_what_happened_outside_is_told_apart(
    ada: Visitor, behind: Behind
):
    ada.ask("Please archive that my cat is called Tom.")
    ada.ask("Hello!")
    in_turns = sorted(sums(behind.calls, "turn_id").values(), reverse=True)
    ada.open("/memory")
    ada.page.get_by_label("Add a passage").fill("The bicycle is red.")
    ada.page.get_by_role("button", name="Add", exact=True).click()
    expect(ada.page.locator(".passages li")).to_have_count(2)

    ada.open("/usage")

    lines = section(ada.page, "Most expensive messages").locator("li")
    expect(lines.first).to_contain_text("Please archive that my cat is called Tom.")
    expect(lines.last).to_contain_text("Not tied to a message")
    outside = behind.calls[-1]
    assert outside["kind"] == "embedding"
    assert amounts(lines.locator(".number")) == [*in_turns, outside["cost_nano_usd"]]
    ada.page.get_by_role("link", name="Hello!").click()
    expect(ada.page.locator(".row.is-marked")).to_contain_text("Hello!")


def test_another_period_shows_its_days_and_comes_as_a_file_with_the_same_total(
    ada: Visitor, behind: Behind
):
    ada.ask("My name is Ada Lovelace.")
    ada.open("/usage")
    expect(ada.page.locator(".bar-place")).not_to_have_count(7)

    ada.page.get_by_text("7 days", exact=True).click()

    expect(ada.page.locator(".bar-place")).to_have_count(7)
    assert nano_usd(ada.page.locator(".total").inner_text()) == behind.booked
    with ada.page.expect_download() as download:
        ada.page.get_by_role("button", name="CSV").click()
    with download.value.path().open() as file:
        rows = list(csv.DictReader(file))
    assert sum(nano_usd(row["cost_usd"]) for row in rows) == behind.booked
    assert sum(int(row["model_calls"]) for row in rows) == len(behind.calls)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row["day"]) for row in rows)


def test_before_any_use_the_page_tells_what_will_stand_there(ada: Visitor):
    ada.open("/usage")

    expect(ada.page.get_by_role("main")).to_contain_text("No usage in this period.")
    assert figure(ada.page, "spent") == 0
    ada.page.get_by_role("link", name="Message your agent").click()
    expect(ada.page).to_have_url(f"{ada.url}/chat")
