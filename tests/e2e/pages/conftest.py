"""A person in a real browser, with the whole embedded platform behind the pages."""

import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages.behind import Behind
from tests.e2e.platform import Platform
from tests.install_tools import chromium
from tests.pages.visitor import LAUNCH, Visitor


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {**LAUNCH, "executable_path": chromium()}


@pytest.fixture
def stranger(page: Page, platform: Platform) -> Visitor:
    expect.set_options(timeout=30_000)
    visitor = Visitor(page, platform.url)
    # A platform that was not started for this run has seen earlier ones.
    visitor.email = f"browser{time.monotonic_ns()}-{visitor.email}"
    return visitor


@pytest.fixture
def ada(stranger: Visitor) -> Visitor:
    """Somebody who has just signed up and looks at their empty chat."""
    stranger.sign_up("Ada")
    return stranger


@pytest.fixture
def behind(platform: Platform, ada: Visitor) -> Behind:
    """What the platform stores about Ada, independent of the pages."""
    return Behind(platform, ada.email)
