"""Signing up, in and out, and a forgotten password, on the whole platform."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.platform import Platform
from tests.pages.visitor import PASSWORD, Visitor

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(300)]


def fill_in(visitor: Visitor, **fields: str) -> None:
    for name, value in fields.items():
        visitor.page.locator(f"#{name}").fill(value)
    visitor.page.locator("button[type=submit]").click()


def told_at(visitor: Visitor, field: str):
    return visitor.page.locator(f"#{field}-error p:visible")


def test_errors_stand_beside_their_field_until_all_is_right(stranger: Visitor):
    stranger.page.goto(f"{stranger.url}/register")
    fill_in(stranger, name="Ada", email="ada@nowhere", password=PASSWORD)
    expect(told_at(stranger, "email")).to_contain_text("Enter an email address")
    fill_in(stranger, email=stranger.email, password="far too long " * 80)
    expect(told_at(stranger, "password")).to_have_text(
        re.compile("Choose a password of at least 8 characters")
    )

    fill_in(stranger, name="Ada", email=stranger.email, password=PASSWORD)

    expect(stranger.page.get_by_role("heading", name="This is the beginning")).to_be_visible()
    expect(stranger.page.get_by_test_id("who")).to_have_text("Ada")


def test_a_known_address_cannot_sign_up_again_nor_in_with_a_wrong_password(ada: Visitor):
    ada.page.get_by_role("button", name="Sign out").click()
    expect(ada.page.get_by_role("status")).to_have_text("You are signed out.")
    ada.page.goto(f"{ada.url}/register")
    fill_in(ada, email=ada.email, password="another password")
    expect(told_at(ada, "email")).to_contain_text("An account with this address already exists")

    ada.sign_in("another password")
    expect(told_at(ada, "password")).to_have_text("Incorrect email address or password.")
    fill_in(ada, password=PASSWORD)

    expect(ada.page).to_have_url(f"{ada.url}/chat")


def test_signing_out_ends_the_sign_in(ada: Visitor):
    ada.page.get_by_role("button", name="Sign out").click()
    ada.page.wait_for_url("**/login*")

    ada.page.goto(f"{ada.url}/chat")

    expect(ada.page).to_have_url(re.compile("/login"))


def test_a_forgotten_password_gives_way_to_a_new_one_for_the_operators_code(
    ada: Visitor, platform: Platform
):
    ada.page.context.clear_cookies()
    ada.page.goto(f"{ada.url}/forgot")
    fill_in(ada, email=ada.email)
    expect(ada.page.get_by_role("status")).to_contain_text("Ask your administrator for a code")
    fill_in(ada, code="guess", password="a quite new password")
    expect(told_at(ada, "code")).to_contain_text("incorrect or has expired")

    code = platform.run("reset-code", ada.email).splitlines()[0]
    fill_in(ada, code=code, password="a quite new password")

    expect(ada.page).to_have_url(f"{ada.url}/chat")
    ada.page.context.clear_cookies()
    ada.sign_in(PASSWORD)
    expect(told_at(ada, "password")).to_have_text("Incorrect email address or password.")
    ada.sign_in("a quite new password")
    expect(ada.page).to_have_url(f"{ada.url}/chat")
