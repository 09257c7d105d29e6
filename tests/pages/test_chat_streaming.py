"""An answer while it arrives: no jumps, the agent's activity shown, the same in every tab."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.server import PagesServer
from tests.pages.traffic import Traffic
from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHIFTS = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const sources = entry.sources.map((s) => s.node?.nodeName + '.' + s.node?.className);
      if (!entry.hadRecentInput) window.shifts.push({ value: entry.value, sources });
    }
  }).observe({ type: 'layout-shift', buffered: false });
}"""
SIDEWAYS = """() => {
  window.moved = 0;
  const composer = document.querySelector('.composer-box');
  const place = () => JSON.stringify(composer.getBoundingClientRect());
  const first = place();
  const tick = () => { if (place() !== first) window.moved += 1; requestAnimationFrame(tick); };
  tick();
}"""


def test_nothing_but_the_text_moves_while_an_answer_arrives(ada: Visitor):
    ada.ask("Plan my weekend")
    ada.prompt.fill("long 400")
    ada.page.evaluate(SHIFTS)
    ada.page.evaluate(SIDEWAYS)

    ada.prompt.press("Enter")
    expect(ada.answers).to_have_count(2, timeout=30_000)
    ada.page.wait_for_timeout(300)

    shifts: list[dict[str, Any]] = ada.page.evaluate("() => window.shifts")
    assert sum(shift["value"] for shift in shifts) < 0.1, shifts[:5]
    assert ada.page.evaluate("() => window.moved") == 0


def test_the_finished_answer_looks_as_it_did_while_it_arrived(ada: Visitor):
    ada.send("long 2000")
    expect(ada.live.locator(".block").nth(1)).to_be_visible(timeout=20_000)
    first = ada.live.locator(".block p").first
    arriving = first.evaluate("p => [getComputedStyle(p).font, p.getBoundingClientRect().width]")

    ada.page.get_by_role("button", name="Stop").click()
    expect(ada.answers).to_have_count(1)

    finished = ada.answers.first.locator(".reading p").first
    assert arriving == finished.evaluate(
        "p => [getComputedStyle(p).font, p.getBoundingClientRect().width]"
    )


def test_the_line_says_what_the_agent_does_and_opens_to_the_steps(
    browser: Browser, slow_server: PagesServer
):
    page = browser.new_page()
    bob = Visitor(page, slow_server.url)
    bob.sign_up("Bob A")
    bob.send("Plan my weekend")

    expect(bob.live.locator(".doing")).to_have_text("Remembering")
    bob.live.locator("summary").click()

    expect(bob.live.locator(".steps li").first).to_have_text("Thinking")
    expect(bob.live.locator(".steps li").nth(1)).to_have_text("Remembering")
    page.close()


def test_code_is_coloured_while_it_arrives(ada: Visitor):
    ada.send("code 400")

    expect(ada.live.locator("figure.code .k").first).to_have_text("for")
    expect(ada.live.locator("figcaption")).to_contain_text("python")
    ada.page.get_by_role("button", name="Stop").click()


def test_two_tabs_show_the_same_answer_within_a_second(ada: Visitor):
    other = Visitor(ada.page.context.new_page(), ada.url)
    other.open("/chat")

    ada.send("long 300")

    expect(other.questions.first).to_contain_text("long 300", timeout=3_000)
    expect(other.live).to_contain_text("quick method", timeout=3_000)
    expect(other.answers).to_have_count(1, timeout=20_000)
    assert other.answers.first.inner_text() == ada.answers.first.inner_text()


def test_another_browser_shows_what_this_one_asks(ada: Visitor, browser: Browser):
    phone = browser.new_context(viewport={"width": 390, "height": 844})
    other = Visitor(phone.new_page(), ada.url)
    other.email = ada.email
    other.sign_in()
    other.wait_until_live()

    ada.send("long 200")

    expect(other.live).to_contain_text("quick method", timeout=3_000)
    phone.close()


def test_a_stream_of_code_stays_within_what_a_slow_line_carries(ada: Visitor):
    traffic = Traffic(ada.page)
    ada.open("/chat")
    traffic.socket_bytes = 0

    ada.send("code 1000")
    expect(ada.answers).to_have_count(1, timeout=60_000)

    assert traffic.socket_bytes < 1_000_000


def test_who_asks_for_less_motion_sees_none(browser: Browser, server: PagesServer):
    context = browser.new_context(reduced_motion="reduce")
    visitor = Visitor(context.new_page(), server.url)
    visitor.sign_up()
    visitor.send("long 300")
    expect(visitor.live).to_contain_text("quick method")

    moving = visitor.page.evaluate(
        "() => document.getAnimations().filter(a => a.playState === 'running').length"
    )

    assert moving == 0
    context.close()


def test_the_title_is_its_own_again_once_the_answer_is_seen(ada: Visitor):
    before = ada.page.title()
    _hide(ada.page, is_hidden=True)
    ada.send("Plan my weekend")
    expect(ada.page).to_have_title(re.compile("● Answer received"), timeout=15_000)

    _hide(ada.page, is_hidden=False)

    expect(ada.page).to_have_title(before)


def _hide(page: Page, *, is_hidden: bool) -> None:
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});
          document.dispatchEvent(new Event('visibilitychange'));
        }""",
        is_hidden,
    )


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory):
    """A server on which every step takes long enough to be seen."""
    with PagesServer(tmp_path_factory.mktemp("slow"), pace_seconds=1.0) as running:
        yield running
