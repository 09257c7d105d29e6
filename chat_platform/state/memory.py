"""The agent's memory blocks, read and edited in place. The archive is in `archive`."""

import asyncio
import time
from typing import Any, TypedDict

import reflex as rx

from chat_platform.accounts.limits import counts_as
from chat_platform.agents import blocks, memory
from chat_platform.agents.blocks import BlockState
from chat_platform.context import app_context
from chat_platform.errors import Outdated, PlatformError
from chat_platform.models import Account
from chat_platform.process.rate_limits import CHANGES_OF_ACCOUNT
from chat_platform.state.account import AccountState
from chat_platform.state.block_history import BlockHistoryState
from chat_platform.state.forms import MAX_TEXT_CHARACTERS, text_of
from chat_platform.web.i18n import Words, at_ms

ABOUT_THE_PERSON = "human"
"""The block that comes first on the page."""
PATIENCE_SECONDS = 900
_LOOK_AGAIN_SECONDS = 0.5


class Block(TypedDict):
    label: str
    title: str
    about: str
    value: str
    revision: str
    fill: str
    """How full it is, as text."""
    percent: str
    """The same as a CSS length."""
    limit: str
    """In characters."""
    changed: str


class MemoryState(AccountState):
    blocks: list[Block] = []
    is_loaded: bool = False
    is_saving: bool = False
    problem: str = ""
    editing: str = ""
    mine: str = ""
    """The person's text, if it could not be saved."""
    edit_problem: str = ""
    has_conflict: bool = False
    is_waiting: bool = False
    """True while a save waits until the agent has answered."""
    _patience_seconds: float = PATIENCE_SECONDS
    _readings: int = 0
    _attempt: int = 0
    """The editor's current save: an earlier one stops waiting silently."""

    @rx.event(background=True)
    async def open(self) -> Any:
        """Reload the blocks, and the open history."""
        async with self:
            account = await self._account()
            self.problem = ""
        await self._refresh(account)
        return BlockHistoryState.refresh

    @rx.event
    def edit(self, label: str) -> None:
        self._begin(label, "")

    @rx.event
    def stop_editing(self) -> None:
        """Also abandons a waiting save."""
        self._begin("", "")

    @rx.event(background=True)
    @counts_as(CHANGES_OF_ACCOUNT)
    async def save(self, form: dict[str, Any]) -> Any:
        """Write the block, unless it has changed since it was opened: then show both versions.

        While the agent answers, this waits for it.
        """
        label = text_of(form, "label")
        value = text_of(form, "value", most=MAX_TEXT_CHARACTERS)
        revision = text_of(form, "revision")
        async with self:
            account, had_conflict = await self._account(), self.has_conflict
            attempt = self._begin(label, value)
            self.is_saving, self.has_conflict = True, had_conflict
        saved = await self._try_to_write(account, label, value, revision, attempt)
        await self._refresh(account)
        if saved:
            async with self:
                self._tell_saved(attempt)
        return BlockHistoryState.refresh

    @rx.event(background=True)
    @counts_as(CHANGES_OF_ACCOUNT)
    async def undo(self, label: str, revision: str) -> Any:
        """Restore the block's value at that revision, as a new revision."""
        async with self:
            account = await self._account()
        try:
            await blocks.undo_block(app_context(), account, label, revision)
        except PlatformError as exc:
            async with self:
                history = await self.get_state(BlockHistoryState)
                history.history_problem = self._why(exc)
            return None
        async with self:
            say = self._words()
            self._tell(say("Earlier version restored."))
        return MemoryState.open

    def _begin(self, label: str, mine: str) -> int:
        """Reset the editor to this block and text; return the attempt's number."""
        self.editing, self.mine, self.edit_problem = label, mine, ""
        self.has_conflict = self.is_saving = self.is_waiting = False
        self._attempt += 1
        return self._attempt

    def _tell_saved(self, attempt: int) -> None:
        if self._attempt == attempt:
            self._begin("", "")
        say = self._words()
        self._tell(say("Saved."))

    async def _try_to_write(
        self, account: Account, label: str, value: str, revision: str, attempt: int
    ) -> bool:
        """Save, and show when that has ended; False if it failed, or was abandoned."""
        try:
            return await self._write(account, label, value, revision, attempt)
        finally:
            async with self:
                if self._attempt == attempt:
                    self.is_saving = self.is_waiting = False

    async def _write(
        self, account: Account, label: str, value: str, revision: str, attempt: int
    ) -> bool:
        """Save once no turn is running; False if that failed, or was abandoned."""
        give_up_at = time.monotonic() + self._patience_seconds
        while True:
            try:
                await blocks.write_block(
                    app_context(), account, label, value, expected_revisions=[revision]
                )
            except PlatformError as exc:
                if exc.code != "turn_running" or time.monotonic() > give_up_at:
                    await self._fail(exc, attempt)
                    return False
            else:
                return True
            if not await self._wait(attempt):
                return False

    async def _wait(self, attempt: int) -> bool:
        """Show that the save waits for the agent; False if the person has abandoned it."""
        async with self:
            if self._attempt == attempt:
                self.is_waiting = True
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        async with self:
            return self._attempt == attempt

    async def _fail(self, error: PlatformError, attempt: int) -> None:
        # The person's text first: the field is reset when the block's text arrives.
        async with self:
            if self._attempt == attempt:
                self.edit_problem = self._why(error)
                self.has_conflict = isinstance(error, Outdated)

    async def _refresh(self, account: Account) -> None:
        """Show the blocks; of two readings the later one counts, whichever arrives first."""
        async with self:
            self._readings += 1
            reading = self._readings
        try:
            read = await memory.read_memory(app_context(), account)
        except PlatformError as exc:
            async with self:
                self.problem = self._why(exc)
            return
        async with self:
            if reading != self._readings:
                return
            blocks = [self._block(state) for state in read.blocks]
            self.blocks = sorted(blocks, key=lambda block: block["label"] != ABOUT_THE_PERSON)
            self.is_loaded, self.problem = True, ""

    def _block(self, state: BlockState) -> Block:
        say, block = self._words(), state.block
        title, about = _names(say, block.label, block.description)
        changed = state.updated_at_ms and say.moment(at_ms(state.updated_at_ms, self._zone()))
        return Block(
            label=block.label,
            title=title,
            about=about,
            value=block.value,
            revision=state.revision,
            fill=say(
                "{used} of {limit} characters",
                used=say.number(len(block.value)),
                limit=say.number(block.limit),
            ),
            limit=str(block.limit),
            percent=f"{min(100, 100 * len(block.value) // max(1, block.limit))}%",
            changed=say("Changed {when}", when=changed) if changed else "",
        )


def _names(say: Words, label: str, description: str) -> tuple[str, str]:
    known = {
        "human": (say("About you"), say("What your agent has learned about you.")),
        "persona": (say("About your agent"), say("Who your agent is, and how it talks to you.")),
    }
    return known.get(label, (label, description))
