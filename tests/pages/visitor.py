"""A person in a browser: signs up, writes, reads answers."""

from itertools import count

from playwright.sync_api import Locator, Page

PASSWORD = "correct horse battery"
LAUNCH = {
    "args": [
        *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync"),
    ]
}
_numbers = count(1)


class Visitor:
    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.email = f"person{next(_numbers)}@example.com"

    def sign_up(self, name: str = "Ada") -> None:
        self.page.goto(f"{self.url}/register")
        self.page.locator("#name").fill(name)
        self.page.locator("#email").fill(self.email)
        self.page.locator("#password").fill(PASSWORD)
        self.page.locator("button[type=submit]").click()
        self.page.wait_for_url("**/chat")
        self.wait_until_live()

    def sign_in(self, password: str = PASSWORD) -> None:
        self.page.goto(f"{self.url}/login")
        self.page.locator("#email").fill(self.email)
        self.page.locator("#password").fill(password)
        self.page.locator("button[type=submit]").click()

    def open(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")
        self.wait_until_live()

    def wait_until_live(self) -> None:
        """The socket is connected once the server has sent the person's name."""
        self.page.get_by_test_id("who").get_by_text("A").wait_for(state="attached")

    @property
    def prompt(self) -> Locator:
        return self.page.locator("#prompt")

    @property
    def live(self) -> Locator:
        return self.page.get_by_test_id("live")

    @property
    def answers(self) -> Locator:
        return self.page.locator(".messages .by-agent")

    @property
    def questions(self) -> Locator:
        return self.page.locator(".messages .by-person")

    def send(self, text: str) -> None:
        self.prompt.fill(text)
        self.prompt.press("Enter")

    def ask(self, text: str) -> Locator:
        """Send, wait for the whole answer, and return it."""
        before = self.answers.count()
        self.send(text)
        answer = self.answers.nth(before)
        answer.wait_for(timeout=30_000)
        return answer
