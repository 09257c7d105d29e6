"""Signing in, up and out, in a browser."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.seed import mark_as_leaving
from tests.pages.server import PagesServer
from tests.pages.visitor import PASSWORD, Visitor

pytestmark = pytest.mark.browser


def test_a_new_person_lands_in_an_empty_chat_that_teaches(ada: Visitor):
    expect(ada.page.get_by_role("heading", name="This is the beginning")).to_be_visible()


def test_the_sign_in_cookie_is_out_of_reach_of_scripts(ada: Visitor):
    cookie = next(c for c in ada.page.context.cookies() if c.get("name") == "chat_sign_in")

    assert cookie.get("httpOnly")
    assert cookie.get("sameSite") == "Lax"


def test_a_wrong_password_is_told_beside_the_field_and_the_address_is_kept(ada: Visitor):
    ada.page.context.clear_cookies()

    ada.sign_in(password="not the password")

    expect(ada.page.locator("#password-error p:visible")).to_have_text(
        "Incorrect email address or password."
    )
    expect(ada.page.locator("#email")).to_have_value(ada.email)
    expect(ada.page.locator("#password")).to_be_focused()


@pytest.mark.slow
def test_whoever_deletes_their_account_is_told_so_when_they_come_back_too_soon(
    ada: Visitor, server: PagesServer
):
    ada.page.context.clear_cookies()
    mark_as_leaving(server.folder, ada.email)

    ada.sign_in()

    expect(ada.page.get_by_role("alert").filter(visible=True)).to_have_text(
        "Your account is being deleted."
    )


@pytest.mark.slow
def test_a_taken_address_is_told_beside_the_field(ada: Visitor):
    ada.page.context.clear_cookies()

    ada.page.goto(f"{ada.url}/register")
    ada.page.locator("#email").fill(ada.email)
    ada.page.locator("#password").fill("another password")
    ada.page.locator("button[type=submit]").click()

    expect(ada.page.locator("#email-error p:visible")).to_contain_text("already exists")


def test_signing_in_leads_to_the_page_that_was_wanted(ada: Visitor):
    ada.page.context.clear_cookies()

    ada.page.goto(f"{ada.url}/usage")
    ada.page.locator("#email").fill(ada.email)
    ada.page.locator("#password").fill("correct horse battery")
    ada.page.locator("button[type=submit]").click()

    expect(ada.page).to_have_url(f"{ada.url}/usage")


def test_signing_in_works_without_any_script(browser: Browser, server: PagesServer, ada: Visitor):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()

    page.goto(f"{server.url}/login")
    page.locator("#email").fill(ada.email)
    page.locator("#password").fill("correct horse battery")
    page.locator("button[type=submit]").click()

    expect(page).to_have_url(f"{server.url}/chat")
    context.close()


def test_after_signing_out_the_chat_is_closed(ada: Visitor):
    ada.page.get_by_role("button", name="Sign out").click()
    ada.page.goto(f"{ada.url}/chat")

    expect(ada.page).to_have_url(f"{ada.url}/login")


@pytest.mark.slow
def test_a_russian_browser_sees_russian_pages_and_may_choose_english(
    browser: Browser, server: PagesServer
):
    context = browser.new_context(locale="ru-RU")
    page = context.new_page()
    page.goto(f"{server.url}/login")
    expect(page.get_by_role("heading", name="С возвращением")).to_be_visible()

    page.get_by_role("link", name="English").click()

    expect(page.get_by_role("heading", name="Welcome back")).to_be_visible()
    context.close()


@pytest.mark.slow
def test_the_demo_tells_how_to_get_a_real_model(stranger: Visitor):
    stranger.page.goto(f"{stranger.url}/login")

    expect(stranger.page.get_by_role("complementary", name="Demo model")).to_contain_text(
        "GEMINI_API_KEY"
    )


@pytest.mark.slow
def test_an_unknown_address_says_so_in_the_same_dress(stranger: Visitor):
    answer = stranger.page.goto(f"{stranger.url}/nothing-here")

    assert answer
    assert answer.status == 404
    expect(stranger.page.get_by_role("heading", level=1)).to_have_text("Page not found")


@pytest.mark.parametrize(
    ("path", "purposes"),
    [
        ("/login", ["username", "current-password"]),
        ("/register", ["name", "username", "new-password", "off", "off"]),
        ("/reset", ["username", "one-time-code", "new-password"]),
    ],
)
def test_password_managers_are_told_what_each_field_is(
    stranger: Visitor, path: str, purposes: list[str]
):
    stranger.page.goto(f"{stranger.url}{path}")

    fields = stranger.page.locator("form input:not([type=hidden])")
    assert [field.get_attribute("autocomplete") for field in fields.all()] == purposes


@pytest.mark.slow
def test_signing_in_does_not_wait_for_the_socket(ada: Visitor, browser: Browser):
    context = browser.new_context()
    page = context.new_page()
    page.route("**/_event/**", lambda route: route.abort())
    page.route_web_socket("**/_event/**", lambda socket: socket.close())

    page.goto(f"{ada.url}/login")
    page.locator("#email").fill(ada.email)
    page.locator("#password").fill(PASSWORD)
    page.locator("button[type=submit]").click()

    expect(page).to_have_url(f"{ada.url}/chat")
    context.close()


@pytest.mark.slow
def test_a_forgotten_password_leads_to_a_form_that_tells_of_a_wrong_code(ada: Visitor):
    ada.page.context.clear_cookies()
    ada.page.goto(f"{ada.url}/forgot")
    ada.page.locator("#email").fill(ada.email)
    ada.page.locator("button[type=submit]").click()
    expect(ada.page.get_by_role("status")).to_have_text(
        "If this address has an account, we have sent it a code."
    )

    ada.page.locator("#code").fill("123456")
    ada.page.locator("#password").fill("a new long password")
    ada.page.locator("button[type=submit]").click()

    expect(ada.page.locator("#code-error p:visible")).to_contain_text("incorrect or has expired")
    expect(ada.page.locator("#email")).to_have_value(ada.email)


@pytest.mark.slow
def test_a_forgotten_password_is_replaced_with_the_code_from_the_mail(
    ada: Visitor, server: PagesServer
):
    ada.page.context.clear_cookies()
    ada.page.goto(f"{ada.url}/forgot")
    ada.page.locator("#email").fill(ada.email)
    ada.page.locator("button[type=submit]").click()
    ada.page.locator("#code").fill(server.code_mailed_to(ada.email))
    ada.page.locator("#password").fill("a new long password")
    ada.page.locator("button[type=submit]").click()
    expect(ada.page).to_have_url(f"{ada.url}/chat")

    ada.page.context.clear_cookies()
    ada.sign_in()
    expect(ada.page.locator("#password-error p:visible")).to_be_visible()
    ada.sign_in("a new long password")

    expect(ada.page).to_have_url(f"{ada.url}/chat")


@pytest.mark.slow
def test_an_address_is_confirmed_with_the_code_from_the_mail(page: Page, told: PagesServer):
    page.goto(f"{told.url}/confirm?notice=confirmation_required")
    page.locator("#email").fill("new@example.com")
    page.get_by_role("button", name="Send the code again").click()
    expect(page.get_by_role("status")).to_contain_text("we have sent it a code")
    expect(page.locator("#email")).to_have_value("new@example.com")
    page.locator("#code").fill("guess")
    page.get_by_role("button", name="Confirm and sign in").click()
    expect(page.locator("#code-error p:visible")).to_contain_text("incorrect or has expired")

    page.locator("#code").fill("code")
    page.get_by_role("button", name="Confirm and sign in").click()

    expect(page).to_have_url(f"{told.url}/chat")
