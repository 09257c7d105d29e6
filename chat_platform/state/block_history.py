"""How one memory block came to say what it says, and the way back."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict

import reflex as rx

from chat_platform import memory
from chat_platform.context import app_context
from chat_platform.models import Account, BlockRevision
from chat_platform.state.account import AccountState
from chat_platform.state.diff import diff_html
from chat_platform.web.i18n import Words, at_ms

_SHOWN = 40


class Revision(TypedDict):
    position: str
    revision: str
    when: str
    cause: str
    turn_id: str
    diff: str
    is_current: bool


class BlockHistoryState(AccountState):
    label: str = ""
    revisions: list[Revision] = []
    history_problem: str = ""

    @rx.event
    async def toggle(self, label: str) -> None:
        """Open a block's history, or close it."""
        account = await self._account()
        await self._show(account, "" if self.label == label else label)

    @rx.event
    async def refresh(self) -> None:
        """Read the open history anew: its block may have changed."""
        await self._show(await self._account(), self.label)

    async def _show(self, account: Account, label: str) -> None:
        history = await memory.block_history(app_context(), account, label) if label else []
        self.label, self.revisions = label, self._revisions(history[: _SHOWN + 1])
        self.history_problem = ""

    def _revisions(self, newest_first: Sequence[BlockRevision]) -> list[Revision]:
        older = [(row, before.value) for row, before in pairwise(newest_first)]
        if len(newest_first) <= _SHOWN:
            older += [(row, "") for row in newest_first[-1:]]
        shown = [self._revision(row, before, n == 0) for n, (row, before) in enumerate(older)]
        if len(newest_first) <= _SHOWN and shown:
            shown[-1]["cause"] = self._words()("How it began")
        return shown

    def _revision(self, row: BlockRevision, before: str, is_current: bool) -> Revision:
        say = self._words()
        return Revision(
            position=str(row.position),
            revision=row.revision,
            when=say.moment(at_ms(row.changed_at_ms, self._zone())),
            cause=_cause(say, row),
            turn_id=row.turn_id or "" if row.cause == "agent" else "",
            diff=diff_html(before, row.value),
            is_current=is_current,
        )


def _cause(say: Words, row: BlockRevision) -> str:
    if row.cause == "agent" and row.step is not None:
        return say("Your agent, in step {step} of an answer", step=say.number(row.step))
    return {
        "agent": say("Your agent"),
        "person": say("You"),
        "undo": say("You took a change back"),
    }.get(row.cause, row.cause)
