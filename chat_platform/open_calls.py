"""Which model calls this process is relaying now, so that a cancel ends them at once."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chat_platform.ids import AccountId, AgentId, CallId, TurnId


@dataclass(eq=False)
class OpenCall:
    """One call being relayed by a task of this process.

    It is listed before its intent is written, so that a cancel can't slip in between.
    """

    call_id: CallId
    agent_id: AgentId
    account_id: AccountId
    task: asyncio.Task[object]
    turn_id: TurnId | None = None
    abort_reason: str | None = None

    def abort(self, reason: str = "turn_cancelled") -> None:
        """End the call as cancelled; its task books what was used until now."""
        if self.abort_reason is None:
            self.abort_reason = reason
            self.task.cancel()


@dataclass
class OpenCalls:
    """The calls of one process. For use in its event loop only."""

    _by_agent: dict[AgentId, set[OpenCall]] = field(default_factory=dict)
    _by_account: dict[AccountId, int] = field(default_factory=dict)
    total: int = 0

    @contextmanager
    def listed(self, call: OpenCall) -> Iterator[OpenCall]:
        """List the call while it runs."""
        self._by_agent.setdefault(call.agent_id, set()).add(call)
        self._by_account[call.account_id] = self.of_account(call.account_id) + 1
        self.total += 1
        try:
            yield call
        finally:
            self._remove(call)

    def abort(self, agent_id: AgentId) -> int:
        """End that agent's open calls; return how many there were."""
        calls = list(self._by_agent.get(agent_id, ()))
        for call in calls:
            call.abort()
        return len(calls)

    def of_account(self, account_id: AccountId) -> int:
        return self._by_account.get(account_id, 0)

    def __iter__(self) -> Iterator[OpenCall]:
        return iter([call for calls in self._by_agent.values() for call in calls])

    def _remove(self, call: OpenCall) -> None:
        self.total -= 1
        _shrink(self._by_account, call.account_id)
        calls = self._by_agent[call.agent_id]
        calls.discard(call)
        if not calls:
            del self._by_agent[call.agent_id]


def _shrink(counts: dict[AccountId, int], account_id: AccountId) -> None:
    counts[account_id] -= 1
    if not counts[account_id]:
        del counts[account_id]
