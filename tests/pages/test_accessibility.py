"""axe-core finds nothing: every scene, both themes, both languages, and while an answer arrives."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.pages.scenes import LANGUAGES, SCENES, SIZES, THEMES, Look, Scene, Stage
from tests.pages.story.telling import TALKING

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Besides the default rules; breaking `best-practice` rules makes a page hard to read for some.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LOOKS = [
    pytest.param(scene, language, id=f"{scene.name}-{language}")
    for scene in SCENES
    for language in LANGUAGES
]
# What scrolls sideways in its own frame may be wider.
BEYOND_THE_EDGE = """() => [...document.querySelectorAll("main *")]
    .filter(e => e.getClientRects().length && !e.closest(".sr-only, svg"))
    .filter(e => !e.closest(".table-wrap, pre, .chat-tools, .reading table"))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.outerHTML.slice(0, 120))"""
REPLYING = Scene("chat-replying", "/chat", TALKING)


def findings(page: Page) -> list[str]:
    results: dict[str, Any] = Axe().run(page, options=RULES).response
    return [
        f"{violation['id']}: {node['target']} {node['html'][:160]} {node['failureSummary']}"
        for violation in results["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize(("scene", "language"), LOOKS)
def test_axe_finds_nothing_and_nothing_runs_out_of_a_phone(
    stage: Stage, scene: Scene, language: str
):
    with stage.opened(scene, Look("desktop", "light", language)) as page:
        for theme in THEMES:
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            page.wait_for_function("t => document.documentElement.classList.contains(t)", arg=theme)

            assert findings(page) == [], theme

        width, height = SIZES["phone"]
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(BEYOND_THE_EDGE) == []


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_while_an_answer_arrives(stage: Stage, theme: str):
    with stage.opened(REPLYING, Look("desktop", theme, "en")) as page:
        page.locator("#prompt").fill("long 400")
        page.locator("#prompt").press("Enter")
        page.get_by_test_id("live").wait_for()

        assert findings(page) == []

        assert page.get_by_test_id("live").is_visible(), (
            "the answer ended before the end of the look"
        )
        page.get_by_role("button", name="Stop").click()
        page.get_by_test_id("live").wait_for(state="detached")
