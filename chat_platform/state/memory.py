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
from chat_platform.web.i18n import Words, at_ms
from chat_platform.web.problem_words import problem_words

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
        self.editing, self.mine, self.edit_problem = label, "", ""
        self.has_conflict = self.is_waiting = False

    @rx.event
    def stop_editing(self) -> None:
        """Also gives up waiting."""
        self.editing, self.mine, self.edit_problem = "", "", ""
        self.has_conflict = self.is_waiting = False

    @rx.event(background=True)
    async def save(self, form: dict[str, Any]) -> Any:
        """Write the block, unless it changed since it was opened: then show both versions.

        While the agent answers, this waits for it.
        """
        label, value = str(form.get("label", "")), str(form.get("value", ""))
        revision = str(form.get("revision", ""))
        async with self:
            account = await self._account()
            self.is_saving, self.edit_problem, self.mine = True, "", value
        try:
            saved = await self._write(account, label, value, revision)
        finally:
            async with self:
                self.is_saving = self.is_waiting = False
        await self._refresh(account)
        if saved:
            async with self:
                self.editing = self.mine = ""
                self.has_conflict = False
                say = self._words()
                self._tell(say("Saved."))
        return BlockHistoryState.refresh

    @rx.event(background=True)
    async def undo(self, label: str, revision: str) -> Any:
        """Give the block back what it said at that revision, as a new revision."""
        async with self:
            account, say = await self._account(), self._words()
        try:
            await memory.undo_block(app_context(), account, label, revision)
        except PlatformError as exc:
            async with self:
                history = await self.get_state(BlockHistoryState)
                history.history_problem = problem_words(say, exc.code, exc.message)
            return None
        async with self:
            self._tell(say("The earlier text is back."))
        return MemoryState.open

    async def _write(self, account: Account, label: str, value: str, revision: str) -> bool:
        """Save when no turn runs; False when that failed, or was given up."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                await memory.write_block(
                    app_context(), account, label, value, expected_revision=revision
                )
            except PlatformError as exc:
                if exc.code != "turn_running" or time.monotonic() > give_up_at:
                    await self._fail(exc)
                    return False
            else:
                return True
            if not await self._wait(label):
                return False

    async def _wait(self, label: str) -> bool:
        """Say that the agent is waited for; False when the person no longer wants to."""
        async with self:
            self.is_waiting = True
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        async with self:
            return self.editing == label and self.is_waiting

    async def _fail(self, error: PlatformError) -> None:
        # First the words of the person: the field is made anew when the block's are there.
        async with self:
            self.edit_problem = problem_words(self._words(), error.code, error.message)
            self.has_conflict = isinstance(error, Outdated)

    async def _refresh(self, account: Account) -> None:
        try:
            read = await memory.read_memory(app_context(), account)
        except PlatformError as exc:
            async with self:
                self.problem = problem_words(self._words(), exc.code, exc.message)
            return
        async with self:
            blocks = [self._block(state) for state in read.blocks]
            self.blocks = sorted(blocks, key=lambda block: block["label"] != ABOUT_THE_PERSON)
            self.is_loaded = True

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
