"""Memory, usage, settings and administration in a browser."""

import pytest
from playwright.sync_api import expect

from tests.pages.visitor import PASSWORD, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_memory_block_is_edited_its_change_shown_and_taken_back(ada: Visitor):
    ada.open("/memory")
    block = ada.page.locator("[data-block=human]")
    block.get_by_role("button", name="Edit").click()
    block.get_by_role("textbox").fill("Ada lives in London.")
    block.get_by_role("button", name="Save").click()
    expect(block.locator("[data-value]")).to_have_text("Ada lives in London.")

    block.get_by_role("button", name="History").click()
    expect(block.locator(".diff ins").first).to_contain_text("Ada")
    block.get_by_role("button", name="Restore this version").last.click()

    expect(block.locator("[data-value]")).to_have_text("The human block.")


def test_a_block_that_changed_meanwhile_shows_both_versions(ada: Visitor):
    ada.open("/memory")
    block = ada.page.locator("[data-block=human]")
    block.get_by_role("button", name="Edit").click()
    block.get_by_role("textbox").fill("Mine")
    other = Visitor(ada.page.context.new_page(), ada.url)
    other.open("/memory")
    theirs = other.page.locator("[data-block=human]")
    theirs.get_by_role("button", name="Edit").click()
    theirs.get_by_role("textbox").fill("Theirs")
    theirs.get_by_role("button", name="Save").click()
    expect(theirs.locator("[data-value]")).to_have_text("Theirs")

    block.get_by_role("button", name="Save").click()

    expect(block.get_by_role("alert")).to_contain_text("changed while you were editing")
    expect(block.locator(".conflict")).to_contain_text("Theirs")
    expect(block.get_by_role("textbox")).to_have_value("Mine")


def test_passages_are_added_found_and_deleted(ada: Visitor):
    ada.open("/memory")
    ada.page.get_by_label("Add a passage").fill("The key is under the stone.")
    ada.page.get_by_role("button", name="Add", exact=True).click()
    passage = ada.page.locator(".passages li")
    expect(passage).to_contain_text("under the stone")

    passage.get_by_role("button", name="Delete").click()
    passage.get_by_role("button", name="Delete", exact=True).click()

    expect(passage).to_have_count(0)


def test_starting_over_wants_the_word_typed(ada: Visitor):
    ada.open("/memory")
    ada.page.get_by_label("The whole agent").check()
    ada.page.get_by_role("button", name="Reset").click()
    expect(ada.page.get_by_role("alert").filter(has_text="reset")).to_be_visible()

    ada.page.locator("#reset-confirm").fill("reset")
    ada.page.get_by_role("button", name="Reset").click()

    expect(ada.page.get_by_text("Your agent has been reset.")).to_be_visible()


def test_usage_shows_what_was_spent_and_leads_to_the_message(ada: Visitor):
    ada.ask("Plan my weekend")
    ada.open("/usage")
    expect(ada.page.locator(".total")).to_have_text("$0.00172912")

    ada.page.get_by_role("link", name="Plan my weekend").click()

    expect(ada.page.locator(".row.is-marked")).to_contain_text("Plan my weekend")


def test_usage_comes_as_a_csv_file(ada: Visitor):
    ada.ask("Plan my weekend")
    ada.open("/usage")

    with ada.page.expect_download() as download:
        ada.page.get_by_role("button", name="CSV").click()

    text = download.value.path().read_text()
    assert text.splitlines()[0].startswith("day,cost_usd")
    assert "0.001729120" in text


def test_a_chosen_language_and_theme_stay(ada: Visitor):
    ada.open("/settings")
    ada.page.get_by_label("Dark").click()
    expect(ada.page.locator("html")).to_have_class("dark")

    ada.page.get_by_label("Русский").click()

    expect(ada.page.get_by_role("heading", level=1)).to_have_text("Настройки")
    ada.page.reload()
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("Настройки")
    expect(ada.page.locator("html")).to_have_class("dark")


def test_a_token_is_shown_once_with_a_call_that_works(ada: Visitor):
    ada.open("/settings")
    ada.page.get_by_label("Token name").fill("script")
    ada.page.locator("input[name=scope-usage]").check()
    ada.page.get_by_role("button", name="Create a token").click()
    token = ada.page.locator("#new-token").inner_text()

    answer = ada.page.context.request.get(
        f"{ada.url}/api/v1/user/usage", headers={"Authorization": f"Bearer {token}"}
    )

    assert answer.ok
    expect(ada.page.locator("#curl")).to_contain_text(ada.url)
    ada.page.reload()
    expect(ada.page.locator("#new-token")).to_have_count(0)


def test_a_deleted_account_cannot_sign_in(ada: Visitor):
    ada.open("/settings")
    ada.page.locator("#deletion-password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Delete account").click()
    ada.page.wait_for_url("**/login*")
    told = ada.page.get_by_role("status").filter(visible=True)
    expect(told).to_have_text("Your account is being deleted.")

    ada.sign_in()

    expect(ada.page.locator("#password-error p:visible")).to_have_count(1)


def test_administration_is_not_there_for_others(ada: Visitor):
    ada.page.goto(f"{ada.url}/admin")

    expect(ada.page.get_by_role("heading", level=1)).to_have_text("Page not found")
