"""The memory page on the whole platform: what it shows and changes is what Letta stores."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.pages.behind import Behind
from tests.e2e.platform import PASSWORD, Person
from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(300)]

STEP = "select step from block_revisions where account_id = ? and turn_id is not null"
SLOWLY = "[[words 150]] [[pace 20]]"


def about_you(visitor: Visitor) -> Locator:
    return visitor.page.locator("[data-block=human]")


def text_shown(visitor: Visitor) -> Locator:
    return about_you(visitor).locator("[data-value]")


def write(visitor: Visitor, text: str) -> None:
    """Fill in the block's field, without saving."""
    about_you(visitor).get_by_role("button", name="Edit").click()
    about_you(visitor).get_by_role("textbox").fill(text)


def save(visitor: Visitor) -> None:
    about_you(visitor).get_by_role("button", name=re.compile("^Save")).click()


def another_tab(visitor: Visitor, path: str) -> Visitor:
    other = Visitor(visitor.page.context.new_page(), visitor.url)
    other.open(path)
    return other


def add_passage(visitor: Visitor, text: str) -> None:
    visitor.page.get_by_label("Add a passage").fill(text)
    visitor.page.get_by_role("button", name="Add", exact=True).click()
    expect(passages(visitor).first).to_contain_text(text)


def passages(visitor: Visitor) -> Locator:
    return visitor.page.locator(".passages li")


def forget(visitor: Visitor, what: str, *, word: str = "reset") -> None:
    visitor.page.get_by_label(what).check()
    visitor.page.locator("#reset-confirm").fill(word)
    visitor.page.get_by_role("button", name="Reset").click()


def test_what_the_agent_noted_leads_to_its_message_and_can_be_taken_back(
    ada: Visitor, behind: Behind
):
    ada.open("/memory")
    before = text_shown(ada).inner_text()
    ada.open("/chat")
    ada.ask("My name is Ada Lovelace.")
    noted = behind.blocks["human"]
    ada.open("/memory")
    block = about_you(ada)
    expect(text_shown(ada)).to_contain_text("Ada Lovelace")
    assert text_shown(ada).inner_text() == noted
    expect(block.locator(".fill small")).to_have_text(f"{len(noted)} of 4,000 characters")
    expect(block.locator(".panel-head small")).to_have_text(re.compile(r"^Changed .*\d:\d\d"))

    block.get_by_role("button", name="History").click()
    revisions = block.locator(".revisions > li")
    expect(revisions).to_have_count(2)
    newest, oldest = revisions.first, revisions.last
    [step] = behind.platform.rows(STEP, behind.account_id)
    expect(newest).to_contain_text(f"Your agent, in step {step['step']} of an answer")
    expect(newest.locator("ins").first).to_contain_text("Lovelace")
    expect(oldest).to_contain_text("Original text")
    newest.get_by_role("link", name="the message").click()
    expect(ada.page.locator(".row.is-marked")).to_contain_text("My name is Ada Lovelace.")

    ada.open("/memory")
    block.get_by_role("button", name="Restore this version").last.click()
    expect(revisions.first).to_contain_text("You undid a change")
    expect(text_shown(ada)).not_to_contain_text("Lovelace")
    assert text_shown(ada).inner_text() == behind.blocks["human"] == before


def test_the_agent_answers_from_what_the_person_wrote_into_its_memory(ada: Visitor, behind: Behind):
    ada.open("/memory")

    write(ada, "Name: Zoë Washburne")
    save(ada)

    expect(text_shown(ada)).to_have_text("Name: Zoë Washburne")
    assert behind.blocks["human"] == "Name: Zoë Washburne"
    ada.open("/chat")
    expect(ada.ask("What is my name?")).to_contain_text("Your name is Zoë Washburne.")


def test_an_edit_shows_what_the_agent_wrote_meanwhile_beside_it(ada: Visitor, behind: Behind):
    tab = another_tab(ada, "/memory")
    write(tab, "Fact: I prefer trains")
    ada.page.bring_to_front()
    ada.ask("Remember that my bicycle is red.")
    noted = behind.blocks["human"]

    tab.page.bring_to_front()
    save(tab)

    block = about_you(tab)
    expect(block.get_by_role("alert")).to_contain_text("changed while you were editing")
    expect(block.locator(".conflict")).to_contain_text("Fact: my bicycle is red")
    expect(block.get_by_role("textbox")).to_have_value("Fact: I prefer trains")
    assert behind.blocks["human"] == noted
    save(tab)
    expect(text_shown(tab)).to_have_text("Fact: I prefer trains")
    assert behind.blocks["human"] == "Fact: I prefer trains"


def test_an_edit_waits_until_the_agent_has_answered(ada: Visitor, behind: Behind):
    ada.send(SLOWLY)
    expect(ada.live).to_contain_text("word3 ")
    before = behind.blocks["human"]
    tab = another_tab(ada, "/memory")

    write(tab, "Fact: I moved to Turin")
    save(tab)

    expect(about_you(tab)).to_contain_text("saved as soon as it finishes")
    assert behind.blocks["human"] == before
    expect(text_shown(tab)).to_have_text("Fact: I moved to Turin")
    expect(ada.answers).to_have_count(1)
    assert behind.blocks["human"] == "Fact: I moved to Turin"


def test_passages_are_added_found_by_meaning_and_deleted(ada: Visitor, behind: Behind):
    ada.open("/memory")
    add_passage(ada, "The bicycle is red.")
    add_passage(ada, "The cat is called Tom.")
    assert sorted(behind.passages) == ["The bicycle is red.", "The cat is called Tom."]

    ada.page.locator("#archive-words").fill("cat")
    ada.page.locator("#archive-words").press("Enter")
    expect(ada.page.get_by_role("button", name="Show all")).to_be_visible()
    expect(passages(ada).first).to_contain_text("The cat is called Tom.")
    ada.page.get_by_role("button", name="Show all").click()

    cat = passages(ada).filter(has_text="cat")
    cat.get_by_role("button", name="Delete").click()
    expect(cat.get_by_role("status")).to_have_text("Delete permanently?")
    cat.get_by_role("button", name="Delete", exact=True).click()
    expect(passages(ada)).to_have_count(1)
    assert behind.passages == ["The bicycle is red."]
    assert [call["model"] for call in behind.calls] == ["demo-embedding"] * 3
    assert all(call["cost_nano_usd"] > 0 for call in behind.calls)


def test_an_archive_of_more_than_a_page_is_shown_page_by_page(stranger: Visitor, alice: Person):
    texts = [f"Fact number {number:02}" for number in range(1, 24)]
    for text in texts:
        assert alice.request("POST", "/agent/passages", json={"text": text}).status_code == 201
    stranger.email = alice.email
    stranger.sign_in(PASSWORD)
    stranger.page.wait_for_url("**/chat")
    stranger.open("/memory")
    expect(passages(stranger)).to_have_count(20)

    stranger.page.get_by_role("button", name="Show more").click()

    expect(passages(stranger)).to_have_count(23)
    expect(stranger.page.get_by_role("button", name="Show more")).to_have_count(0)
    assert passages(stranger).locator("p").all_inner_texts() == texts[::-1]


def test_starting_over_wants_the_word_and_gives_the_memory_back_its_first_texts(
    ada: Visitor, behind: Behind
):
    ada.open("/memory")
    expect(text_shown(ada)).to_be_visible()
    first, agent_id = behind.blocks, behind.agent_id
    ada.open("/chat")
    ada.ask("Remember that my bicycle is red. And archive that my cat is called Tom.")
    assert behind.blocks != first
    ada.open("/memory")
    forget(ada, "Memory only", word="yes")
    expect(ada.page.locator("#reset-confirm-error")).to_contain_text("Type the word “reset”")
    assert behind.passages == ["my cat is called Tom"]

    forget(ada, "Memory only")

    expect(ada.page.get_by_text("Your agent has been reset.")).to_be_visible()
    expect(passages(ada)).to_have_count(0)
    expect(text_shown(ada)).not_to_contain_text("bicycle")
    assert behind.blocks == first
    assert behind.passages == []
    assert behind.agent_id == agent_id


def test_a_whole_new_agent_knows_nothing_and_the_conversation_stays_readable(
    ada: Visitor, behind: Behind
):
    ada.ask("My name is Ada Lovelace. And archive that my cat is called Tom.")
    former = behind.agent_id
    ada.open("/memory")
    about_you(ada).get_by_role("button", name="History").click()
    expect(about_you(ada).locator(".revisions > li")).to_have_count(2)

    forget(ada, "The whole agent")

    expect(ada.page.get_by_text("Your agent has been reset.")).to_be_visible()
    expect(passages(ada)).to_have_count(0)
    expect(about_you(ada).locator(".revisions > li")).to_have_count(1)
    assert behind.agent_id != former
    assert behind.passages == []
    ada.open("/chat")
    expect(ada.questions.first).to_contain_text("My name is Ada Lovelace.")
    expect(ada.ask("What is my name?")).not_to_contain_text("Lovelace")
    assert "Lovelace" not in str(behind.blocks)
    assert behind.letta("GET", f"/v1/agents/{former}").status_code == 404
