"""Administration in a browser."""

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from chat_platform.state.admin import PAGE_ACCOUNTS, PAGE_ENTRIES
from tests.pages.scenes import Look, Scene, Stage
from tests.pages.seed import make_admin, seed_accounts, seed_audit
from tests.pages.server import PagesServer
from tests.pages.story.telling import EMPTY, ROOT
from tests.pages.visitor import PASSWORD, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LOOK = Look("desktop", "light", "en")
PAGE = Scene("admin", "/admin", ROOT)


def account(page: Page, email: str) -> Locator:
    return (
        page.get_by_role("region", name="Accounts").get_by_role("listitem").filter(has_text=email)
    )


def test_accounts_are_found_by_name_or_address(stage: Stage):
    with stage.opened(PAGE, LOOK) as page:
        page.locator("#account-words").fill("lovelace")
        page.locator("#account-words").press("Enter")

        expect(page.get_by_role("region", name="Accounts").get_by_role("listitem")).to_have_count(1)
        expect(account(page, "ada@example.com")).to_contain_text("of $5.00 · every 30 days")


def test_a_changed_budget_is_shown_and_noted(stage: Stage):
    with stage.opened(PAGE, LOOK) as page:
        row = account(page, EMPTY)
        row.get_by_role("button", name="Budget").click()
        row.get_by_label("Limit in US dollars").fill("7.25")
        row.get_by_role("button", name="Save").click()

        expect(row).to_contain_text("$0.00 of $7.25")
        newest = page.get_by_role("region", name="Audit log").get_by_role("listitem").first
        expect(newest).to_contain_text(f"Budget changed: {EMPTY}")
        expect(newest).to_contain_text(ROOT)


def test_an_amount_that_is_none_is_refused_in_words(stage: Stage):
    with stage.opened(PAGE, LOOK) as page:
        row = account(page, EMPTY)
        row.get_by_role("button", name="Budget").click()
        row.get_by_label("Limit in US dollars").fill("a lot")
        row.get_by_role("button", name="Save").click()

        expect(page.get_by_role("alert")).to_contain_text("Use an amount such as 5.00")


def test_a_disabled_account_cannot_sign_in_until_it_is_enabled(stage: Stage):
    with stage.opened(PAGE, LOOK) as page:
        origin = page.url.removesuffix("/admin")
        form: dict[str, str | float | bool] = {"email": EMPTY, "password": PASSWORD}
        account(page, EMPTY).get_by_role("button", name="Disable").click()
        expect(account(page, EMPTY)).to_contain_text("disabled")

        refused = page.context.request.post(
            f"{origin}/api/v1/auth/login", data={"email": EMPTY, "password": PASSWORD}
        )
        account(page, EMPTY).get_by_role("button", name="Enable").click()
        expect(account(page, EMPTY).get_by_role("button", name="Disable")).to_be_visible()
        let_in = page.context.request.post(f"{origin}/api/v1/auth/login", data=form)

        assert (refused.status, let_in.status) == (403, 200)


@pytest.fixture
def admin(ada: Visitor, server: PagesServer) -> Visitor:
    make_admin(server.folder, ada.email)
    return ada


def test_more_accounts_are_shown_below_the_first(admin: Visitor, server: PagesServer):
    names = [f"crowd-{n}" for n in range(PAGE_ACCOUNTS + 5)]
    seed_accounts(server.folder, admin.email, names=names)
    admin.open("/admin")
    accounts = admin.page.get_by_role("region", name="Accounts")
    accounts.locator("#account-words").fill("crowd-")
    accounts.locator("#account-words").press("Enter")
    expect(accounts.get_by_role("listitem")).to_have_count(PAGE_ACCOUNTS)

    accounts.get_by_role("button", name="Show more").click()

    shown = accounts.get_by_role("listitem")
    expect(shown).to_have_count(len(names))
    addresses = shown.locator("strong").all_inner_texts()
    assert addresses == [f"{name}@example.com" for name in reversed(names)]
    expect(accounts.get_by_role("button", name="Show more")).to_have_count(0)


def test_older_entries_are_shown_below_the_newest(admin: Visitor, server: PagesServer):
    actions = [f"entry-{n}" for n in range(PAGE_ENTRIES + 5)]
    seed_audit(server.folder, admin.email, actions=actions)
    admin.open("/admin")
    log = admin.page.get_by_role("region", name="Audit log")
    expect(log.get_by_role("listitem")).to_have_count(PAGE_ENTRIES)
    expect(log.get_by_text("entry-0", exact=True)).to_have_count(0)

    log.get_by_role("button", name="Show more").click()

    expect(log.get_by_text("entry-0", exact=True)).to_be_visible()
    shown = log.get_by_role("listitem").locator("span").all_inner_texts()
    assert [text for text in shown if text.startswith("entry-")] == actions[::-1]


def test_an_invitation_is_made_its_link_works_once_and_another_is_revoked(
    admin: Visitor, browser: Browser
):
    admin.open("/admin")
    panel = admin.page.get_by_role("region", name="Invitations")
    panel.get_by_label("Only for this address").fill("carol@example.com")
    panel.get_by_label("Budget in US dollars").fill("7.50")
    panel.get_by_label("Budget in US dollars").press("Enter")
    rows = panel.get_by_role("listitem")
    expect(rows.first).to_contain_text("carol@example.com")
    expect(rows.first).to_contain_text("budget $7.50 · expires on")
    link = panel.locator("#new-link").inner_text()
    expect(panel.get_by_label("Budget in US dollars")).to_have_value("")

    elsewhere = browser.new_context()
    carol = elsewhere.new_page()
    carol.goto(link)
    expect(carol.locator("#invitation")).to_have_value(link.partition("invitation=")[2])
    carol.locator("#email").fill("carol@example.com")
    carol.locator("#password").fill(PASSWORD)
    carol.locator("button[type=submit]").click()
    carol.wait_for_url("**/chat")
    elsewhere.close()
    admin.open("/admin")
    expect(rows.first).to_contain_text("used on")
    expect(rows.first.get_by_role("button")).to_have_count(0)

    panel.get_by_role("button", name="Create an invitation").click()
    expect(rows.first).to_contain_text("Anyone with the link")
    rows.first.get_by_role("button", name="Revoke").click()

    expect(rows.first).to_contain_text("revoked on")
    newest = admin.page.get_by_role("region", name="Audit log").get_by_role("listitem").first
    expect(newest).to_contain_text("Invitation revoked")


def test_the_link_of_an_invitation_is_copied(admin: Visitor):
    admin.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    admin.open("/admin")
    panel = admin.page.get_by_role("region", name="Invitations")
    panel.get_by_role("button", name="Create an invitation").click()

    panel.get_by_role("button", name="Copy the link").click()

    link = panel.locator("#new-link").inner_text()
    assert admin.page.evaluate("navigator.clipboard.readText()") == link


def test_what_is_wrong_with_an_invitation_is_told_beside_its_field(admin: Visitor):
    admin.open("/admin")
    panel = admin.page.get_by_role("region", name="Invitations")
    panel.get_by_label("Budget in US dollars").fill("a lot")

    panel.get_by_role("button", name="Create an invitation").click()

    problem = panel.locator("#invitation-budget-error")
    expect(problem).to_have_text("Use an amount such as 5.00, or leave it empty.")
    expect(panel.get_by_label("Budget in US dollars")).to_have_attribute("aria-invalid", "true")
    expect(panel.get_by_label("Budget in US dollars")).to_have_value("a lot")
