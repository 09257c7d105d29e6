"""The model calls this process is relaying, so that a cancel ends them at once."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chat_platform.values.ids import AccountId, AgentId, CallId, TurnId

MAX_REMEMBERED = 10_000
"""How many aborted turns are remembered to recognise late calls; the ledger refuses them anyway."""


@dataclass(eq=False)
class OpenCall:
    """One call relayed by a task of this process.

    It is listed before its intent is written, so that a cancel cannot slip in between; the intent
    determines its turn.
    """

    call_id: CallId
    agent_id: AgentId
    account_id: AccountId
    task: asyncio.Task[object]
    turn_id: TurnId | None = None
    abort_reason: str | None = None

    def abort(self, reason: str = "turn_cancelled") -> None:
        """End the call as cancelled; its task records what has been used so far."""
        if self.abort_reason is None:
            self.abort_reason = reason
            self.task.cancel()


@dataclass
class OpenCalls:
    """The calls of one process. For use in its event loop only."""

    _calls: set[OpenCall] = field(default_factory=set[OpenCall])
    _by_account: dict[AccountId, int] = field(default_factory=dict[AccountId, int])
    _aborted: OrderedDict[TurnId, None] = field(default_factory=OrderedDict[TurnId, None])

    @contextmanager
    def listed(self, call: OpenCall) -> Iterator[OpenCall]:
        """List the call while it runs."""
        self._calls.add(call)
        self._by_account[call.account_id] = self.of_account(call.account_id) + 1
        try:
            yield call
        finally:
            self._calls.discard(call)
            _shrink(self._by_account, call.account_id)

    def assign(self, call: OpenCall, turn_id: TurnId | None) -> None:
        """Record the call's turn; the call ends at once if that turn has been aborted."""
        call.turn_id = turn_id
        if turn_id in self._aborted:
            call.abort()

    def abort(self, turn_id: TurnId) -> int:
        """End that turn's calls, including those still waiting for their intent.

        Other turns' calls continue, even the same agent's. Returns how many are open.
        """
        self._remember(turn_id)
        calls = [call for call in self._calls if call.turn_id == turn_id]
        for call in calls:
            call.abort()
        return len(calls)

    async def wait(self) -> None:
        """Return when those that are open have ended."""
        if self._calls:
            await asyncio.wait({call.task for call in self._calls})

    @property
    def total(self) -> int:
        return len(self._calls)

    def of_account(self, account_id: AccountId) -> int:
        return self._by_account.get(account_id, 0)

    def __iter__(self) -> Iterator[OpenCall]:
        return iter(list(self._calls))

    def _remember(self, turn_id: TurnId) -> None:
        self._aborted[turn_id] = None
        self._aborted.move_to_end(turn_id)
        if len(self._aborted) > MAX_REMEMBERED:
            self._aborted.popitem(last=False)


def _shrink(counts: dict[AccountId, int], account_id: AccountId) -> None:
    counts[account_id] -= 1
    if not counts[account_id]:
        del counts[account_id]
