"""Talking with the agent on the whole platform: what arrives, what can be done with it."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.pages.behind import Behind, amounts, nano_usd
from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.chain, pytest.mark.timeout(300)]

CLIPBOARD = "async () => navigator.clipboard.readText()"
TODAY = "() => new Intl.DateTimeFormat('en-US', {dateStyle: 'long'}).format()"
WORDS = 250
SLOWLY = f"[[words {WORDS}]] [[pace 20]]"
WHOLE = [f"word{number}" for number in range(1, WORDS + 1)]
DOINGS = """() => {
  window.doings = [];
  const look = () => {
    const line = document.querySelector('[data-testid=live] .doing')?.textContent;
    if (line && line !== window.doings.at(-1)) window.doings.push(line);
  };
  new MutationObserver(look).observe(document.body, {
    childList: true, subtree: true, characterData: true,
  });
}"""


def text_of(answer: Locator) -> str:
    return answer.locator(".reading").inner_text()


def copied(page: Page, button: Locator) -> str:
    expect(page.locator(".is-copied")).to_have_count(0)
    button.click()
    expect(page.locator(".is-copied")).to_have_count(1)
    return page.evaluate(CLIPBOARD)


@pytest.mark.slow
def test_a_table_a_list_and_coloured_code_are_there_while_the_answer_arrives(ada: Visitor):
    ada.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ada.send("Write a long story of 400 words. [[pace 20]]")

    expect(ada.live.locator("ol > li")).to_have_count(3)
    expect(ada.live.locator("table tbody tr")).to_have_count(3)
    expect(ada.live.locator("figure.code .k").first).to_have_text("for")
    expect(ada.live.locator("figcaption").first).to_contain_text("python")
    expect(ada.answers).to_have_count(1, timeout=60_000)
    expect(ada.live).to_have_count(0)

    answer = ada.answers.first
    expect(answer.locator("figure.code .k").first).to_have_text("for")
    code = copied(ada.page, answer.get_by_role("button", name="Copy code").first)
    assert code.startswith("for ship in passing(3):\n    book.write(")
    whole = copied(ada.page, answer.get_by_role("button", name="Copy", exact=True))
    assert "Hour\tWind" in whole
    assert code.strip() in whole


def test_the_line_tells_what_the_agent_does_and_opens_to_its_steps(ada: Visitor):
    ada.page.evaluate(DOINGS)

    ada.send("Remember that my bicycle is red. And search your archive for cats. [[silence 1]]")
    ada.live.locator("summary").click()
    steps = ada.live.locator(".steps li")

    expect(steps.filter(has_text="Remembering")).to_be_visible()
    expect(steps.filter(has_text="Searching memory")).to_be_visible()
    expect(steps.first).to_have_text("Thinking")
    expect(ada.answers).to_have_count(1)
    doings = ada.page.evaluate("() => window.doings")
    assert [line for line in doings if line in ("Remembering", "Searching memory")] == [
        "Remembering",
        "Searching memory",
    ]


@pytest.mark.slow
def test_an_answer_is_the_same_in_each_tab_and_after_a_reload_in_its_middle(
    ada: Visitor, behind: Behind
):
    other = Visitor(ada.page.context.new_page(), ada.url)
    other.open("/chat")
    ada.send(SLOWLY)
    expect(other.live).to_contain_text("word9 ")
    expect(ada.live).to_contain_text("word9 ")

    ada.page.reload()

    expect(ada.live).to_contain_text("word1 word2 word3")
    for tab in (ada, other):
        expect(tab.answers).to_have_count(1)
        assert text_of(tab.answers.first).split() == WHOLE
        expect(tab.questions).to_have_count(1)
        expect(tab.live).to_have_count(0)
    assert len(behind.calls) == 1


@pytest.mark.slow
def test_a_stopped_answer_keeps_what_arrived_and_its_receipt_adds_up(ada: Visitor, behind: Behind):
    ada.ask("Hello!")
    ada.send("[[words 600]] [[pace 20]]")
    expect(ada.live).to_contain_text("word9 ")

    ada.page.get_by_role("button", name="Stop").click()

    answer = ada.answers.nth(1)
    expect(answer).to_contain_text("Stopped. The part that arrived has been kept.")
    arrived = text_of(answer).split()
    assert arrived == [f"word{number}" for number in range(1, len(arrived) + 1)]
    assert 9 <= len(arrived) < 600
    answer.get_by_test_id("receipt").click()
    receipt = ada.page.get_by_role("region", name="Receipt")
    expect(receipt.locator("li")).to_contain_text("stopped")
    [stopped] = behind.calls[1:]
    assert amounts(receipt.locator("[data-cost]")) == [stopped["cost_nano_usd"]]
    assert amounts(receipt.locator("[data-total]")) == [stopped["cost_nano_usd"]]
    assert nano_usd(answer.get_by_test_id("receipt").inner_text().split(" · ")[0]) > 0


@pytest.mark.slow
def test_the_last_message_is_edited_and_sent_again_as_it_is_now(ada: Visitor):
    ada.ask("My name is Ada Lovelace.")
    ada.ask("What is the name of my cat?")

    expect(ada.questions.first.locator(".edit")).to_be_hidden()
    ada.questions.last.get_by_role("button", name="Edit and resend").click()
    expect(ada.prompt).to_have_value("What is the name of my cat?")
    answer = ada.ask("What is my name?")

    expect(answer).to_contain_text("Your name is Ada Lovelace.")
    expect(ada.questions.last).to_contain_text("What is my name?")


@pytest.mark.slow
def test_a_model_that_fails_is_told_and_can_be_asked_again(ada: Visitor):
    ada.send("[[fail 500 1]] Hello!")
    problem = ada.page.locator(".with-way-out")
    expect(problem).to_contain_text("The model gave no answer")

    problem.get_by_role("button", name="Try again").click()

    expect(ada.answers).to_have_count(1)
    expect(ada.answers.first).to_contain_text("You wrote")


@pytest.mark.slow
def test_a_draft_survives_a_reload_and_too_long_a_text_is_told_before_it_is_sent(
    ada: Visitor, behind: Behind
):
    ada.prompt.fill("Half a thought")
    ada.page.reload()
    ada.wait_until_live()
    expect(ada.prompt).to_have_value("Half a thought")

    ada.send("x" * 20_003)

    expect(ada.page.locator("#prompt-limit")).to_have_text("3 characters over the limit of 20,000.")
    expect(ada.prompt).to_have_value("x" * 20_003)
    expect(ada.questions).to_have_count(0)
    assert behind.calls == []


@pytest.mark.slow
def test_what_was_said_is_dated_found_and_taken_away(ada: Visitor, tmp_path: Path):
    ada.ask("I put the tickets to Zanzibar into the blue book.")
    ada.ask("Hello!")
    expect(ada.page.locator(".day")).to_have_text([ada.page.evaluate(TODAY)])

    ada.page.get_by_role("button", name="Search", exact=True).first.click()
    ada.page.get_by_role("searchbox").fill("zanzibar")
    ada.page.keyboard.press("Enter")
    expect(ada.page.locator(".result mark").first).to_have_text("Zanzibar")
    ada.page.locator(".result").filter(has_text="You").last.click()
    expect(ada.page.locator(".row.is-marked")).to_contain_text("Zanzibar into the blue book")

    with ada.page.expect_download() as download:
        ada.page.get_by_role("link", name="Export").click()
    file = tmp_path / "conversation.md"
    download.value.save_as(file)
    for said in ("I put the tickets to Zanzibar", "You wrote: “Hello!”"):
        assert said in file.read_text()


@pytest.mark.slow
def test_model_output_cannot_run_load_or_link_to_anything_bad(ada: Visitor):
    asked: list[str] = []
    ada.page.context.on("request", lambda request: asked.append(request.url))
    title = ada.page.title()

    answer = ada.ask(
        "<script>document.title='pwned'</script><img src=https://tracker.example/a>"
        "![b](https://tracker.example/b)[c](javascript:alert(1))[d](data:text/html,e)"
        "[good](https://example.com/)"
    )

    expect(answer).to_contain_text("You wrote: “<script>document.title='pwned'</script>")
    expect(answer.get_by_role("link")).to_have_text(["https://tracker.example/a", "good"])
    expect(answer.get_by_role("link", name="good")).to_have_attribute(
        "href", "https://example.com/"
    )
    expect(answer.locator("img, script, iframe")).to_have_count(0)
    ada.page.reload()
    expect(ada.answers.first.get_by_role("link")).to_have_count(2)
    assert ada.page.title() == title
    assert not [url for url in asked if "tracker" in url]
