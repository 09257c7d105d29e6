"""The agent's archive: listing, searching, adding and deleting passages; and the reset."""

from collections.abc import Awaitable
from typing import Any, TypedDict

import reflex as rx

from chat_platform.accounts.limits import counts_as
from chat_platform.agents import archive, memory
from chat_platform.agents.archive import PassagePage
from chat_platform.context import app_context
from chat_platform.errors import PlatformError
from chat_platform.models import Account
from chat_platform.process.rate_limits import CHANGES_OF_ACCOUNT, SEARCHES_OF_ACCOUNT
from chat_platform.state.account import AccountState
from chat_platform.state.forms import MAX_TEXT_CHARACTERS, text_of
from chat_platform.state.memory import MemoryState
from chat_platform.web.i18n import at_ms

PAGE_PASSAGES = 20
RESETS = ("memory", "agent")
"""What can be reset."""


class ShownPassage(TypedDict):
    id: str
    text: str
    when: str


class ArchiveState(AccountState):
    passages: list[ShownPassage] = []
    next_before: str = ""
    query: str = ""
    is_empty: bool = False
    archive_problem: str = ""
    add_problem: str = ""
    add_form: int = 0
    """A new number resets the form."""
    doubtful: str = ""
    """The passage whose deletion awaits confirmation."""
    reset_problem: str = ""
    reset_form: int = 0
    _asked: int = 0
    """How many lists have been requested."""

    @rx.event(background=True)
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def list_newest(self) -> None:
        async with self:
            account = await self._account()
            self.query = ""
        await self._list(account)

    @rx.event(background=True)
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def search(self, form: dict[str, Any]) -> None:
        """Find the passages closest in meaning."""
        async with self:
            account = await self._account()
            self.query = text_of(form, "words").strip()
        await self._list(account)

    @rx.event(background=True)
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def show_more(self) -> None:
        async with self:
            account = await self._account()
            before = self.next_before
        if before:
            await self._list(account, before=before)

    @rx.event(background=True)
    @counts_as(CHANGES_OF_ACCOUNT)
    async def add(self, form: dict[str, Any]) -> None:
        async with self:
            account = await self._account()
            self.add_problem = ""
        text = text_of(form, "text", most=MAX_TEXT_CHARACTERS).strip()
        if text and await self._changed(archive.add_passage(app_context(), account, text)):
            async with self:
                self.add_form += 1
            await self._list(account)

    @rx.event
    async def doubt(self, passage_id: str) -> None:
        """Ask for confirmation before deleting a passage; an empty id cancels."""
        await self._account()
        is_shown = any(passage["id"] == passage_id for passage in self.passages)
        self.doubtful = passage_id if is_shown else ""

    @rx.event(background=True)
    @counts_as(CHANGES_OF_ACCOUNT)
    async def delete(self, passage_id: str) -> None:
        async with self:
            account = await self._account()
            self.add_problem = self.doubtful = ""
        await self._changed(archive.delete_passage(app_context(), account, passage_id))
        # After a failure too: a passage that is already deleted disappears.
        await self._list(account)

    @rx.event(background=True)
    @counts_as(CHANGES_OF_ACCOUNT)
    async def start_over(self, form: dict[str, Any]) -> Any:
        """Reset the memory, or replace the agent, if the word was typed."""
        is_whole = text_of(form, "what") == "agent"
        reset = memory.reset_agent if is_whole else memory.reset_memory
        async with self:
            account = await self._account()
            if not self._is_confirmed(form):
                return None
        try:
            await reset(app_context(), account)
        except PlatformError as exc:
            async with self:
                self.reset_problem = self._why(exc)
            return None
        async with self:
            self._tell_reset()
        return [MemoryState.open, ArchiveState.list_newest]

    def _is_confirmed(self, form: dict[str, Any]) -> bool:
        say, self.reset_problem = self._words(), ""
        if text_of(form, "confirm").strip().lower() == say("reset"):
            return True
        self.reset_problem = say("Type the word “{word}” to confirm.", word=say("reset"))
        return False

    def _tell_reset(self) -> None:
        self.reset_form += 1
        say = self._words()
        self._tell(say("Your agent has been reset. The conversation is still here."))

    async def _changed(self, change: Awaitable[object]) -> bool:
        """Make the change, or show why it failed."""
        try:
            await change
        except PlatformError as exc:
            async with self:
                self.add_problem = self._why(exc)
            return False
        return True

    async def _list(self, account: Account, *, before: str = "") -> None:
        """Show the passages, or those after `before`, unless others have been requested since."""
        async with self:
            self._asked += not before
            query, asked = self.query, self._asked
        try:
            page = await archive.list_passages(
                app_context(), account, query=query, limit=PAGE_PASSAGES, before=before or None
            )
        except PlatformError as exc:
            async with self:
                self.archive_problem = self._why(exc)
            return
        async with self:
            # Of two lists the later one counts, whichever arrives first. A second click on "Show
            # more" requested the same page.
            is_newest = (query, asked) == (self.query, self._asked)
            if is_newest and before in ("", self.next_before):
                self._show(page, is_more=bool(before))

    def _show(self, page: PassagePage, *, is_more: bool) -> None:
        say, zone = self._words(), self._zone()
        shown = [
            ShownPassage(id=p.id, text=p.text, when=say.moment(at_ms(p.created_at_ms, zone)))
            for p in page.passages
        ]
        self.passages = [*self.passages, *shown] if is_more else shown
        self.next_before = page.next_before or ""
        self.is_empty, self.archive_problem = not self.passages, ""
