"""Who uses this tab: read from the database at every event, never believed from a field."""

from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx
import structlog

from chat_platform.context import app_context
from chat_platform.errors import NotSignedIn, PlatformError
from chat_platform.models import Account
from chat_platform.sign_in import Caller, caller_from_cookie
from chat_platform.web.i18n import LANGUAGES, Words, words_in
from chat_platform.web.problem_words import error_words, problem_words
from chat_platform.web.visitor import language_of_visitor, zone_of_visitor

log = structlog.get_logger()

MAX_CRASH_CHARACTERS = 1000


class AccountState(rx.State):
    """The signed-in person, for the frame of every page."""

    account_id: str = ""
    name: str = ""
    email: str = ""
    is_admin: bool = False
    language: str = ""
    theme: str = ""
    notice: str = ""
    notice_kind: str = ""
    notice_number: int = 0

    @rx.event
    async def load(self) -> Any:
        """Show who is signed in; another account in the same tab starts from nothing."""
        caller = await self._find_caller()
        if caller is None:
            self.reset()
            return rx.redirect("/login")
        account = caller.account
        if self.account_id not in ("", account.id):
            await self._forget_everything()
        self.account_id = account.id
        self.name = account.name or account.email.partition("@")[0]
        self.email = account.email
        self.is_admin = account.role == "admin"
        self.theme = account.theme
        self.language = self._language_of(account)
        return None

    @rx.event
    def dismiss_notice(self) -> None:
        self.notice = ""

    @rx.event
    def show_problem(self, code: str, message: str) -> None:
        """Tell of a failure; `message` is shown where the code is unknown."""
        self._tell(problem_words(self._words(), code, message), "problem")

    @rx.event
    async def report_crash(self, error: str) -> None:
        """Log that a page broke in the browser, for whoever runs the platform."""
        await self._account()
        log.warning("page.crashed", error=str(error)[:MAX_CRASH_CHARACTERS])

    async def _find_caller(self) -> Caller | None:
        return await caller_from_cookie(app_context(), self.router.headers.cookie)

    async def _caller(self) -> Caller:
        """Return who is signed in now. Raises NotSignedIn: every handler asks anew."""
        caller = await self._find_caller()
        if caller is None:
            raise NotSignedIn("Sign in first.")
        return caller

    async def _account(self) -> Account:
        return (await self._caller()).account

    async def _forget_everything(self) -> None:
        root = await self.get_state(rx.State)
        root.reset()

    def _language_of(self, account: Account) -> str:
        if account.language in LANGUAGES:
            return account.language
        headers = self.router.headers
        return language_of_visitor(headers.cookie, headers.accept_language)

    def _words(self) -> Words:
        return words_in(self.language)

    def _zone(self) -> ZoneInfo:
        return zone_of_visitor(self.router.headers.cookie)

    def _why(self, error: PlatformError) -> str:
        """Say what went wrong in the person's language."""
        return error_words(self._words(), self._zone(), error)

    def _tell(self, text: str, kind: str = "done") -> None:
        """Show one line at the foot of the page for a while."""
        self.notice, self.notice_kind = text, kind
        self.notice_number += 1
