"""Administration in a browser."""

import pytest
from playwright.sync_api import Locator, Page, expect

from chat_platform.state.admin import PAGE_ACCOUNTS, PAGE_ENTRIES
from tests.pages.scenes import Look, Scene, Stage
from tests.pages.seed import make_admin, seed_accounts, seed_audit
from tests.pages.server import PagesServer
from tests.pages.story.telling import EMPTY, ROOT
from tests.pages.visitor import PASSWORD, Visitor

pytestmark = pytest.mark.browser
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
        newest = page.get_by_role("region", name="What happened").get_by_role("listitem").first
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
    log = admin.page.get_by_role("region", name="What happened")
    expect(log.get_by_role("listitem")).to_have_count(PAGE_ENTRIES)
    expect(log.get_by_text("entry-0", exact=True)).to_have_count(0)

    log.get_by_role("button", name="Show more").click()

    expect(log.get_by_text("entry-0", exact=True)).to_be_visible()
    shown = log.get_by_role("listitem").locator("span").all_inner_texts()
    assert [text for text in shown if text.startswith("entry-")] == actions[::-1]
