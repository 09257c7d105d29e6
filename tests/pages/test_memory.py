"""The memory page beyond one block's edit: waiting, history, archive, starting over."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from chat_platform.state.archive import PAGE_PASSAGES
from tests.pages.scenes import FULL, Look, Scene, Stage
from tests.pages.story.telling import UNLUCKY
from tests.pages.visitor import PASSWORD, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LOOK = Look("desktop", "light", "en")


def about_you(page: Page) -> Locator:
    return page.locator("[data-block=human]")


def edit(page: Page, text: str) -> None:
    about_you(page).get_by_role("button", name="Edit").click()
    about_you(page).get_by_role("textbox").fill(text)
    about_you(page).get_by_role("button", name="Save").click()


def another_tab(person: Visitor, path: str) -> Visitor:
    other = Visitor(person.page.context.new_page(), person.url)
    other.open(path)
    return other


def add_passage(page: Page, text: str) -> None:
    page.get_by_label("Add a passage").fill(text)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".passages li").first).to_contain_text(text)


def forget(page: Page, what: str) -> None:
    page.get_by_label(what).check()
    page.locator("#reset-confirm").fill("reset")
    page.get_by_role("button", name="Reset").click()


def test_what_the_agent_knows_of_the_person_stands_first(ada: Visitor):
    ada.open("/memory")

    titles = ada.page.locator("[data-block] h2")
    expect(titles).to_have_text(["About you", "About your agent"])


def test_an_edit_waits_until_the_agent_has_answered(ada: Visitor):
    ada.send("long 5000")
    expect(ada.live).to_be_visible()
    tab = another_tab(ada, "/memory")

    edit(tab.page, "Ada has moved to Turin.")

    expect(about_you(tab.page)).to_contain_text("saved as soon as it finishes")
    ada.page.get_by_role("button", name="Stop").click()
    expect(about_you(tab.page).locator("[data-value]")).to_have_text("Ada has moved to Turin.")


def test_waiting_may_be_given_up(ada: Visitor):
    ada.send("long 5000")
    expect(ada.live).to_be_visible()
    tab = another_tab(ada, "/memory")
    edit(tab.page, "Never mind.")
    expect(about_you(tab.page)).to_contain_text("Your agent is answering")

    about_you(tab.page).get_by_role("button", name="Cancel").click()
    ada.page.get_by_role("button", name="Stop").click()
    expect(ada.live).to_have_count(0)

    expect(about_you(tab.page).locator("[data-value]")).to_have_text("The human block.")


def test_a_text_that_is_too_long_is_counted_and_kept_in_the_field(ada: Visitor):
    ada.open("/memory")

    edit(ada.page, "x" * 2001)

    block = about_you(ada.page)
    expect(block.locator(".count")).to_have_text("2,001 / 2,000")
    expect(block.get_by_role("alert")).to_contain_text("Use at most ")
    expect(block.get_by_role("textbox")).to_have_value("x" * 2001)


def test_each_change_leads_to_the_message_and_step_that_made_it(stage: Stage):
    with stage.opened(Scene("history", "/memory", FULL), LOOK) as page:
        about_you(page).get_by_role("button", name="History").click()
        by_the_agent = "in step 2 of an answer"
        newest = about_you(page).locator(".revisions > li", has_text=by_the_agent).first
        expect(newest.locator("del")).to_contain_text("London")
        expect(newest.locator("ins").first).to_contain_text("Turin since March")

        newest.get_by_role("link").click()

        expect(page.locator(".row.is-marked")).to_contain_text("I have moved to Turin")


def test_the_first_text_is_told_apart_from_changes(stage: Stage):
    with stage.opened(Scene("history", "/memory", FULL), LOOK) as page:
        about_you(page).get_by_role("button", name="History").click()

        expect(about_you(page).locator(".revisions > li").last).to_contain_text("Original text")


def test_an_open_history_grows_by_each_change(ada: Visitor):
    ada.open("/memory")
    about_you(ada.page).get_by_role("button", name="History").click()
    revisions = about_you(ada.page).locator(".revisions > li")
    expect(revisions).to_have_count(1)

    edit(ada.page, "Ada has moved to Turin.")
    expect(revisions).to_have_count(2)
    revisions.last.get_by_role("button", name="Restore this version").click()

    expect(revisions).to_have_count(3)
    expect(revisions.first).to_contain_text("Current version")


def test_a_history_left_open_tells_of_what_changed_elsewhere(ada: Visitor):
    ada.open("/memory")
    about_you(ada.page).get_by_role("button", name="History").click()
    revisions = about_you(ada.page).locator(".revisions > li")
    expect(revisions).to_have_count(1)
    tab = another_tab(ada, "/memory")
    edit(tab.page, "Ada has moved to Turin.")
    expect(about_you(tab.page).locator("[data-value]")).to_have_text("Ada has moved to Turin.")

    ada.page.reload()

    expect(revisions).to_have_count(2)


def test_a_passage_is_deleted_only_when_that_was_meant(ada: Visitor):
    ada.open("/memory")
    add_passage(ada.page, "The key is under the stone.")
    passage = ada.page.locator(".passages li")

    passage.get_by_role("button", name="Delete").click()
    expect(passage.get_by_role("status")).to_have_text("Delete permanently?")
    passage.get_by_role("button", name="Keep").click()

    expect(passage.get_by_role("button", name="Delete")).to_be_visible()
    expect(passage).to_contain_text("under the stone")


def test_the_archive_is_searched(ada: Visitor):
    ada.open("/memory")
    add_passage(ada.page, "The key is under the stone.")
    add_passage(ada.page, "Grandmother's birthday is in May.")

    ada.page.locator("#archive-words").fill("stone")
    ada.page.locator("#archive-words").press("Enter")

    expect(ada.page.locator(".passages li")).to_have_count(1)
    ada.page.get_by_role("button", name="Show all").click()
    expect(ada.page.locator(".passages li")).to_have_count(2)


def archive(person: Visitor, texts: list[str]) -> None:
    """Add passages through the API, as the person's script would."""
    rest, api = person.page.request, f"{person.url}/api/v1"
    login = {"email": person.email, "password": PASSWORD}
    token = rest.post(f"{api}/auth/login", data=login).json()["access_token"]
    for text in texts:
        headers = {"Authorization": f"Bearer {token}"}
        added = rest.post(f"{api}/agent/passages", data={"text": text}, headers=headers)
        assert added.ok, added.text()


def test_older_passages_are_shown_below_the_newest(ada: Visitor):
    texts = [f"Passage {n}." for n in range(2 * PAGE_PASSAGES + 3)]
    archive(ada, texts)
    ada.open("/memory")
    shown, more = ada.page.locator(".passages li"), ada.page.get_by_role("button", name="Show more")
    expect(shown).to_have_count(PAGE_PASSAGES)

    more.click()
    expect(shown).to_have_count(2 * PAGE_PASSAGES)
    more.click()
    expect(shown).to_have_count(len(texts))

    assert shown.locator("p").all_inner_texts() == texts[::-1]
    expect(more).to_have_count(0)


def test_an_empty_archive_tells_how_it_fills(ada: Visitor):
    ada.open("/memory")

    expect(ada.page.locator(".nothing-yet")).to_contain_text("ask your agent to archive something")


def test_resetting_the_memory_brings_the_first_texts_back(ada: Visitor):
    ada.open("/memory")
    edit(ada.page, "Something private.")
    expect(about_you(ada.page).locator("[data-value]")).to_have_text("Something private.")
    add_passage(ada.page, "A secret.")

    forget(ada.page, "Memory only")

    expect(about_you(ada.page).locator("[data-value]")).to_have_text("The human block.")
    expect(ada.page.locator(".passages li")).to_have_count(0)


def test_an_agent_that_does_not_answer_is_told_with_a_way_out(stage: Stage):
    with stage.opened(Scene("failing", "/memory", UNLUCKY), LOOK) as page:
        alert = page.get_by_role("alert").filter(has=page.get_by_role("button"))

        expect(alert).to_contain_text(re.compile("not responding"))
        expect(alert.get_by_role("button", name="Try again")).to_be_visible()
