"""The chat page without a mouse, and as a screen reader sees it."""

import pytest
from playwright.sync_api import expect

from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FOCUS = "() => document.activeElement.id || document.activeElement.innerText"
HEARD = """() => {
  window.heard = [];
  const live = '[role=status], [role=alert], [role=log], [aria-live]:not([aria-live=off])';
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      const region = (target.closest ? target : target.parentElement)?.closest(live);
      const text = region?.textContent.trim();
      if (text && text !== window.heard.at(-1)) window.heard.push(text);
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def press(ada: Visitor, *keys: str) -> None:
    for key in keys:
        ada.page.keyboard.press(key)


def test_a_conversation_needs_no_mouse(ada: Visitor):
    ada.page.locator("#main").focus()
    press(ada, "/")
    expect(ada.prompt).to_be_focused()
    ada.page.keyboard.type("Plan my weekend")
    press(ada, "Enter")
    expect(ada.answers).to_have_count(1, timeout=20_000)
    expect(ada.prompt).to_be_focused()

    ada.page.get_by_test_id("receipt").focus()
    press(ada, "Enter")

    expect(ada.page.get_by_role("region", name="Receipt")).to_be_visible()


def test_tab_reaches_every_control_in_reading_order(ada: Visitor):
    ada.ask("Plan my weekend")
    ada.page.locator("#log").focus()
    reached: list[str] = []

    while "prompt" not in reached and len(reached) < 20:
        press(ada, "Tab")
        reached.append(ada.page.evaluate(FOCUS))

    names = [name.split("\n")[0] for name in reached]
    assert [name for name in names if name in ("Edit and resend", "Copy code", "Copy")] == [
        "Edit and resend",
        "Copy code",
        "Copy",
    ]


def test_every_focused_control_of_the_chat_shows_its_focus(ada: Visitor):
    ada.ask("Plan my weekend")
    ada.page.locator("#log").focus()

    for _ in range(8):
        press(ada, "Tab")
        outline = ada.page.evaluate(
            """() => {
              const element = document.activeElement;
              const box = getComputedStyle(element.closest('.composer-box') ?? element);
              return getComputedStyle(element).outlineStyle !== 'none' || box.boxShadow !== 'none';
            }"""
        )
        assert outline, ada.page.evaluate(FOCUS)


def test_the_shortcuts_are_listed_and_every_one_of_them_works(ada: Visitor):
    ada.ask("Plan my weekend")
    ada.page.locator("#main").focus()

    press(ada, "?")
    listed = ada.page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(listed).to_be_visible()
    assert listed.locator("kbd").all_inner_texts() == [
        *("?", "/", "s", "1 – 4", "Enter", "Shift + Enter", "↑", "Esc")
    ]
    press(ada, "Escape")
    expect(listed).to_be_hidden()

    press(ada, "s")
    expect(ada.page.get_by_role("searchbox")).to_be_focused()
    press(ada, "Escape", "/")
    expect(ada.prompt).to_be_focused()
    press(ada, "ArrowUp")
    expect(ada.prompt).to_have_value("Plan my weekend")
    ada.page.locator("#main").focus()
    press(ada, "2")
    ada.page.wait_for_url("**/memory")


def test_letters_in_the_message_are_no_shortcuts(ada: Visitor):
    ada.prompt.focus()

    ada.page.keyboard.type("s? 1/2")

    expect(ada.prompt).to_have_value("s? 1/2")
    expect(ada.page.get_by_role("dialog")).to_have_count(0)


def test_whoever_stops_an_answer_can_type_on_at_once(ada: Visitor):
    ada.send("long 3000")
    expect(ada.live).to_contain_text("quick method")
    ada.page.get_by_role("button", name="Stop").focus()

    press(ada, "Enter")
    ada.page.keyboard.type("Enough")

    expect(ada.prompt).to_have_value("Enough")
    expect(ada.answers).to_have_count(1)


def test_a_screen_reader_hears_an_answer_once_and_not_its_pieces(ada: Visitor):
    ada.ask("Plan my weekend")
    ada.page.evaluate(HEARD)

    ada.send("long 200")
    expect(ada.answers).to_have_count(2, timeout=20_000)
    ada.page.wait_for_timeout(300)

    heard = ada.page.evaluate("() => window.heard")
    assert len(heard) <= 3, [text[:60] for text in heard]
    assert heard[0] == "Your agent is answering"
    assert heard[-1].startswith("Answer received. The quick method")
    assert "Copy" not in heard[-1]


def test_loading_older_messages_says_nothing(ada: Visitor):
    ada.ask("Plan my weekend")
    ada.page.reload()
    ada.page.evaluate(HEARD)

    expect(ada.answers).to_have_count(1)
    ada.page.wait_for_timeout(500)

    assert ada.page.evaluate("() => window.heard") == []
