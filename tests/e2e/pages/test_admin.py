"""An administrator and a person on the whole platform: budgets, disabling, the audit log."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.pages.behind import Behind, amounts
from tests.e2e.platform import Platform
from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def root(browser: Browser, platform: Platform) -> Iterator[Visitor]:
    """An administrator in a browser of their own, on the administration page."""
    context = browser.new_context()
    administrator = Visitor(context.new_page(), platform.url)
    administrator.email = f"root{time.monotonic_ns()}-{administrator.email}"
    administrator.sign_up("Root A")
    platform.run("make-admin", administrator.email)
    administrator.open("/admin")
    yield administrator
    context.close()


def account(root: Visitor, person: Visitor) -> Locator:
    """Find the person's line by their address."""
    root.page.locator("#account-words").fill(person.email)
    root.page.locator("#account-words").press("Enter")
    lines = root.page.get_by_role("region", name="Accounts").get_by_role("listitem")
    expect(lines).to_have_count(1)
    return lines.filter(has_text=person.email)


def newest_entries(root: Visitor) -> Locator:
    return root.page.get_by_role("region", name="Audit log").get_by_role("listitem")


def test_over_budget_the_text_stays_and_the_way_to_the_usage_is_shown(
    ada: Visitor, behind: Behind, root: Visitor
):
    ada.ask("Hello!")
    line = account(root, ada)
    line.get_by_role("button", name="Budget").click()
    line.get_by_label("Limit in US dollars").fill("0.000001")
    line.get_by_role("button", name="Save").click()
    expect(line).to_contain_text("of $0.000001 ·")
    expect(newest_entries(root).first).to_contain_text(f"Budget changed: {ada.email}")
    expect(newest_entries(root).first).to_contain_text(root.email)
    booked = behind.booked

    ada.send("And the next one?")

    refusal = ada.page.get_by_role("alert").filter(has_text="Your budget is spent")
    expect(refusal).to_be_visible()
    expect(ada.prompt).to_have_value("And the next one?")
    expect(ada.questions).to_have_count(1)
    refusal.get_by_role("link", name="See your usage").click()
    ada.page.wait_for_url("**/usage")
    expect(ada.page.get_by_role("status").filter(has_text="Your budget is spent")).to_be_visible()
    assert amounts(ada.page.get_by_test_id("spent")) == [booked] == [behind.booked]
    assert amounts(ada.page.get_by_test_id("left")) == [0]
    assert amounts(ada.page.get_by_test_id("limit")) == [1000]

    line.get_by_role("button", name="Budget").click()
    line.get_by_label("Limit in US dollars").fill("5")
    line.get_by_role("button", name="Save").click()
    expect(line).to_contain_text("of $5.00 ·")
    ada.open("/chat")
    expect(ada.prompt).to_have_value("And the next one?")
    ada.prompt.press("Enter")
    expect(ada.answers).to_have_count(2)


def test_a_disabled_person_is_shut_out_until_they_are_enabled(ada: Visitor, root: Visitor):
    line = account(root, ada)
    line.get_by_role("button", name="Disable").click()
    expect(line).to_contain_text("disabled")

    ada.page.reload()
    expect(ada.page).to_have_url(f"{ada.url}/login")
    ada.sign_in()
    expect(ada.page.get_by_role("alert").filter(visible=True)).to_have_text(
        "This account is disabled. Contact your administrator."
    )

    line.get_by_role("button", name="Enable").click()
    expect(line.get_by_role("button", name="Disable")).to_be_visible()
    ada.sign_in()
    expect(ada.page).to_have_url(f"{ada.url}/chat")
    expect(newest_entries(root).nth(0)).to_contain_text(f"Account enabled: {ada.email}")
    expect(newest_entries(root).nth(1)).to_contain_text(f"Account disabled: {ada.email}")


def test_a_person_who_is_disabled_while_they_look_can_do_no_more(
    ada: Visitor, behind: Behind, root: Visitor
):
    ada.prompt.fill("Hello?")
    account(root, ada).get_by_role("button", name="Disable").click()
    expect(account(root, ada)).to_contain_text("disabled")

    # The page may have navigated away already.
    ada.page.keyboard.press("Enter")

    ada.page.wait_for_url("**/login*")
    assert behind.calls == []


def test_administration_is_not_there_for_others(ada: Visitor):
    ada.page.goto(f"{ada.url}/admin")

    expect(ada.page.get_by_role("heading", level=1)).to_have_text("Page not found")
    expect(ada.page.get_by_role("link", name="Administration")).to_have_count(0)
