"""What the agent remembers: its blocks, read and edited in place. Its archive is in `archive`."""

import asyncio
import time
from typing import Any, TypedDict

import reflex as rx

from chat_platform import memory
from chat_platform.context import app_context
from chat_platform.errors import Outdated, PlatformError
from chat_platform.memory import BlockState
from chat_platform.models import Account
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
    """How full it is, in words."""
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
    """What the person wrote, when it could not be saved as it was."""
    edit_problem: str = ""
    has_conflict: bool = False
    is_waiting: bool = False
    """What was saved waits until the agent has answered."""
    _patience_seconds: float = PATIENCE_SECONDS
    _attempt: int = 0
    """The save that the editor stands for: an earlier one gives up waiting and says nothing."""

    @rx.event(background=True)
    async def open(self) -> Any:
        """Read the blocks anew, and the history that is open."""
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
        """Also gives up waiting."""
        self._begin("", "")

    @rx.event(background=True)
    async def save(self, form: dict[str, Any]) -> Any:
        """Write the block, unless it changed since it was opened: then show both versions.

        While the agent answers, this waits for it.
        """
        label = text_of(form, "label")
        value = text_of(form, "value", most=MAX_TEXT_CHARACTERS)
        revision = text_of(form, "revision")
        async with self:
            account, had_conflict = await self._account(), self.has_conflict
            attempt = self._begin(label, value)
            self.is_saving, self.has_conflict = True, had_conflict
        try:
            saved = await self._write(account, label, value, revision, attempt)
        finally:
            async with self:
                if self._attempt == attempt:
                    self.is_saving = self.is_waiting = False
        await self._refresh(account)
        if saved:
            async with self:
                if self._attempt == attempt:
                    self._begin("", "")
                say = self._words()
                self._tell(say("Saved."))
        return BlockHistoryState.refresh

    @rx.event(background=True)
    async def undo(self, label: str, revision: str) -> Any:
        """Give the block back what it said at that revision, as a new revision."""
        async with self:
            account = await self._account()
        try:
            await memory.undo_block(app_context(), account, label, revision)
        except PlatformError as exc:
            async with self:
                history = await self.get_state(BlockHistoryState)
                history.history_problem = self._why(exc)
            return None
        async with self:
            say = self._words()
            self._tell(say("The earlier text is back."))
        return MemoryState.open

    def _begin(self, label: str, mine: str) -> int:
        """Make the editor anew for this block and these words; return the attempt's number."""
        self.editing, self.mine, self.edit_problem = label, mine, ""
        self.has_conflict = self.is_saving = self.is_waiting = False
        self._attempt += 1
        return self._attempt

    async def _write(
        self, account: Account, label: str, value: str, revision: str, attempt: int
    ) -> bool:
        """Save when no turn runs; False when that failed, or was given up."""
        give_up_at = time.monotonic() + self._patience_seconds
        while True:
            try:
                await memory.write_block(
                    app_context(), account, label, value, expected_revision=revision
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
        """Say that the agent is waited for; False when the person no longer wants to."""
        async with self:
            if self._attempt == attempt:
                self.is_waiting = True
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        async with self:
            return self._attempt == attempt

    async def _fail(self, error: PlatformError, attempt: int) -> None:
        # First the words of the person: the field is made anew when the block's are there.
        async with self:
            if self._attempt == attempt:
                self.edit_problem = self._why(error)
                self.has_conflict = isinstance(error, Outdated)

    async def _refresh(self, account: Account) -> None:
        try:
            read = await memory.read_memory(app_context(), account)
        except PlatformError as exc:
            async with self:
                self.problem = self._why(exc)
            return
        async with self:
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
        "persona": (say("About itself"), say("Who your agent is, and how it talks to you.")),
    }
    return known.get(label, (label, description))
