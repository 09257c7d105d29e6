"""Writing, copying and exporting: the composer, the clipboard, downloads, a narrow screen."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.pages.seed import end_budget
from tests.pages.server import PagesServer
from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HEIGHT = "element => element.getBoundingClientRect().height"
CLIPBOARD = "async () => navigator.clipboard.readText()"
RICH = """async () => {
  const [item] = await navigator.clipboard.read();
  return (await item.getType('text/html')).text();
}"""


@pytest.fixture
def copying(ada: Visitor) -> Visitor:
    ada.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return ada


def test_the_field_grows_with_its_text_up_to_a_part_of_the_screen(ada: Visitor):
    empty = ada.prompt.evaluate(HEIGHT)

    ada.prompt.fill("line\n" * 4)
    some = ada.prompt.evaluate(HEIGHT)
    ada.prompt.fill("line\n" * 400)
    most = ada.prompt.evaluate(HEIGHT)

    assert empty < some < most
    assert most <= ada.page.evaluate("() => innerHeight") / 2
    expect(ada.page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport(ratio=1)


def test_the_field_is_small_again_after_sending(ada: Visitor):
    empty = ada.prompt.evaluate(HEIGHT)

    ada.ask("line\n" * 10)

    assert ada.prompt.evaluate(HEIGHT) == empty


def test_an_edited_message_is_sent_as_it_is_now(ada: Visitor):
    ada.ask("Plan my weekend")
    ada.questions.last.get_by_role("button", name="Edit and resend").click()

    ada.page.keyboard.type(" by the sea")
    ada.prompt.press("Enter")

    expect(ada.questions.last).to_contain_text("Plan my weekend by the sea")
    expect(ada.page.get_by_role("button", name="Edit and resend")).to_have_count(1)


def test_only_the_last_message_can_be_edited(ada: Visitor):
    ada.ask("One")
    ada.ask("Two")

    expect(ada.questions.first.locator(".edit")).to_be_hidden()
    expect(ada.questions.last.locator(".edit")).to_be_visible()


def test_what_is_written_without_a_connection_stays_and_is_sent_later(
    ada: Visitor, server: PagesServer
):
    server.stop()
    expect(ada.page.get_by_text("Connection lost")).to_be_visible(timeout=20_000)
    ada.prompt.fill("Written on a train")
    ada.prompt.press("Enter")

    expect(ada.page.locator("#prompt-limit")).to_contain_text("Your text stays here")
    expect(ada.prompt).to_have_value("Written on a train")

    server.start()
    expect(ada.page.get_by_text("Reconnected.")).to_be_visible(timeout=30_000)
    ada.prompt.press("Enter")
    expect(ada.answers).to_have_count(1, timeout=20_000)


def test_over_budget_the_text_stays_and_the_way_to_the_usage_is_shown(
    ada: Visitor, server: PagesServer
):
    ada.ask("Plan my weekend")
    end_budget(server.folder, ada.email)

    ada.send("And the next one?")

    refusal = ada.page.get_by_role("alert").filter(has_text="Your budget is spent")
    expect(refusal).to_be_visible()
    expect(ada.prompt).to_have_value("And the next one?")
    refusal.get_by_role("link", name="See your usage").click()
    ada.page.wait_for_url("**/usage")


def test_an_answer_is_copied_as_text_and_as_a_document(copying: Visitor):
    answer = copying.ask("Plan my weekend")

    answer.get_by_role("button", name="Copy", exact=True).click()
    expect(answer.locator(".is-copied")).to_have_count(1)

    text = copying.page.evaluate(CLIPBOARD)
    assert "1. Saturday: the market opens at nine." in text
    assert "bread\tSaturday\t3.20" in text
    assert "Copy code" not in text
    assert "<table>" in copying.page.evaluate(RICH)


def test_code_is_copied_as_it_is(copying: Visitor):
    answer = copying.ask("Plan my weekend")

    answer.get_by_role("button", name="Copy code").click()
    expect(answer.locator(".is-copied")).to_have_count(1)

    assert copying.page.evaluate(CLIPBOARD).rstrip("\n") == (
        "def total(prices: list[float]) -> float:\n    return sum(prices)  # what the weekend costs"
    )


def test_copying_works_where_the_browser_gives_no_clipboard(ada: Visitor):
    ada.page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    ada.page.reload()
    ada.wait_until_live()
    answer = ada.ask("Plan my weekend")

    answer.get_by_role("button", name="Copy", exact=True).click()
    expect(answer.locator(".is-copied")).to_have_count(1)

    ada.prompt.focus()
    ada.page.keyboard.press("Control+V")
    expect(ada.prompt).to_have_value(re.compile("1. Saturday: the market opens at nine."))


def test_the_conversation_is_taken_away_as_a_file(ada: Visitor, tmp_path: Path):
    ada.ask("Plan my weekend")

    with ada.page.expect_download() as download:
        ada.page.get_by_role("link", name="Export").click()
    file = tmp_path / "conversation.md"
    download.value.save_as(file)

    assert "Plan my weekend" in file.read_text()
    assert "| bread | Saturday | 3.20 |" in file.read_text()


def test_on_a_small_phone_nothing_is_wider_than_the_screen(browser: Browser, server: PagesServer):
    phone = browser.new_context(viewport={"width": 360, "height": 640}, is_mobile=True)
    visitor = Visitor(phone.new_page(), server.url)
    visitor.sign_up()
    visitor.ask("Plan my weekend")

    assert visitor.page.evaluate("() => document.documentElement.scrollWidth") <= 360
    expect(visitor.page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport(ratio=1)
    phone.close()


def test_on_a_touch_screen_enter_breaks_the_line(browser: Browser, server: PagesServer):
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )
    visitor = Visitor(phone.new_page(), server.url)
    visitor.sign_up()
    visitor.prompt.tap()

    visitor.page.keyboard.type("one")
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.type("two")

    expect(visitor.prompt).to_have_value("one\ntwo")
    phone.close()
