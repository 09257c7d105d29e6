"""`python -m tests.pages.screenshots [word ...]`: pictures of every scene, or of the named ones.

Everything goes to docs/screenshots/: one picture for each look, and a contact sheet for each scene.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.install_tools import chromium
from tests.pages.scenes import LOOKS, SCENES, SIZES, Scene, Stage
from tests.pages.server import ROOT, PagesServer
from tests.pages.visitor import LAUNCH

FOLDER = ROOT / "docs" / "screenshots"
COLOURS = 128
LONGEST_PIXELS = 4000
_SHEET_HEIGHT = 420
_SHEET_GAP = 12


def main(words: list[str]) -> None:
    scenes = [s for s in SCENES if not words or any(word in s.name for word in words)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        PagesServer(Path(data), app="tests.pages.story.server:app") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(args=LAUNCH["args"], executable_path=chromium())
        stage = Stage(browser, server.url)
        for scene in scenes:
            _take(stage, scene)
            print(scene.name, flush=True)
        browser.close()


def _take(stage: Stage, scene: Scene) -> None:
    pictures = []
    for look in LOOKS:
        with stage.opened(scene, look) as page:
            picture = _picture(page, scene)
        _save(picture, f"{scene.name}-{look}.png")
        pictures.append(picture)
    _save(_sheet(pictures), f"sheet-{scene.name}.png")


def _picture(page: Page, scene: Scene) -> Image.Image:
    if scene.is_long:
        _show_whole(page)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def _show_whole(page: Page) -> None:
    """Make the window as high as the page, which scrolls inside its frame."""
    hidden = page.evaluate("(m => m.scrollHeight - m.clientHeight)(document.querySelector('main'))")
    size = page.viewport_size or {"width": SIZES["desktop"][0], "height": SIZES["desktop"][1]}
    height = min(size["height"] + hidden, LONGEST_PIXELS)
    page.set_viewport_size({"width": size["width"], "height": height})
    page.wait_for_timeout(100)


def _save(picture: Image.Image, name: str) -> None:
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)


def _sheet(pictures: list[Image.Image]) -> Image.Image:
    """Put the looks of a scene side by side."""
    small = [_at_height(picture, _SHEET_HEIGHT) for picture in pictures]
    width = sum(picture.width for picture in small) + _SHEET_GAP * (len(small) + 1)
    sheet = Image.new("RGB", (width, _SHEET_HEIGHT + 2 * _SHEET_GAP), "#8a8a8a")
    x = _SHEET_GAP
    for picture in small:
        sheet.paste(picture, (x, _SHEET_GAP))
        x += picture.width + _SHEET_GAP
    return sheet


def _at_height(picture: Image.Image, height: int) -> Image.Image:
    width = max(1, round(picture.width * height / picture.height))
    return picture.resize((width, height), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main(sys.argv[1:])
