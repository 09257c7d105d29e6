"""The settings page on the whole platform: its changes take effect everywhere."""

import csv
import json
import subprocess
import zipfile
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.pages.behind import Behind, nano_usd
from tests.pages.visitor import PASSWORD, Visitor
from tests.waiting import wait_for

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(300)]

NEW_PASSWORD = "a quite new password"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def elsewhere(ada: Visitor, browser: Browser) -> Iterator[Visitor]:
    """Ada in Firefox on another machine, according to its User-Agent."""
    context = browser.new_context(user_agent=FIREFOX)
    other = Visitor(context.new_page(), ada.url)
    other.email = ada.email
    other.sign_in()
    other.page.wait_for_url("**/chat")
    yield other
    context.close()


def heading(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("heading", level=1)


def make_token(visitor: Visitor, *rights: str) -> str:
    """Create a token; return the command that the page shows."""
    visitor.page.locator("#token-name").fill("script")
    for right in rights:
        visitor.page.locator(f"[name=scope-{right}]").check()
    visitor.page.get_by_role("button", name="Create a token").click()
    return visitor.page.locator("#curl").inner_text()


def run(command: str) -> str:
    """Paste the command into a shell, as a person would."""
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def wait_until_gone(behind: Behind) -> None:
    query = "select id from accounts where id = ?"
    wait_for(lambda: not behind.platform.rows(query, behind.account_id), seconds=30)


def test_a_name_a_language_and_a_theme_stay(ada: Visitor):
    ada.open("/settings")
    ada.page.locator("#name").fill("Augusta Ada")
    ada.page.get_by_role("button", name="Save").click()
    expect(ada.page.get_by_test_id("who")).to_have_text("Augusta Ada")
    ada.page.get_by_label("Dark").click()
    expect(ada.page.locator("html")).to_have_class("dark")

    ada.page.get_by_label("Русский").click()
    expect(heading(ada)).to_have_text("Настройки")
    ada.page.reload()
    expect(heading(ada)).to_have_text("Настройки")
    expect(ada.page.locator("html")).to_have_class("dark")
    expect(ada.page.locator("#name")).to_have_value("Augusta Ada")
    ada.open("/chat")
    ada.prompt.fill("Меня зовут Ада")
    ada.page.get_by_role("button", name="Отправить").click()
    expect(ada.answers.first).to_contain_text("Приятно познакомиться, Ада!")

    ada.open("/settings")
    ada.page.get_by_label("English").click()
    expect(heading(ada)).to_have_text("Settings")


def test_a_new_password_holds_and_ends_the_other_sign_ins(ada: Visitor, elsewhere: Visitor):
    ada.open("/settings")
    ada.page.locator("#current").fill("wrong")
    ada.page.locator("#new").fill(NEW_PASSWORD)
    ada.page.get_by_role("button", name="Change password").click()
    expect(ada.page.locator("#current-error")).to_have_text("Incorrect password.")

    ada.page.locator("#current").fill(PASSWORD)
    ada.page.locator("#new").fill(NEW_PASSWORD)
    ada.page.get_by_role("button", name="Change password").click()

    expect(ada.page.get_by_text("Your password has been changed.")).to_be_visible()
    elsewhere.page.reload()
    expect(elsewhere.page).to_have_url(f"{ada.url}/login")
    elsewhere.sign_in()
    expect(elsewhere.page.locator("#password-error p:visible")).to_have_count(1)
    elsewhere.sign_in(NEW_PASSWORD)
    expect(elsewhere.page).to_have_url(f"{ada.url}/chat")


def test_sign_ins_are_named_and_ended(ada: Visitor, elsewhere: Visitor):
    ada.open("/settings")
    listed = ada.page.get_by_role("region", name="Where you are signed in").get_by_role("listitem")
    expect(listed).to_have_count(2)
    expect(listed.filter(has_text="This browser")).to_have_count(1)

    listed.filter(has_text="Firefox on Windows").get_by_role("button", name="Sign out").click()

    expect(listed).to_have_count(1)
    elsewhere.page.reload()
    expect(elsewhere.page).to_have_url(f"{ada.url}/login")
    ada.page.reload()
    expect(listed).to_have_count(1)


def test_the_command_of_a_token_talks_to_the_agent_until_it_is_revoked(
    ada: Visitor, behind: Behind
):
    ada.open("/settings")
    command = make_token(ada, "chat")

    answer = json.loads(run(command))

    assert answer["message"]["content"]
    assert behind.booked > 0
    ada.page.get_by_role("button", name="Revoke script").click()
    expect(ada.page.get_by_role("button", name="Revoke script")).to_have_count(0)
    assert "message" not in json.loads(run(command))
    ada.open("/chat")
    expect(ada.questions).to_have_count(1)
    expect(ada.answers.first).to_contain_text(answer["message"]["content"][:40])


def test_a_token_for_the_memory_shows_that_and_no_more(ada: Visitor, behind: Behind):
    ada.ask("Remember that my bicycle is red.")
    ada.open("/settings")

    command = make_token(ada, "memory")

    blocks = json.loads(run(command))["blocks"]
    assert {block["label"]: block["value"] for block in blocks} == behind.blocks
    assert "bicycle is red" in behind.blocks["human"]
    refused = json.loads(run(command.replace("agent/memory", "user/usage")))
    assert "totals" not in refused
    ada.page.reload()
    expect(ada.page.locator("#new-token")).to_have_count(0)


def test_everything_is_taken_along_and_then_the_account_is_deleted(ada: Visitor, behind: Behind):
    ada.ask("Remember that my bicycle is red.")
    agent_id, calls = behind.agent_id, behind.calls
    ada.open("/settings")
    with ada.page.expect_download() as download:
        ada.page.get_by_role("link", name="Download everything").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        messages, memory = (
            archive.read(f"{name}.json").decode() for name in ("messages", "memory")
        )
        ledger = list(csv.DictReader(archive.read("ledger.csv").decode().splitlines()))
    assert "Remember that my bicycle is red." in messages
    assert "Fact: my bicycle is red" in memory
    booked = [call["cost_nano_usd"] for call in calls]
    assert [nano_usd(line["cost_usd"]) for line in ledger] == booked

    ada.page.locator("#deletion-password").fill("wrong")
    ada.page.get_by_role("button", name="Delete account").click()
    expect(ada.page.locator("#deletion-password-error")).to_have_text("Incorrect password.")
    ada.page.locator("#deletion-password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Delete account").click()

    told = ada.page.get_by_role("status").filter(visible=True)
    expect(told).to_have_text("Your account is being deleted.")
    wait_until_gone(behind)
    ada.sign_in()
    expect(ada.page.locator("#password-error p:visible")).to_have_count(1)
    assert behind.letta("GET", f"/v1/agents/{agent_id}").status_code == 404
    for call in calls:
        [kept] = behind.platform.rows("select * from model_calls where id = ?", call["id"])
        assert kept["cost_nano_usd"] == call["cost_nano_usd"]
        assert kept["account_id"] != behind.account_id
