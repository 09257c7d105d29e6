"""What the agent remembers: its blocks, read and edited in place. Its archive is in `archive`."""

from collections.abc import Awaitable
from typing import Any, TypedDict

import reflex as rx

from chat_platform import memory
from chat_platform.context import app_context
from chat_platform.errors import Outdated, PlatformError
from chat_platform.memory import BlockState
from chat_platform.models import Account
from chat_platform.state.account import AccountState
from chat_platform.web.i18n import Words, at_ms
from chat_platform.web.problem_words import problem_words


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
    changed: str


class MemoryState(AccountState):
    blocks: list[Block] = []
    is_loaded: bool = False
    is_saving: bool = False
    problem: str = ""
    editing: str = ""
    mine: str = ""
    """What the person wrote when the block had changed meanwhile."""
    edit_problem: str = ""

    @rx.event(background=True)
    async def open(self) -> None:
        """Read the blocks anew."""
        async with self:
            account = await self._account()
            self.problem = ""
        await self._refresh(account)

    @rx.event
    def edit(self, label: str) -> None:
        self.editing, self.mine, self.edit_problem = label, "", ""

    @rx.event
    def stop_editing(self) -> None:
        self.editing, self.mine, self.edit_problem = "", "", ""

    @rx.event(background=True)
    async def save(self, form: dict[str, Any]) -> None:
        """Write the block, unless it changed since it was opened: then show both versions."""
        label, value = str(form.get("label", "")), str(form.get("value", ""))
        revision = str(form.get("revision", ""))
        async with self:
            account = await self._account()
        await self._change(
            account,
            memory.write_block(app_context(), account, label, value, expected_revision=revision),
            value,
        )

    async def _change(self, account: Account, change: Awaitable[BlockState], mine: str) -> None:
        async with self:
            self.is_saving, self.edit_problem = True, ""
        try:
            await change
        except PlatformError as exc:
            # First the words of the person: the field is made anew when the block's are there.
            async with self:
                self.edit_problem = problem_words(self._words(), exc.code, exc.message)
                self.mine = mine if isinstance(exc, Outdated) else ""
            await self._refresh(account)
            return
        finally:
            async with self:
                self.is_saving = False
        await self._refresh(account)
        async with self:
            self.editing = self.mine = ""
            say = self._words()
            self._tell(say("Saved."))

    async def _refresh(self, account: Account) -> None:
        try:
            read = await memory.read_memory(app_context(), account)
        except PlatformError as exc:
            async with self:
                self.problem = problem_words(self._words(), exc.code, exc.message)
            return
        async with self:
            self.blocks = [self._block(state) for state in read.blocks]
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
            percent=f"{min(100, 100 * len(block.value) // max(1, block.limit))}%",
            changed=say("Changed {when}", when=changed) if changed else "",
        )


def _names(say: Words, label: str, description: str) -> tuple[str, str]:
    known = {
        "human": (say("About you"), say("What your agent has learned about you.")),
        "persona": (say("About itself"), say("Who your agent is, and how it talks to you.")),
    }
    return known.get(label, (label, description))
