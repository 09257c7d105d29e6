"""What an operator watches, in a browser."""

from decimal import Decimal

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.pages.scenes import Look, Scene, Stage
from tests.pages.seed import make_admin
from tests.pages.server import PagesServer
from tests.pages.story.telling import EMPTY, ROOT
from tests.pages.visitor import Visitor

pytestmark = pytest.mark.browser
LOOK = Look("desktop", "light", "en")
PAGE = Scene("operations", "/operations", ROOT)


def region(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def figure(page: Page, title: str, name: str) -> Locator:
    """Return the figure with this name in the panel with this title."""
    named = region(page, title).locator("dl > div").filter(has_text=name)
    return named.locator("dd")


def dollars(text: str) -> Decimal:
    return Decimal(text.splitlines()[0].replace("$", "").replace(",", ""))


def test_an_administrator_sees_what_has_happened_since(ada: Visitor, server: PagesServer):
    make_admin(server.folder, ada.email)
    ada.open("/operations")
    expect(figure(ada.page, "Answers in the last 7 days", "Finished")).to_be_visible()
    before = int(figure(ada.page, "Answers in the last 7 days", "Finished").inner_text())
    ada.open("/chat")
    ada.ask("Hello")

    ada.open("/operations")

    now = figure(ada.page, "Answers in the last 7 days", "Finished")
    expect(now).to_have_text(str(before + 1))
    expect(region(ada.page, "Parts").get_by_role("listitem")).to_have_count(4)
    expect(region(ada.page, "Parts")).not_to_contain_text("Not available")


@pytest.mark.slow
def test_models_add_up_to_the_months_spending(stage: Stage):
    with stage.opened(PAGE, LOOK) as page:
        month = dollars(figure(page, "Spending", "This month").inner_text())
        models = region(page, "Spending").locator("h3:has-text('By model') + ul li > .number")
        costs = [dollars(text) for text in models.all_inner_texts()]

        assert costs == sorted(costs, reverse=True)
        assert sum(costs, Decimal(0)) == month > 0


@pytest.mark.slow
def test_a_refresh_is_reached_by_keyboard_and_shows_what_is_new(
    ada: Visitor, server: PagesServer, stranger: Visitor
):
    make_admin(server.folder, ada.email)
    ada.open("/operations")
    accounts = figure(ada.page, "People", "Accounts")
    before = int(accounts.inner_text())
    elsewhere = ada.page.context.browser
    assert elsewhere
    other = Visitor(elsewhere.new_context().new_page(), server.url)
    other.sign_up("Another")

    ada.page.get_by_role("button", name="Refresh").press("Enter")

    expect(accounts).to_have_text(str(before + 1))
    expect(region(ada.page, "People").get_by_role("listitem").first).to_contain_text(other.email)
    other.page.context.close()


@pytest.mark.slow
def test_the_administration_page_leads_there_and_back(stage: Stage):
    with stage.opened(Scene("admin", "/admin", ROOT), LOOK) as page:
        page.get_by_role("link", name="Operations").click()
        expect(page.get_by_role("heading", name="Operations", level=1)).to_be_visible()
        expect(page).to_have_title("Operations · AI Chat Platform")

        page.get_by_role("link", name="Accounts, invitations and audit log").click()

        expect(page.get_by_role("heading", name="Administration", level=1)).to_be_visible()


@pytest.mark.slow
def test_to_others_the_page_does_not_exist(stage: Stage):
    with stage.opened(Scene("chat", "/chat", EMPTY), LOOK) as page:
        page.goto(page.url.replace("/chat", "/operations"))

        page.wait_for_url("**/404")
        expect(region(page, "Spending")).to_have_count(0)
