"""The history of one memory block, and undo."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict

import reflex as rx

from chat_platform.accounts.limits import counts_as
from chat_platform.agents import blocks
from chat_platform.context import app_context
from chat_platform.models import Account, BlockRevision
from chat_platform.process.rate_limits import SEARCHES_OF_ACCOUNT
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
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def toggle(self, label: str) -> None:
        """Open a block's history, or close it."""
        account = await self._account()
        await self._show(account, "" if self.label == label else label)

    @rx.event
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def refresh(self) -> None:
        """Reload the open history: its block may have changed."""
        await self._show(await self._account(), self.label)

    async def _show(self, account: Account, label: str) -> None:
        history = await blocks.block_history(app_context(), account, label) if label else []
        self.label, self.revisions = label, await self._revisions(history[: _SHOWN + 1])
        self.history_problem = ""

    async def _revisions(self, newest_first: Sequence[BlockRevision]) -> list[Revision]:
        older = [(row, before.value) for row, before in pairwise(newest_first)]
        if len(newest_first) <= _SHOWN:
            older += [(row, "") for row in newest_first[-1:]]
        shown = [await self._revision(row, before, n == 0) for n, (row, before) in enumerate(older)]
        if len(newest_first) <= _SHOWN and shown:
            say = self._words()
            shown[-1]["cause"] = say("Original text")
        return shown

    async def _revision(self, row: BlockRevision, before: str, is_current: bool) -> Revision:
        say = self._words()
        return Revision(
            position=str(row.position),
            revision=row.revision,
            when=say.moment(at_ms(row.changed_at_ms, self._zone())),
            cause=_cause(say, row),
            turn_id=row.turn_id or "" if row.cause == "agent" else "",
            # One thread call for each: nobody waits for a whole history.
            diff=await asyncio.to_thread(diff_html, before, row.value),
            is_current=is_current,
        )


def _cause(say: Words, row: BlockRevision) -> str:
    if row.cause == "agent" and row.step is not None:
        return say("Your agent, in step {step} of an answer", step=say.number(row.step))
    return {
        "agent": say("Your agent"),
        "person": say("You"),
        "undo": say("You undid a change"),
    }.get(row.cause, row.cause)
