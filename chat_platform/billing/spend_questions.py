"""When to ask the gateway again what a call cost: soon at first, then at growing intervals."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from chat_platform.values.ids import AccountId, CallId

FIRST_PAUSE_SECONDS = 25
"""Gateways write their logs every ten seconds or so; the reconciliation runs every 30."""
MAX_PAUSE_SECONDS = 3_600
MAX_ACCOUNTS = 200
"""How many are asked about per run, with one request each. The others follow in the next."""


class UnsureCall(NamedTuple):
    """A call whose cost the gateway may still report."""

    id: CallId
    account_id: AccountId
    started_at_ms: int
    cost_source: str


class _Pause(NamedTuple):
    until: float
    seconds: float


_NEVER_ASKED = _Pause(0.0, 0.0)


class SpendQuestions:
    """What one process has asked about, and when it may ask again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pauses: dict[CallId, _Pause] = {}

    def due(self, calls: Sequence[UnsureCall]) -> dict[AccountId, list[UnsureCall]]:
        """Return what to ask about now, by account; forget calls that are no longer uncertain.

        If an account is due, its calls that would be due soon are included.
        """
        ids = {call.id for call in calls}
        self._pauses = {key: pause for key, pause in self._pauses.items() if key in ids}
        now = self._clock()
        accounts = dict.fromkeys(c.account_id for c in calls if self._pause(c.id).until <= now)
        chosen: dict[AccountId, list[UnsureCall]] = {
            account_id: [] for account_id in list(accounts)[:MAX_ACCOUNTS]
        }
        for call in calls:
            if call.account_id in chosen and self._is_soon(call.id, now):
                chosen[call.account_id].append(call)
        return chosen

    def asked(self, calls: Collection[UnsureCall]) -> None:
        now = self._clock()
        for call in calls:
            seconds = min(MAX_PAUSE_SECONDS, 2 * self._pause(call.id).seconds)
            seconds = seconds or FIRST_PAUSE_SECONDS
            self._pauses[call.id] = _Pause(now + seconds, seconds)

    def _pause(self, call_id: CallId) -> _Pause:
        return self._pauses.get(call_id, _NEVER_ASKED)

    def _is_soon(self, call_id: CallId, now: float) -> bool:
        pause = self._pause(call_id)
        return pause.until - now <= pause.seconds / 2
