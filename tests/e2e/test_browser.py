"""The whole chain as a person meets it: in a real browser, with nothing faked behind it."""

import re
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.platform import Platform
from tests.install_tools import chromium
from tests.pages.visitor import LAUNCH, Visitor

pytestmark = [pytest.mark.chain, pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {**LAUNCH, "executable_path": chromium()}


@pytest.fixture
def visitor(page: Page, platform: Platform) -> Visitor:
    page.set_default_timeout(30_000)
    visitor = Visitor(page, platform.url)
    visitor.email = f"browser-{visitor.email}"
    visitor.sign_up("Ada")
    return visitor


def test_a_newcomer_signs_up_talks_and_is_remembered(visitor: Visitor):
    visitor.ask("My name is Ada Lovelace.")
    answer = visitor.ask("What is my name?")

    expect(answer).to_contain_text("Ada Lovelace")

    visitor.open("/memory")
    expect(visitor.page.get_by_role("main")).to_contain_text("Ada Lovelace")


def test_an_answer_appears_while_it_is_written(visitor: Visitor):
    visitor.send("Write a long story of 300 words.")

    expect(visitor.live).to_be_visible()
    expect(visitor.answers).to_have_count(1, timeout=60_000)
    expect(visitor.live).to_have_count(0)


def test_a_receipt_adds_up_to_what_the_ledger_holds(visitor: Visitor, platform: Platform):
    answer = visitor.ask("My name is Ada Lovelace.")
    [account] = platform.rows("select id from accounts where email = ?", visitor.email)

    answer.get_by_test_id("receipt").click()

    receipt = visitor.page.get_by_role("region", name="Receipt")
    expect(receipt.locator("li").first).to_contain_text("Remembering")
    expect(receipt.locator("li").last).to_contain_text("Reply")
    booked = [call["cost_nano_usd"] for call in platform.ledger(account["id"])]
    costs = [_nano_usd(text) for text in receipt.locator("[data-cost]").all_inner_texts()]
    assert costs == booked
    assert sum(costs) == _nano_usd(receipt.locator("[data-total]").inner_text())


def test_a_second_tab_shows_the_turn_while_it_runs(visitor: Visitor):
    other = Visitor(visitor.page.context.new_page(), visitor.url)
    other.open("/chat")

    visitor.send("Write a long story of 300 words.")

    expect(other.live.locator(".block").first).to_be_visible()
    expect(other.answers).to_have_count(1, timeout=60_000)
    expect(visitor.answers).to_have_count(1)


def test_a_model_that_fails_is_told_and_can_be_asked_again(visitor: Visitor):
    visitor.send("[[fail 500 3]] Hello!")
    problem = visitor.page.locator(".with-way-out")
    expect(problem).to_contain_text("The model failed to answer", timeout=60_000)

    problem.get_by_role("button", name="Try again").click()

    expect(visitor.answers).to_have_count(1, timeout=60_000)


def test_usage_shows_what_the_answer_cost(visitor: Visitor, platform: Platform):
    visitor.ask("Hello!")
    [account] = platform.rows("select id from accounts where email = ?", visitor.email)
    booked = sum(call["cost_nano_usd"] for call in platform.ledger(account["id"]))

    visitor.open("/usage")

    shown = f"${Decimal(booked).scaleb(-9).normalize():f}"
    expect(visitor.page.get_by_role("main")).to_contain_text(shown)
    assert booked > 0


def test_signing_out_ends_the_sign_in(visitor: Visitor):
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.wait_for_url("**/login*")

    visitor.page.goto(f"{visitor.url}/chat")

    expect(visitor.page).to_have_url(re.compile("/login"))


def _nano_usd(text: str) -> int:
    return int(Decimal(text.strip("$")).scaleb(9))
