"""An unsent draft stays private to its person, in a browser that others use too."""

import pytest
from playwright.sync_api import expect

from tests.pages.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

THOUGHT = "The heron nests behind the boathouse"
KEPT = "JSON.stringify(Object.entries(localStorage))"


@pytest.fixture
def writing(ada: Visitor) -> Visitor:
    """A person with half a message in the field."""
    ada.prompt.fill(THOUGHT)
    ada.page.wait_for_function(f"() => {KEPT}.includes({THOUGHT!r})")
    return ada


def test_a_draft_goes_with_the_sign_out(writing: Visitor):
    writing.page.locator("form[action$='/session/logout'] button").first.click()
    writing.page.wait_for_url("**/login*")

    assert THOUGHT not in writing.page.evaluate(KEPT)


def test_a_draft_of_a_sign_in_that_ended_elsewhere_is_not_the_next_persons(writing: Visitor):
    writing.page.context.clear_cookies()
    writing.email = f"next-{writing.email}"
    writing.sign_up("Anna")

    expect(writing.prompt).to_have_value("")
    writing.page.wait_for_function(f"() => !{KEPT}.includes({THOUGHT!r})")
