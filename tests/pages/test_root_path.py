"""All pages under `/myai` of a host, in a browser, behind a proxy."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.pages.path_proxy import PathProxy, path_proxy
from tests.pages.server import ROOT, PagesServer
from tests.pages.visitor import Visitor

# The pages are built for this path, which takes as long as a first build.
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT_PATH = "/myai"
PROJECT = (
    *("alembic", "assets", "chat_platform", "reflex.lock", "tests"),
    *("alembic.ini", "pyproject.toml", "requirements.txt", "rxconfig.py"),
)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PathProxy]:
    project = tmp_path_factory.mktemp("project")
    copy_project(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROOT_PATH", ROOT_PATH)
        folder = tmp_path_factory.mktemp("data")
        with (
            PagesServer(folder, root=project) as server,
            path_proxy(ROOT_PATH, server.port) as proxy,
        ):
            yield proxy


def copy_project(to: Path) -> None:
    """Copy what a build needs, so that this checkout's pages stay unchanged."""
    for name in PROJECT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, to / name)
    if (ROOT / ".web" / "node_modules").is_dir():
        modules = Path(".web") / "node_modules"
        shutil.copytree(ROOT / modules, to / modules, copy_function=os.link, symlinks=True)


def test_everything_works_under_a_path_and_nothing_is_asked_for_outside(
    page: Page, behind: PathProxy
):
    page.set_default_timeout(20_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    ada = Visitor(page, behind.url)

    page.goto(behind.url)
    page.wait_for_url(f"{behind.url}/login")
    ada.sign_up()
    expect(ada.ask("Plan my weekend")).to_contain_text("Saturday")
    page.get_by_role("link", name="Memory").click()
    page.wait_for_url(f"{behind.url}/memory")
    page.get_by_text("The human block.").wait_for()
    page.keyboard.press("3")
    page.wait_for_url(f"{behind.url}/usage")
    page.reload()
    ada.wait_until_live()
    page.goto(f"{behind.url}/chat")
    expect(ada.answers).to_have_count(1)
    page.locator("form[action$='/session/logout'] button").first.click()
    page.wait_for_url(f"{behind.url}/login?notice=signed_out")
    ada.sign_in(password="a wrong guess")
    page.wait_for_url(f"{behind.url}/login?error=invalid_credentials")
    ada.sign_in()
    page.wait_for_url(f"{behind.url}/chat")

    assert behind.strays == []
    assert errors == []
    assert page.request.get(f"{behind.url}/assets/none.js").status == 404
