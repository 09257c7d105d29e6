"""The person's settings: profile, appearance, password, deletion. Tokens, sign-ins: `access`."""

import asyncio
from typing import Any

import reflex as rx

from chat_platform.accounts import profiles, setup_code
from chat_platform.accounts.admin import become_administrator
from chat_platform.accounts.deletion import begin_deletion, finish_deletion
from chat_platform.accounts.limits import counts_as
from chat_platform.accounts.password_rule import MAX_READ_CHARACTERS
from chat_platform.accounts.passwords import change_password
from chat_platform.context import app_context
from chat_platform.errors import PlatformError
from chat_platform.process.rate_limits import CHANGES_OF_ACCOUNT
from chat_platform.state.account import AccountState
from chat_platform.state.forms import text_of

_deletions: set[asyncio.Task[bool]] = set()
"""Running deletions: tasks need a reference. One that dies is resumed later."""


class SettingsState(AccountState):
    is_loaded: bool = False
    """False until the name is known: what is typed before would be lost."""
    full_name: str = ""
    chosen_language: str = ""
    current_problem: str = ""
    new_problem: str = ""
    password_form: int = 0
    """A new number resets the form."""
    deletion_problem: str = ""
    awaits_setup_code: bool = False
    """True if there is an unused setup code that the person may use."""
    setup_code_problem: str = ""

    @rx.event
    async def open(self) -> None:
        account = await self._account()
        self.is_loaded, self.full_name = True, account.name
        self.chosen_language = account.language
        self.current_problem = self.new_problem = self.deletion_problem = ""
        self.setup_code_problem = ""
        is_waiting = await setup_code.is_waiting(app_context().engine)
        self.awaits_setup_code = is_waiting and account.role != "admin"

    @rx.event
    @counts_as(CHANGES_OF_ACCOUNT)
    async def save_name(self, form: dict[str, Any]) -> None:
        caller = await self._caller()
        name = text_of(form, "name")
        account = await profiles.change_profile(app_context(), caller.account_id, name=name)
        self.name = account.name or account.email.partition("@")[0]
        self.full_name = account.name
        say = self._words()
        self._tell(say("Saved."))

    @rx.event
    @counts_as(CHANGES_OF_ACCOUNT)
    async def choose_language(self, language: str) -> None:
        """Store the choice; page.js loads the pages in the other language."""
        caller = await self._caller()
        account = await profiles.change_profile(app_context(), caller.account_id, language=language)
        self.chosen_language = account.language
        self.language = self._language_of(account)

    @rx.event
    @counts_as(CHANGES_OF_ACCOUNT)
    async def choose_theme(self, theme: str) -> None:
        caller = await self._caller()
        account = await profiles.change_profile(app_context(), caller.account_id, theme=theme)
        self.theme = account.theme

    @rx.event
    @counts_as(CHANGES_OF_ACCOUNT)
    async def use_setup_code(self, form: dict[str, Any]) -> None:
        """Make the holder of the setup code an administrator."""
        caller = await self._caller()
        self.setup_code_problem = ""
        code = text_of(form, "setup_code")
        try:
            await become_administrator(
                app_context(), caller.account_id, code, address=self._address()
            )
        except PlatformError as exc:
            self.setup_code_problem = self._why(exc)
            return
        self.awaits_setup_code, self.is_admin = False, True
        say = self._words()
        self._tell(say("You are an administrator now."))

    @rx.event
    async def change_password(self, form: dict[str, Any]) -> None:
        caller = await self._caller()
        self.current_problem = self.new_problem = ""
        try:
            await change_password(
                app_context(),
                caller.account,
                current=text_of(form, "current"),
                new=text_of(form, "new", most=MAX_READ_CHARACTERS),
                sign_in_id=caller.sign_in_id,
                address=self._address(),
            )
        except PlatformError as exc:
            self._show_password_problem(exc)
            return
        self._tell_password_changed()

    def _show_password_problem(self, exc: PlatformError) -> None:
        words = self._why(exc)
        is_of_new = exc.code == "weak_password"
        self.new_problem, self.current_problem = (words, "") if is_of_new else ("", words)

    def _tell_password_changed(self) -> None:
        self.password_form += 1
        say = self._words()
        self._tell(
            say(
                "Your password has been changed. Other devices have been signed out, and API "
                "tokens have been revoked."
            )
        )

    @rx.event
    async def delete_account(self, form: dict[str, Any]) -> Any:
        """Start the deletion; it continues after the person is signed out."""
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
        (await self.get_state(rx.State)).reset()
        return rx.redirect("/login?notice=account_deleted")
