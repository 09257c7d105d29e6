"""The chat page in a browser: streaming, stopping, resuming, failing, editing, paging."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.pages.server import PagesServer
from tests.pages.visitor import Visitor

pytestmark = pytest.mark.browser


def test_an_answer_arrives_with_its_table_list_and_coloured_code(ada: Visitor):
    answer = ada.ask("Plan my weekend")

    expect(answer.locator("table tbody tr")).to_have_count(2)
    expect(answer.locator("ol > li")).to_have_count(2)
    expect(answer.locator(".code .k").first).to_have_text("def")
    expect(answer.locator("figcaption")).to_contain_text("python")
    expect(ada.live).to_have_count(0)
    expect(ada.prompt).to_have_value("")


def test_enter_sends_and_shift_enter_breaks_the_line(ada: Visitor):
    ada.prompt.fill("one")
    ada.prompt.press("Shift+Enter")
    ada.page.keyboard.type("two")
    expect(ada.prompt).to_have_value("one\ntwo")

    ada.prompt.press("Enter")

    expect(ada.questions.first).to_contain_text("two")


@pytest.mark.slow
def test_the_receipt_lists_every_call_and_adds_up(ada: Visitor):
    answer = ada.ask("Plan my weekend")

    answer.get_by_test_id("receipt").click()

    receipt = ada.page.get_by_role("region", name="Receipt")
    expect(receipt.locator("li")).to_have_count(3)
    expect(receipt.locator("li").first).to_contain_text("Remembering")
    expect(receipt.locator("li").last).to_contain_text("Reply")
    costs = [_dollars(text) for text in receipt.locator("[data-cost]").all_inner_texts()]
    assert sum(costs) == _dollars(receipt.locator("[data-total]").inner_text())


def test_a_stopped_answer_keeps_what_had_arrived(ada: Visitor):
    ada.send("long 3000")
    expect(ada.live).to_contain_text("quick method")

    ada.page.get_by_role("button", name="Stop").click()

    expect(ada.answers.first).to_contain_text("Stopped. The part that arrived has been kept.")
    expect(ada.answers.first).to_contain_text("quick method")


def test_a_reload_in_the_middle_shows_the_answer_from_its_beginning_to_its_end(ada: Visitor):
    ada.send("long 400")
    expect(ada.live).to_contain_text("quick method")

    ada.page.reload()

    expect(ada.live).to_contain_text("The quick method")
    expect(ada.answers).to_have_count(1, timeout=20_000)
    assert ada.answers.first.inner_text().count("The quick method") >= 13


def test_two_tabs_show_the_same_answer_live(ada: Visitor):
    other = Visitor(ada.page.context.new_page(), ada.url)
    other.open("/chat")

    ada.page.bring_to_front()
    ada.send("long 600")

    expect(other.live).to_contain_text("quick method")
    ada.page.get_by_role("button", name="Stop").click()
    expect(other.answers).to_have_count(1)


def test_a_failed_answer_tells_why_and_can_be_tried_again(ada: Visitor):
    ada.send("fail")
    problem = ada.page.locator(".with-way-out")
    expect(problem).to_contain_text("The model gave no answer")

    problem.get_by_role("button", name="Try again").click()

    expect(ada.questions).to_have_count(2)


def test_the_last_message_can_be_edited_and_sent_again(ada: Visitor):
    ada.ask("Plan my week")

    ada.questions.last.get_by_role("button", name="Edit and resend").click()

    expect(ada.prompt).to_have_value("Plan my week")
    expect(ada.prompt).to_be_focused()


@pytest.mark.slow
def test_a_draft_survives_a_reload(ada: Visitor):
    ada.prompt.fill("Half a thought")

    ada.page.reload()

    expect(ada.prompt).to_have_value("Half a thought")


@pytest.mark.slow
def test_a_message_that_is_too_long_is_told_before_it_is_sent(ada: Visitor):
    ada.prompt.fill("x" * 20_003)
    expect(ada.page.locator("#prompt-limit")).to_have_text("3 characters over the limit of 20,000.")

    ada.prompt.press("Enter")

    expect(ada.prompt).to_have_value("x" * 20_003)
    expect(ada.questions).to_have_count(0)


@pytest.mark.slow
def test_search_finds_a_message_and_opens_it_where_it_was_said(ada: Visitor):
    ada.ask("Where did I put the zanzibar tickets?")
    ada.ask("Plan my weekend")

    ada.page.get_by_role("button", name="Search", exact=True).first.click()
    ada.page.get_by_role("searchbox").fill("zanzibar")
    ada.page.keyboard.press("Enter")
    ada.page.locator(".result").first.click()

    expect(ada.page.locator(".row.is-marked")).to_contain_text("zanzibar")


def test_model_output_cannot_run_load_or_link_to_anything_bad(ada: Visitor):
    asked: list[str] = []
    ada.page.on("request", lambda request: asked.append(request.url))

    answer = ada.ask("hostile")

    expect(answer).to_contain_text("<script>")
    assert ada.page.title() != "pwned"
    assert answer.locator("img, script, iframe").count() == 0
    links = [link.get_attribute("href") for link in answer.locator("a").all()]
    assert links == ["https://example.com/"]
    assert not [url for url in asked if "tracker" in url]


@pytest.mark.slow
def test_a_persons_markup_is_shown_as_they_wrote_it(ada: Visitor):
    ada.ask("<img src=x onerror=alert(1)> **not bold**")

    expect(ada.questions.first.locator(".question")).to_have_text(
        "<img src=x onerror=alert(1)> **not bold**"
    )


def test_a_page_that_waits_for_its_connection_says_so(ada: Visitor):
    page = ada.page.context.new_page()
    page.route_web_socket("**/_event/**", lambda socket: None)

    page.goto(f"{ada.url}/chat")

    expect(page.get_by_text("Connecting…")).to_be_visible()
    expect(ada.page.get_by_text("Connecting…")).to_have_count(0)


@pytest.mark.slow
def test_the_connection_is_lost_told_and_heals(ada: Visitor, server: PagesServer):
    ada.ask("Plan my weekend")

    server.stop()
    expect(ada.page.get_by_text("Connection lost")).to_be_visible(timeout=20_000)
    server.start()

    expect(ada.page.get_by_text("Connection lost")).to_have_count(0, timeout=30_000)
    assert ada.ask("And the next one?")


@pytest.mark.slow
def test_the_title_tells_of_an_answer_that_nobody_saw(ada: Visitor, browser: Browser):
    ada.send("long 150")
    expect(ada.live).to_be_visible()

    ada.page.evaluate(
        "() => Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})"
    )

    expect(ada.page).to_have_title(re.compile("Answer received"), timeout=15_000)


@pytest.mark.slow
def test_the_shortcuts_are_listed_under_the_question_mark(ada: Visitor):
    ada.page.locator("#main").press("?")

    expect(ada.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def _dollars(text: str) -> int:
    """Return nano-dollars, exactly."""
    whole, _, decimals = text.replace("$", "").partition(".")
    return int(whole) * 10**9 + int(decimals.ljust(9, "0"))
