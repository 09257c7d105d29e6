"""The person's own settings: profile, look, password, deletion. Tokens and sign-ins: `access`."""

import asyncio
from typing import Any, cast

import reflex as rx

from chat_platform import accounts
from chat_platform.account_deletion import begin_deletion, finish_deletion
from chat_platform.context import app_context
from chat_platform.errors import PlatformError
from chat_platform.password_change import change_password
from chat_platform.state.account import AccountState
from chat_platform.state.forms import text_of

_deletions: set[asyncio.Task[bool]] = set()
"""Deletions that run: a task that nobody holds may be collected. One that dies is resumed later."""


class SettingsState(AccountState):
    full_name: str = ""
    chosen_language: str = ""
    current_problem: str = ""
    new_problem: str = ""
    password_form: int = 0
    """Another number makes the form anew, empty."""
    deletion_problem: str = ""

    @rx.event
    async def open(self) -> None:
        account = await self._account()
        self.full_name = account.name
        self.chosen_language = account.language
        self.current_problem = self.new_problem = self.deletion_problem = ""

    @rx.event
    async def save_name(self, form: dict[str, Any]) -> None:
        caller = await self._caller()
        name = text_of(form, "name")
        account = await accounts.change_profile(app_context(), caller.account_id, name=name)
        self.name = account.name or account.email.partition("@")[0]
        self.full_name = account.name
        say = self._words()
        self._tell(say("Saved."))

    @rx.event
    async def choose_language(self, language: str) -> None:
        """Keep the choice; page.js loads the pages of the other language."""
        caller = await self._caller()
        account = await accounts.change_profile(app_context(), caller.account_id, language=language)
        self.chosen_language = account.language
        self.language = self._language_of(account)

    @rx.event
    async def choose_theme(self, theme: str) -> None:
        caller = await self._caller()
        account = await accounts.change_profile(app_context(), caller.account_id, theme=theme)
        self.theme = account.theme

    @rx.event
    async def change_password(self, form: dict[str, Any]) -> None:
        caller = await self._caller()
        self.current_problem = self.new_problem = ""
        try:
            await change_password(
                app_context(),
                caller.account,
                current=text_of(form, "current"),
                new=text_of(form, "new"),
                sign_in_id=caller.sign_in_id,
                address=self._address(),
            )
        except PlatformError as exc:
            words = self._why(exc)
            is_of_new = exc.code == "weak_password"
            self.new_problem, self.current_problem = (words, "") if is_of_new else ("", words)
            return
        self.password_form += 1
        say = self._words()
        self._tell(say("Your password is changed. Other devices are signed out."))

    @rx.event
    async def delete_account(self, form: dict[str, Any]) -> Any:
        """Begin the deletion; it goes on by itself after the person is signed out."""
        caller = await self._caller()
        self.deletion_problem = ""
        password = text_of(form, "password")
        try:
            await begin_deletion(
                app_context(), caller.account, password=password, address=self._address()
            )
        except PlatformError as exc:
            self.deletion_problem = self._why(exc)
            return None
        task = asyncio.create_task(finish_deletion(app_context(), caller.account_id))
        _deletions.add(task)
        task.add_done_callback(_deletions.discard)
        return rx.redirect("/login?notice=account_deleted")

    def _address(self) -> str:
        return cast(str, self.router.session.client_ip)
