"""The server dies while somebody talks with their agent, and the page recovers."""

import pytest
from playwright.sync_api import expect

from tests.e2e.pages.behind import Behind, amounts
from tests.e2e.platform import Platform
from tests.pages.visitor import Visitor

pytestmark = [
    pytest.mark.chain,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.embedded("with Redis, another server finishes the answer"),
]


def test_a_lost_connection_is_told_and_the_answer_is_there_once_and_paid_once(
    ada: Visitor, behind: Behind, platform: Platform
):
    asked = f"[[words 400]] [[pace 30]] for {ada.email}"
    ada.send(asked)
    expect(ada.live).to_contain_text("word20 ")

    platform.kill("server")

    expect(ada.page.get_by_text("Connection lost")).to_be_visible()
    ada.prompt.fill("Are you back?")
    ada.prompt.press("Enter")
    expect(ada.page.locator("#prompt-limit")).to_contain_text("Your text stays here")
    expect(ada.page.get_by_text("Reconnected.")).to_be_visible(timeout=60_000)
    expect(ada.page.get_by_text("Connection lost")).to_have_count(0)
    platform.wait_until_ready()

    expect(ada.answers).to_have_count(1, timeout=60_000)
    expect(ada.live).to_have_count(0)
    expect(ada.questions).to_have_count(1)
    arrived = ada.answers.first.locator(".reading").inner_text().split()
    assert arrived == [f"word{number}" for number in range(1, len(arrived) + 1)]
    assert len(arrived) >= 20
    expect(ada.answers.first).to_contain_text("The server stopped while")
    ada.answers.first.get_by_test_id("receipt").click()
    receipt = ada.page.get_by_role("region", name="Receipt")
    expect(receipt.locator("li")).to_contain_text("not confirmed")
    [call] = behind.calls
    assert amounts(receipt.locator("[data-cost]")) == [call["cost_nano_usd"]]
    assert len(platform.calls_at_the_model(ada.email)) == 1

    ada.prompt.press("Enter")

    expect(ada.answers).to_have_count(2)
    expect(ada.questions.last).to_contain_text("Are you back?")
    assert [call["state"] for call in behind.calls] == ["unknown", "settled"]
