"""One server with fakes at the ports for all browser tests, and a person on it."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.install_tools import chromium
from tests.pages.scenes import Stage
from tests.pages.server import PagesServer
from tests.pages.visitor import LAUNCH, Visitor


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagesServer]:
    with PagesServer(tmp_path_factory.mktemp("pages")) as running:
        yield running


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {**LAUNCH, "executable_path": chromium()}


@pytest.fixture
def stranger(page: Page, server: PagesServer) -> Visitor:
    page.set_default_timeout(10_000)
    return Visitor(page, server.url)


@pytest.fixture
def ada(stranger: Visitor) -> Visitor:
    """Somebody who has just signed up and looks at their empty chat."""
    stranger.sign_up()
    return stranger


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagesServer]:
    """A server with weeks of use: see `tests.pages.story`."""
    folder = tmp_path_factory.mktemp("story")
    with PagesServer(folder, pace_seconds=0.02, app="tests.pages.story.server:app") as running:
        yield running


@pytest.fixture(scope="session")
def stage(browser: Browser, told: PagesServer) -> Stage:
    return Stage(browser, told.url)
