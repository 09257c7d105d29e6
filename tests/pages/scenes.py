"""Every page in every state, for the screenshots and for axe."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page

from tests.pages.story.telling import EMPTY, ROOT, UNLUCKY
from tests.pages.story.texts import BY_LANGUAGE
from tests.pages.visitor import PASSWORD

# Present once the socket has filled the page.
_FILLED = {
    "/chat": "[data-loaded=true]",
    "/memory": "[data-block], main [role=alert]",
    "/usage": "[data-testid=spent]:not(:empty)",
    "/settings": ".rows li",
    "/admin": ".rows li",
    "/operations": ".watched li",
}
Act = Callable[[Page], None]
SIZES = {"desktop": (1280, 800), "phone": (360, 740)}
THEMES = ("light", "dark")
LANGUAGES = tuple(BY_LANGUAGE)
FULL = "full"
"""A placeholder for the person of the story who speaks the page's language."""


@dataclass(frozen=True)
class Look:
    """How somebody sees the pages."""

    size: str
    theme: str
    language: str

    def __str__(self) -> str:
        return f"{self.size}-{self.theme}-{self.language}"


LOOKS = [Look(*parts) for parts in product(SIZES, THEMES, LANGUAGES)]


@dataclass(frozen=True)
class Scene:
    name: str
    path: str
    person: str = ""
    """Their address, `FULL`, or empty for a stranger."""
    act: Act = lambda page: None
    is_long: bool = False
    """Shown at full height, not as it opens."""

    def email(self, language: str) -> str:
        return BY_LANGUAGE[language].email if self.person == FULL else self.person


class Stage:
    """Opens scenes on a server of `tests.pages.story.server`; signs everybody in once."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url
        self._cookies: dict[str, list] = {}

    @contextmanager
    def opened(self, scene: Scene, look: Look) -> Iterator[Page]:
        """Yield the page when everything that the scene needs has happened."""
        with self._context(scene.email(look.language), look) as context:
            page = context.new_page()
            page.set_default_timeout(15_000)
            page.goto(f"{self._url}{scene.path}")
            settle(page)
            scene.act(page)
            settle(page)
            yield page

    @contextmanager
    def _context(self, email: str, look: Look) -> Iterator[BrowserContext]:
        width, height = SIZES[look.size]
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            locale={"en": "en-US", "ru": "ru-RU"}[look.language],
            timezone_id="Europe/Rome",
            color_scheme="dark" if look.theme == "dark" else "light",
            reduced_motion="reduce",
        )
        if email:
            self._sign_in(context, email)
        yield context
        context.close()

    def _sign_in(self, context: BrowserContext, email: str) -> None:
        context.add_cookies(self._cookies.get(email, []))
        # Another test may have ended the sign-in: by disabling the account, for example.
        if not context.request.get(f"{self._url}/api/v1/user").ok:
            form: dict[str, str | float | bool] = {"email": email, "password": PASSWORD}
            context.request.post(f"{self._url}/api/v1/session/login", form=form, max_redirects=0)
            self._cookies[email] = context.cookies()


def settle(page: Page) -> None:
    """Wait until the server has filled the page; strangers' pages need no waiting."""
    if page.locator(".rail").count():
        page.get_by_test_id("who").filter(has_text=re.compile(r"\S")).wait_for(state="attached")
        page.locator(_FILLED[urlsplit(page.url).path]).first.wait_for(state="attached")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(100)


def _press(name_in_both: str) -> Act:
    """Press the first button with one of the names, written `English|Русский`."""
    name = re.compile(f"^({name_in_both})")
    return lambda page: page.get_by_role("button", name=name).first.click()


def _then(*acts: Act) -> Act:
    def act(page: Page) -> None:
        for one in acts:
            one(page)

    return act


def _with(query: str) -> Act:
    """Open the same page with something added to its URL."""

    def act(page: Page) -> None:
        page.goto(f"{page.url}?{query}")

    return act


def _fill(selector: str, text: str) -> Act:
    return lambda page: page.locator(selector).fill(text)


def _click(selector: str) -> Act:
    return lambda page: page.locator(selector).first.click()


def _conflict(page: Page) -> None:
    """Edit a block while another tab saves it; the story's text is restored afterwards."""
    block = page.locator("[data-block=human]")
    was = block.locator("[data-value]").inner_text()
    block.locator(".actions button").first.click()
    other = page.context.new_page()
    other.goto(page.url)
    settle(other)
    _rewrite(other, was + " ")
    block.locator("textarea").fill(was.replace("\n", "\n- "))
    block.locator("button[type=submit]").click()
    block.locator(".conflict").wait_for()
    _rewrite(other, was)
    other.close()


def _rewrite(page: Page, text: str) -> None:
    block = page.locator("[data-block=human]")
    block.locator(".actions button").first.click()
    block.locator("textarea").fill(text)
    block.locator("button[type=submit]").click()
    block.locator("[data-value]").wait_for()


def _make_token(page: Page) -> None:
    page.locator("#token-name").fill("notebook")
    page.locator("[name=scope-chat]").check()
    page.locator("form:has(#token-name) [type=submit]").click()
    page.locator("#new-token").wait_for()


def _find(words: str) -> Act:
    def act(page: Page) -> None:
        page.locator("#account-words").fill(words)
        page.locator("#account-words").press("Enter")
        page.locator(".nothing-yet").first.wait_for()

    return act


def _invite(page: Page) -> None:
    page.locator("form:has(#invitation-budget) [type=submit]").click()
    page.locator("#new-link").wait_for()
    page.locator("#invitation-budget").fill("a lot")
    page.locator("#invitation-budget").press("Enter")
    page.locator("#invitation-budget-error [role=alert]").wait_for()


def _bad_budget(page: Page) -> None:
    page.locator(".rows .actions button").first.click()
    page.locator("[name=limit]").fill("a lot")
    page.locator("[name=limit]").press("Enter")
    page.get_by_role("alert").wait_for()


SCENES = [
    Scene("login", "/login"),
    Scene("login-failing", "/login?error=invalid_credentials"),
    Scene("register", "/register"),
    Scene("register-failing", "/register?error=email_taken"),
    Scene("register-invited", "/register", act=_with("invitation=K7PX-2MQA-9TRD-4WHC-6NBE")),
    Scene("register-refused", "/register", act=_with("error=invitation_needed")),
    Scene(
        "register-setup",
        "/register",
        act=_then(_with("error=wrong_setup_code"), _fill("#password", "password")),
    ),
    Scene("confirm", "/confirm?notice=confirmation_required"),
    Scene("confirm-failing", "/confirm?error=invalid_code"),
    Scene("forgot", "/forgot"),
    Scene("reset", "/reset?notice=code_sent"),
    Scene("reset-failing", "/reset?error=invalid_code"),
    Scene("missing", "/nothing-here"),
    Scene("error", "/error"),
    Scene("chat-empty", "/chat", EMPTY),
    Scene("chat-full", "/chat", FULL),
    Scene("chat-receipt", "/chat", FULL, _click("[data-testid=receipt] >> nth=-1")),
    Scene("chat-failing", "/chat", UNLUCKY),
    Scene("shortcuts", "/chat", FULL, lambda page: page.keyboard.press("?")),
    Scene("memory-glance", "/memory", FULL, _press("History|История")),
    Scene("usage-glance", "/usage", FULL),
    Scene("memory-empty", "/memory", EMPTY, is_long=True),
    Scene("memory-full", "/memory", FULL, is_long=True),
    Scene("memory-editing", "/memory", FULL, _press("Edit|Изменить"), is_long=True),
    Scene("memory-history", "/memory", FULL, _press("History|История"), is_long=True),
    Scene("memory-conflict", "/memory", FULL, _conflict, is_long=True),
    Scene("memory-failing", "/memory", UNLUCKY, is_long=True),
    Scene("usage-empty", "/usage", EMPTY, is_long=True),
    Scene("usage-full", "/usage", FULL, _click("summary"), is_long=True),
    Scene("usage-failing", "/usage", UNLUCKY, is_long=True),
    Scene("settings-empty", "/settings", EMPTY, is_long=True),
    Scene("settings-full", "/settings", FULL, is_long=True),
    Scene("settings-token", "/settings", FULL, _make_token, is_long=True),
    Scene(
        "settings-failing",
        "/settings",
        EMPTY,
        _then(
            _press("Create|Создать"),
            _fill("#current", "wrong"),
            _fill("#new", "long enough"),
            _press("Change|Сменить|Изменить"),
        ),
        is_long=True,
    ),
    Scene("admin-full", "/admin", ROOT, is_long=True),
    Scene("admin-invitation", "/admin", ROOT, _invite, is_long=True),
    Scene("admin-empty", "/admin", ROOT, _find("nobody"), is_long=True),
    Scene("admin-failing", "/admin", ROOT, _bad_budget, is_long=True),
    Scene("operations", "/operations", ROOT, is_long=True),
]
