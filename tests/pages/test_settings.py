"""The settings page: profile, password, sign-ins, tokens, and the export of data."""

import zipfile

import pytest
from playwright.sync_api import Browser, expect

from tests.pages.seed import offer_setup_code
from tests.pages.server import PagesServer
from tests.pages.visitor import PASSWORD, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_new_name_is_shown_at_once_and_stays(ada: Visitor):
    ada.open("/settings")
    ada.page.locator("#name").fill("Augusta Ada")
    ada.page.get_by_role("button", name="Save").click()

    expect(ada.page.get_by_test_id("who")).to_have_text("Augusta Ada")
    ada.page.reload()
    expect(ada.page.locator("#name")).to_have_value("Augusta Ada")


def test_a_name_that_is_typed_as_soon_as_the_field_takes_it_is_not_lost(ada: Visitor):
    for number in range(3):
        ada.page.goto(f"{ada.url}/settings", wait_until="commit")
        ada.page.locator("#name").fill(f"Augusta {number}")
        # By then everything on the page has been loaded.
        expect(ada.page.get_by_text("This browser")).to_be_visible()

        expect(ada.page.locator("#name")).to_have_value(f"Augusta {number}")


def test_a_wrong_current_password_is_told_beside_its_field(ada: Visitor):
    ada.open("/settings")
    ada.page.locator("#current").fill("wrong")
    ada.page.locator("#new").fill("a new long password")
    ada.page.get_by_role("button", name="Change password").click()

    expect(ada.page.locator("#current-error")).to_have_text("Incorrect password.")
    expect(ada.page.locator("#current")).to_have_attribute("aria-invalid", "true")
    expect(ada.page.locator("#new-error")).to_have_text("")


def test_a_new_password_works_and_ends_other_sign_ins(ada: Visitor, browser: Browser):
    elsewhere = browser.new_context()
    other = Visitor(elsewhere.new_page(), ada.url)
    other.email = ada.email
    other.sign_in()
    # An open page would leave for the sign-in page by itself, and race with the test.
    other.page.goto("about:blank")
    ada.open("/settings")
    ada.page.locator("#current").fill(PASSWORD)
    ada.page.locator("#new").fill("a new long password")
    ada.page.get_by_role("button", name="Change password").click()
    expect(ada.page.get_by_text("Your password has been changed.")).to_be_visible()

    other.page.goto(f"{ada.url}/settings")

    expect(other.page).to_have_url(f"{ada.url}/login?next=%2Fsettings")
    other.sign_in("a new long password")
    expect(other.page).to_have_url(f"{ada.url}/chat")
    elsewhere.close()


def test_sign_ins_are_named_and_ended_all_at_once(ada: Visitor, browser: Browser):
    firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    elsewhere = browser.new_context(user_agent=firefox)
    other = Visitor(elsewhere.new_page(), ada.url)
    other.email = ada.email
    other.sign_in()
    ada.open("/settings")
    listed = ada.page.get_by_role("region", name="Where you are signed in")
    expect(listed).to_contain_text("Firefox on Windows")

    listed.get_by_role("button", name="Sign out everywhere else").click()

    expect(listed.get_by_role("listitem")).to_have_count(1)
    expect(listed).to_contain_text("This browser")
    other.page.reload()
    expect(other.page).to_have_url(f"{ada.url}/login")
    elsewhere.close()


def test_a_phone_has_a_way_to_sign_out(ada: Visitor):
    ada.page.set_viewport_size({"width": 360, "height": 740})
    ada.open("/settings")

    ada.page.locator("main").get_by_role("button", name="Sign out").click()

    expect(ada.page).to_have_url(f"{ada.url}/login?notice=signed_out")


def test_a_token_wants_a_name_and_a_right_and_keeps_what_was_typed(ada: Visitor):
    ada.open("/settings")
    ada.page.locator("#token-name").fill("script")
    ada.page.get_by_role("button", name="Create a token").click()

    expect(ada.page.get_by_text("Choose at least one permission.")).to_be_visible()
    expect(ada.page.locator("#token-name")).to_have_value("script")


def test_the_command_of_a_token_asks_for_what_its_rights_allow(ada: Visitor):
    ada.open("/settings")
    ada.page.locator("#token-name").fill("script")
    ada.page.locator("[name=scope-memory]").check()
    ada.page.get_by_role("button", name="Create a token").click()

    expect(ada.page.locator("#curl")).to_contain_text("/api/v1/agent/memory")


def test_everything_kept_about_the_person_is_downloaded(ada: Visitor):
    ada.ask("Plan my weekend")
    ada.open("/settings")

    with ada.page.expect_download() as download:
        ada.page.get_by_role("link", name="Download everything").click()

    with zipfile.ZipFile(download.value.path()) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert b"Plan my weekend" in whole


def test_the_setup_code_makes_an_administrator_once(ada: Visitor, server: PagesServer):
    code = offer_setup_code(server.folder)
    ada.open("/settings")
    panel = ada.page.get_by_role("region", name="Become an administrator")
    panel.get_by_label("Setup code").fill("wrong")
    panel.get_by_label("Setup code").press("Enter")
    expect(panel.get_by_role("alert")).to_contain_text("This setup code is incorrect")

    panel.get_by_label("Setup code").fill(code.lower())
    panel.get_by_label("Setup code").press("Enter")

    expect(ada.page.get_by_text("You are an administrator now.")).to_be_visible()
    expect(panel).to_have_count(0)
    ada.page.get_by_role("link", name="Administration").click()
    expect(ada.page.get_by_role("heading", name="Administration")).to_be_visible()
