"""Who uses this tab: read from the database at every event, never trusted from a field."""

from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx
import structlog
from pydantic import TypeAdapter

from chat_platform.accounts.limits import counts_as
from chat_platform.accounts.sign_in import Caller, caller_from_cookie
from chat_platform.context import app_context
from chat_platform.errors import NotSignedIn, PlatformError, Value, internal_error
from chat_platform.models import Account
from chat_platform.process.rate_limits import CHANGES_OF_ACCOUNT
from chat_platform.values.languages import is_language
from chat_platform.values.network_addresses import counted_as
from chat_platform.web.error_words import error_words, message_words
from chat_platform.web.i18n import Words, words_in
from chat_platform.web.visitor import language_of_visitor, zone_of_visitor

log = structlog.get_logger()

MAX_CRASH_CHARACTERS = 1000
_VALUES = TypeAdapter(dict[str, Value])
NOBODY = "nobody"
"""The owner of a tab in which nobody is signed in; a new tab has no owner at all."""


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
    is_asleep: bool = False
    """True in a paused tab, when the person has too many open."""
    _owner: str = ""
    """The account for which all states of the tab were filled; set only by `tab_owners.py`."""

    @rx.event
    async def load(self) -> Any:
        """Show who is signed in."""
        caller = await self._find_caller()
        if caller is None:
            return rx.redirect("/login")
        account = caller.account
        self.account_id, self.is_asleep = account.id, False
        self.name = account.name or account.email.partition("@")[0]
        self.email = account.email
        self.is_admin = account.role == "admin"
        self.theme = account.theme
        self.language = self._language_of(account)
        return None

    @rx.event
    async def fall_asleep(self) -> None:
        """Pause this tab; `load` resumes it when somebody returns to it."""
        await self._account()
        self.is_asleep = True

    @rx.event
    def dismiss_notice(self) -> None:
        self.notice = ""

    @rx.event
    def show_problem(self, message: str, values: str) -> None:
        """Show an error, with its values as JSON. It returns from the browser, maybe changed."""
        try:
            shown = _VALUES.validate_json(values)
            words = message_words(self._words(), self._zone(), message, shown)
        except (ValueError, OverflowError, OSError):
            words = self._why(internal_error())
        self._tell(words, "problem")

    @rx.event
    @counts_as(CHANGES_OF_ACCOUNT)
    async def report_crash(self, error: str) -> None:
        """Log that a page crashed in the browser, for the operator."""
        await self._account()
        log.warning("page.crashed", error=str(error)[:MAX_CRASH_CHARACTERS])

    async def _find_caller(self) -> Caller | None:
        return await caller_from_cookie(app_context(), self.router.headers.cookie)

    async def _caller(self) -> Caller:
        """Return who is signed in. Raises NotSignedIn; every handler checks again."""
        caller = await self._find_caller()
        if caller is None:
            raise NotSignedIn("Sign in first.")
        return caller

    async def _account(self) -> Account:
        return (await self._caller()).account

    def _language_of(self, account: Account) -> str:
        if is_language(account.language):
            return account.language
        headers = self.router.headers
        return language_of_visitor(headers.cookie, headers.accept_language)

    def _words(self) -> Words:
        return words_in(self.language)

    def _zone(self) -> ZoneInfo:
        return zone_of_visitor(self.router.headers.cookie)

    def _address(self) -> str:
        """Return the address under which this tab's attempts are counted, as in REST."""
        return counted_as(self.router.session.client_ip)

    def _site(self) -> str:
        """Return the platform's URL as this tab uses it."""
        headers = self.router.headers
        site = headers.origin or f"http://{headers.host}"
        return site + app_context().settings.root_path

    def _why(self, error: PlatformError) -> str:
        """Return the error message in the person's language."""
        return error_words(self._words(), self._zone(), error)

    def _tell(self, text: str, kind: str = "done") -> None:
        """Show a line at the bottom of the page for a while."""
        self.notice, self.notice_kind = text, kind
        self.notice_number += 1
