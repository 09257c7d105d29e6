"""A long conversation on the chat page: opening, scrolling back, searching, returning."""

import time

import pytest
from playwright.sync_api import expect

from tests.pages.seed import seed_history
from tests.pages.server import PagesServer
from tests.pages.traffic import Traffic
from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WHERE_IS = "id => document.querySelector(`[data-message='${id}']`).getBoundingClientRect().top"
SCROLL = "pixels => document.getElementById('log').scrollBy(0, pixels)"
SHOWN = "() => [...document.querySelectorAll('.row')].map(row => row.dataset.message)"
FIRST_SHOWN = "() => document.querySelector('#messages > li').dataset.message"


@pytest.fixture
def traffic(ada: Visitor) -> Traffic:
    return Traffic(ada.page)


def open_with(ada: Visitor, server: PagesServer, *, messages: int) -> list[str]:
    ids = seed_history(server.folder, ada.email, messages=messages)
    ada.open("/chat")
    ada.page.locator(f"[data-message='{ids[-1]}']").wait_for()
    return ids


def scroll_to_the_top(ada: Visitor) -> None:
    ada.page.evaluate(SCROLL, -1_000_000)


def test_ten_thousand_messages_open_at_their_end_in_a_second(ada: Visitor, server: PagesServer):
    ids = open_with(ada, server, messages=10_000)
    began = time.monotonic()

    ada.page.reload()

    expect(ada.page.locator(f"[data-message='{ids[-1]}']")).to_be_in_viewport()
    # The promise is a second on an idle machine; benchmarks/web measures it.
    assert time.monotonic() - began < 5
    assert ada.page.locator(".row").count() == 40


def test_older_messages_come_while_one_scrolls_and_nothing_jumps(ada: Visitor, server: PagesServer):
    open_with(ada, server, messages=400)

    for shown in (80, 120, 160, 200, 240):
        first = ada.page.evaluate(FIRST_SHOWN)
        scroll_to_the_top(ada)
        before = ada.page.evaluate(WHERE_IS, first)
        expect(ada.page.locator(".row")).to_have_count(shown)
        assert abs(ada.page.evaluate(WHERE_IS, first) - before) <= 2


def test_one_can_scroll_back_to_the_very_first_message(ada: Visitor, server: PagesServer):
    ids = open_with(ada, server, messages=200)

    for shown in (80, 120, 160, 200):
        scroll_to_the_top(ada)
        expect(ada.page.locator(".row")).to_have_count(shown)

    expect(ada.page.locator("#older")).to_have_count(0)
    assert ada.page.evaluate(SHOWN) == ids


def test_scrolling_back_receives_the_new_page_alone(
    ada: Visitor, server: PagesServer, traffic: Traffic
):
    open_with(ada, server, messages=400)
    scroll_to_the_top(ada)
    expect(ada.page.locator(".row")).to_have_count(80)
    first_page = traffic.socket_bytes
    traffic.socket_bytes = 0

    for shown in (120, 160, 200):
        scroll_to_the_top(ada)
        expect(ada.page.locator(".row")).to_have_count(shown)

    # `first_page` contains what was shown when the conversation opened, and the first page.
    assert traffic.socket_bytes < 2 * first_page
    assert sum("Answer 195." in text for text in traffic.texts) == 1


def test_an_answer_sends_no_earlier_page_again(ada: Visitor, server: PagesServer, traffic: Traffic):
    open_with(ada, server, messages=400)
    scroll_to_the_top(ada)
    expect(ada.page.locator(".row")).to_have_count(80)
    traffic.texts.clear()

    ada.ask("Plan my weekend")

    assert not [text for text in traffic.texts if "Answer 190." in text]
    expect(ada.page.locator(".row")).to_have_count(82)


def test_each_day_is_named_once_over_its_first_message(ada: Visitor, server: PagesServer):
    open_with(ada, server, messages=100)

    days = ada.page.locator(".day").all_text_contents()
    scroll_to_the_top(ada)
    expect(ada.page.locator(".row")).to_have_count(80)

    later = ada.page.locator(".day").all_text_contents()
    assert len(set(later)) == len(later) == 4
    assert later[-len(days) :] == days


def test_what_one_reads_stays_in_its_place_while_an_answer_arrives(
    ada: Visitor, server: PagesServer
):
    ids = open_with(ada, server, messages=100)
    ada.send("long 300")
    expect(ada.live).to_contain_text("quick method")
    ada.page.evaluate(SCROLL, -900)
    before = ada.page.evaluate(WHERE_IS, ids[-4])

    expect(ada.answers.last).to_contain_text("The quick method", timeout=30_000)
    expect(ada.live).to_have_count(0)

    assert abs(ada.page.evaluate(WHERE_IS, ids[-4]) - before) <= 2


def test_from_further_up_a_button_leads_back_to_the_end(ada: Visitor, server: PagesServer):
    ids = open_with(ada, server, messages=100)
    last = ada.page.locator(f"[data-message='{ids[-1]}']")
    expect(ada.page.locator("#to-end")).to_be_hidden()
    ada.page.evaluate(SCROLL, -1500)
    expect(last).not_to_be_in_viewport()

    ada.page.locator("#to-end").click()

    expect(last).to_be_in_viewport()
    expect(ada.page.locator("#to-end")).to_be_hidden()


def test_a_found_message_is_shown_among_its_neighbours_and_one_comes_back(
    ada: Visitor, server: PagesServer
):
    ids = open_with(ada, server, messages=400)

    ada.open(f"/chat?message={ids[100]}")

    marked = ada.page.locator(".row.is-marked")
    expect(marked).to_contain_text("Question 51")
    expect(ada.page.get_by_role("button", name="Edit and resend")).to_have_count(0)
    expect(marked).to_be_in_viewport()
    ada.page.get_by_role("button", name="Jump to the latest messages").click()
    expect(ada.page.locator(f"[data-message='{ids[-1]}']")).to_be_in_viewport()


def test_newer_messages_come_while_one_scrolls_on_from_a_part_of_the_past(
    ada: Visitor, server: PagesServer
):
    ids = open_with(ada, server, messages=400)
    ada.open(f"/chat?message={ids[200]}")
    ada.page.locator(f"[data-message='{ids[200]}']").wait_for()

    for reached in (230, 270, 310, 350):
        edge = ada.page.locator(f"[data-message='{ids[reached]}']")
        ada.page.evaluate(SCROLL, 1_000_000)
        expect(edge).to_be_attached()
        assert not edge.evaluate("e => e.getBoundingClientRect().bottom < 0")
    ada.page.evaluate(SCROLL, 1_000_000)
    expect(ada.page.locator(f"[data-message='{ids[-1]}']")).to_be_attached()
    expect(ada.page.locator("#newer")).to_have_count(0)

    shown = ada.page.evaluate(SHOWN)
    assert shown == ids[ids.index(shown[0]) :]
    ada.ask("Plan my weekend")
    expect(ada.page.locator(".row")).to_have_count(len(shown) + 2)


def test_nothing_jumps_when_newer_messages_come(ada: Visitor, server: PagesServer):
    ids = open_with(ada, server, messages=400)
    ada.open(f"/chat?message={ids[200]}")
    last = "() => document.querySelector('#messages > li:last-child').dataset.message"
    ada.page.locator(f"[data-message='{ids[200]}']").wait_for()
    edge = ada.page.evaluate(last)
    ada.page.evaluate(SCROLL, 1_000_000)
    before = ada.page.evaluate(WHERE_IS, edge)

    expect(ada.page.locator(f"[data-message='{edge}'] + li")).to_be_attached()

    assert abs(ada.page.evaluate(WHERE_IS, edge) - before) <= 4


def test_a_lost_connection_keeps_the_pages_that_were_loaded(ada: Visitor, server: PagesServer):
    open_with(ada, server, messages=200)
    scroll_to_the_top(ada)
    expect(ada.page.locator(".row")).to_have_count(80)
    oldest = ada.page.locator("[data-message]").first.get_attribute("data-message")

    server.stop()
    expect(ada.page.get_by_text("Connection lost")).to_be_visible(timeout=20_000)
    server.start()
    expect(ada.page.get_by_text("Reconnected.")).to_be_visible(timeout=30_000)

    expect(ada.page.locator(f"[data-message='{oldest}']")).to_be_attached()
    scroll_to_the_top(ada)
    expect(ada.page.locator(".row").nth(119)).to_be_attached()
