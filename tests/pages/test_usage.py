"""The usage page after weeks of use: the lists, the chart, the table and the periods agree."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.pages.scenes import FULL, Look, Scene, Stage
from tests.pages.story.telling import EMPTY, UNLUCKY

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LOOK = Look("desktop", "light", "en")
PAGE = Scene("usage", "/usage", FULL)


def dollars(text: str) -> Decimal:
    return Decimal(text.replace("$", "").replace(",", ""))


def added_up(amounts: Locator) -> Decimal:
    return sum((dollars(text) for text in amounts.all_inner_texts()), Decimal(0))


def total(page: Page) -> Decimal:
    return dollars(page.locator(".total").inner_text())


def section(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title)


def test_the_chart_has_the_numbers_of_its_table(stage: Stage):
    with stage.opened(PAGE, LOOK) as page:
        page.get_by_text("View as a table").click()
        bars = [bar.get_attribute("title") for bar in page.locator(".bar-place").all()]
        rows = section(page, "By day").locator("tbody tr")
        days = [
            f"{row.locator('th').inner_text()}: {row.locator('td').last.inner_text()}"
            for row in rows.all()
        ]

        assert bars == days
        assert added_up(rows.locator("td:last-child")) == total(page)


@pytest.mark.parametrize("title", ["By model", "By purpose"])
def test_every_list_adds_up_to_the_total(stage: Stage, title: str):
    with stage.opened(PAGE, LOOK) as page:
        costs = section(page, title).locator("tbody td:last-child")

        assert added_up(costs) == total(page)


def test_the_most_expensive_messages_and_the_rest_add_up_to_the_total(stage: Stage):
    with stage.opened(PAGE, LOOK) as page:
        listed = section(page, "Most expensive messages")

        expect(listed.locator("li").last).to_contain_text("Not tied to a message")
        assert added_up(listed.locator(".number")) == total(page)


def test_a_dear_message_is_named_by_its_words_and_leads_to_it(stage: Stage):
    with stage.opened(PAGE, LOOK) as page:
        page.get_by_role("link", name="Plan a weekend by train").click()

        expect(page.locator(".row.is-marked")).to_contain_text("Plan a weekend by train")


def test_what_was_spent_is_told_with_what_is_left_and_the_day_it_renews(stage: Stage):
    with stage.opened(PAGE, LOOK) as page:
        spent, left, limit = (
            dollars(page.get_by_test_id(name).inner_text()) for name in ("spent", "left", "limit")
        )

        assert spent == total(page)
        assert spent + left == limit
        expect(page.get_by_test_id("renews")).to_contain_text("in 3 days")


def test_another_period_shows_its_own_days(stage: Stage):
    with stage.opened(PAGE, LOOK) as page:
        page.get_by_text("7 days", exact=True).click()

        expect(page.locator(".bar-place")).to_have_count(7)


def test_a_spent_budget_says_so(stage: Stage):
    with stage.opened(Scene("spent", "/usage", UNLUCKY), LOOK) as page:
        expect(page.get_by_text("Your budget is spent")).to_be_visible()
        expect(page.locator(".gauge.spent")).to_be_visible()


def test_without_any_use_the_page_tells_what_will_stand_there(stage: Stage):
    with stage.opened(Scene("empty", "/usage", EMPTY), LOOK) as page:
        page.get_by_role("link", name="Message your agent").click()

        expect(page).to_have_url(re.compile(r"/chat$"))


def test_russian_people_see_russian_numbers_and_days(stage: Stage):
    with stage.opened(PAGE, Look("desktop", "light", "ru")) as page:
        expect(page.get_by_test_id("limit")).to_have_text("5,00\xa0$")
        expect(page.get_by_test_id("renews")).to_contain_text("через 3 дня")
