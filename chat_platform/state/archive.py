"""The agent's archive of passages: listed, searched, added to, thinned out; and starting over."""

from collections.abc import Awaitable
from typing import Any, TypedDict

import reflex as rx

from chat_platform import memory
from chat_platform.context import app_context
from chat_platform.errors import PlatformError
from chat_platform.memory import PassagePage
from chat_platform.models import Account
from chat_platform.state.account import AccountState
from chat_platform.state.forms import MAX_TEXT_CHARACTERS, text_of
from chat_platform.state.memory import MemoryState
from chat_platform.web.i18n import at_ms

PAGE_PASSAGES = 20
RESETS = ("memory", "agent")
"""What starting over may concern."""


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
    """Another number makes the form anew, empty."""
    doubtful: str = ""
    """The passage that was asked to be deleted, until that is confirmed."""
    reset_problem: str = ""
    reset_form: int = 0

    @rx.event(background=True)
    async def list_newest(self) -> None:
        async with self:
            account = await self._account()
            self.query = ""
        await self._list(account)

    @rx.event(background=True)
    async def search(self, form: dict[str, Any]) -> None:
        """Find the passages nearest in meaning."""
        async with self:
            account = await self._account()
            self.query = text_of(form, "words").strip()[:500]
        await self._list(account)

    @rx.event(background=True)
    async def show_more(self) -> None:
        async with self:
            account = await self._account()
            before = self.next_before
        if before:
            await self._list(account, before=before)

    @rx.event(background=True)
    async def add(self, form: dict[str, Any]) -> None:
        async with self:
            account = await self._account()
            self.add_problem = ""
        text = text_of(form, "text", most=MAX_TEXT_CHARACTERS).strip()
        if text and await self._changed(memory.add_passage(app_context(), account, text)):
            async with self:
                self.add_form += 1
            await self._list(account)

    @rx.event
    async def doubt(self, passage_id: str) -> None:
        """Ask before a passage that is shown is deleted; an empty id keeps it."""
        await self._account()
        is_shown = any(passage["id"] == passage_id for passage in self.passages)
        self.doubtful = passage_id if is_shown else ""

    @rx.event(background=True)
    async def delete(self, passage_id: str) -> None:
        async with self:
            account = await self._account()
            self.add_problem = self.doubtful = ""
        await self._changed(memory.delete_passage(app_context(), account, passage_id))
        # After a failure too: what is gone already leaves the page.
        await self._list(account)

    @rx.event(background=True)
    async def start_over(self, form: dict[str, Any]) -> Any:
        """Reset the memory, or replace the agent by a fresh one, when the word was typed."""
        async with self:
            account = await self._account()
            say, self.reset_problem = self._words(), ""
            if text_of(form, "confirm").strip().lower() != say("reset"):
                self.reset_problem = say("Type the word “{word}” to confirm.", word=say("reset"))
                return None
        is_whole = text_of(form, "what") == "agent"
        reset = memory.reset_agent if is_whole else memory.reset_memory
        try:
            await reset(app_context(), account)
        except PlatformError as exc:
            async with self:
                self.reset_problem = self._why(exc)
            return None
        async with self:
            self.reset_form += 1
            self._tell(say("Your agent starts over. The conversation is still here."))
        return [MemoryState.open, ArchiveState.list_newest]

    async def _changed(self, change: Awaitable[object]) -> bool:
        """Make the change, or tell why not."""
        try:
            await change
        except PlatformError as exc:
            async with self:
                self.add_problem = self._why(exc)
            return False
        return True

    async def _list(self, account: Account, *, before: str = "") -> None:
        """Show the passages, or those that follow `before`, unless other ones were asked for."""
        async with self:
            query = self.query
        try:
            page = await memory.list_passages(
                app_context(), account, query=query, limit=PAGE_PASSAGES, before=before or None
            )
        except PlatformError as exc:
            async with self:
                self.archive_problem = self._why(exc)
            return
        async with self:
            # A second press of "Show more" asked for the same page.
            if query == self.query and before in ("", self.next_before):
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
