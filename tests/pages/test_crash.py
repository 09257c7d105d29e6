"""A page that crashes in the browser says so in our own design, and shows a way out."""

import re

import pytest
from playwright.sync_api import WebSocketRoute, expect

from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TOTAL = re.compile(r'"total_rx_state_":"[^"]+"')


@pytest.fixture
def ada(stranger: Visitor) -> Visitor:
    """A person whose browser gets an object where the page renders a text."""
    stranger.page.route_web_socket(re.compile("/_event"), _break_receipts)
    stranger.sign_up()
    return stranger


def _break_receipts(browser: WebSocketRoute) -> None:
    server = browser.connect_to_server()
    server.on_message(lambda text: browser.send(TOTAL.sub('"total_rx_state_":{"a":1}', str(text))))


def crash(ada: Visitor) -> None:
    ada.ask("Plan my weekend")
    ada.page.get_by_test_id("receipt").click()
    expect(ada.page.get_by_role("heading", name="This page has crashed")).to_be_visible()


def test_a_broken_page_tells_that_nothing_is_lost_in_our_own_dress(ada: Visitor):
    crash(ada)

    expect(ada.page.get_by_role("alert").first).to_contain_text("safe on the server")
    expect(ada.page.locator(".card .brand, .card-page .brand").first).to_be_visible()
    expect(ada.page.get_by_text("reflex", exact=False)).to_have_count(0)


def test_loading_the_page_again_is_the_way_out(ada: Visitor):
    crash(ada)

    ada.page.get_by_role("link", name="Reload the page").click()

    ada.wait_until_live()
    expect(ada.answers).to_have_count(1)


def test_a_broken_page_leads_back_to_the_chat(ada: Visitor):
    crash(ada)

    ada.page.get_by_role("link", name="Back to the chat").click()

    ada.wait_until_live()
    expect(ada.answers).to_have_count(1)
