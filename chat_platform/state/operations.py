"""What an operator watches, as text for the page. Everyone but administrators gets a 404."""

from collections.abc import Sequence
from typing import Any, TypedDict

import reflex as rx

from chat_platform.accounts.limits import counts_as
from chat_platform.billing.platform_budget import CapView, PlatformBudget
from chat_platform.billing.usage import UsageLine
from chat_platform.context import app_context
from chat_platform.database.away import AWAY, unavailable
from chat_platform.errors import PlatformError
from chat_platform.operations.background import Background
from chat_platform.operations.failures import Failure, Failures
from chat_platform.operations.overview import Overview, overview
from chat_platform.operations.peers import Peer
from chat_platform.operations.people import Newcomer, People
from chat_platform.process.rate_limits import SEARCHES_OF_ACCOUNT
from chat_platform.state.administrator import AdministratorState
from chat_platform.state.gauges import budget_state, share_of
from chat_platform.web.i18n import Words, at_ms


class Figure(TypedDict):
    name: str
    value: str
    about: str
    """A line below the figure, or empty."""


class Row(TypedDict):
    name: str
    about: str
    value: str
    state: str
    """Empty, or `bad` for what needs attention; for a gauge `nearly` or `spent`."""
    share: str
    """The gauge's length; empty without a gauge."""


class OperationsState(AdministratorState):
    is_loaded: bool = False
    as_of: str = ""
    operations_problem: str = ""
    parts: list[Row] = []
    """The platform itself, and what it needs, with their versions."""
    people: list[Figure] = []
    newest: list[Row] = []
    spending: list[Figure] = []
    models: list[Row] = []
    caps: list[Row] = []
    outcomes: list[Figure] = []
    turn_errors: list[Row] = []
    call_errors: list[Row] = []
    work: list[Figure] = []

    @rx.event
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def open(self) -> Any:
        if (await self._account()).role != "admin":
            return rx.redirect("/404")
        await self._read()
        return None

    @rx.event
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def refresh(self) -> None:
        await self._admin()
        await self._read()

    async def _read(self) -> None:
        """Show what is true now; after a failure, what was true before and why it is old."""
        self.operations_problem = ""
        try:
            self._show(await overview(app_context()))
        except PlatformError as exc:
            self.operations_problem = self._why(exc)
        except AWAY:
            self.operations_problem = self._why(unavailable())

    def _show(self, read: Overview) -> None:
        say = self._words()
        self.as_of = say("As of {moment}", moment=self._moment(read.at_ms))
        self.parts = [_row(say("AI Chat Platform"), about=read.version), *_peers(say, read)]
        self.people = _people(say, read.people)
        self.newest = [self._newcomer(each) for each in read.people.newest]
        self.spending = [
            _spent(say, say("Today"), read.spending.day),
            _spent(say, say("This month"), read.spending.month),
        ]
        self.models = _models(say, read.spending.models)
        self.caps = _caps(say, read.caps)
        self.outcomes = _outcomes(say, read.failures)
        self.turn_errors = [self._failure(each) for each in read.failures.turns]
        self.call_errors = [self._failure(each) for each in read.failures.calls]
        self.work = self._work(read.background)
        self.is_loaded = True

    def _moment(self, ms: int) -> str:
        return self._words().moment(at_ms(ms, self._zone()))

    def _newcomer(self, each: Newcomer) -> Row:
        return _row(each.email, value=self._moment(each.created_at_ms))

    def _failure(self, failure: Failure) -> Row:
        say = self._words()
        last = say("last on {moment}", moment=self._moment(failure.last_at_ms))
        return _row(failure.code, about=last, value=say.number(failure.number))

    def _work(self, read: Background) -> list[Figure]:
        say = self._words()
        oldest = read.oldest_pending_ms
        since = say("since {moment}", moment=self._moment(oldest)) if oldest else ""
        return [
            _figure(say("Answers in progress"), say.number(read.running_turns)),
            _figure(say("Open calls"), say.number(read.open_calls)),
            _figure(say("Abandoned"), say.number(read.overdue), say("by a stopped server")),
            _figure(say("Pending prices"), say.number(read.pending_prices), since),
            _figure(say("Unsettled calls"), say.number(read.unsettled_calls)),
            _figure(say("Waiting writes"), say.number(read.waiting_writes)),
            _figure(say("Deletions"), say.number(read.deletions)),
        ]


def _row(name: str, *, about: str = "", value: str = "", state: str = "", share: str = "") -> Row:
    return Row(name=name, about=about, value=value, state=state, share=share)


def _figure(name: str, value: str, about: str = "") -> Figure:
    return Figure(name=name, value=value, about=about)


def _peers(say: Words, read: Overview) -> list[Row]:
    names = {
        "database": say("Database"),
        "agent_server": say("Agent server"),
        "billing_gateway": say("Billing gateway"),
    }
    schema = say("schema {version}", version=read.schema)
    more = {"database": f" · {schema}"}
    return [_peer(say, peer, names[peer.name], more.get(peer.name, "")) for peer in read.peers]


def _peer(say: Words, peer: Peer, name: str, more: str) -> Row:
    word = say("Available") if peer.is_ok else say("Not available")
    took = say("{number} ms", number=say.number(peer.ms))
    about = (peer.version or say("Version unknown")) + more
    state = "" if peer.is_ok else "bad"
    return _row(name, about=about, value=f"{word} · {took}", state=state)


def _people(say: Words, read: People) -> list[Figure]:
    disabled = say("{number} disabled", number=say.number(read.disabled)) if read.disabled else ""
    return [
        _figure(say("Accounts"), say.number(read.total), disabled),
        _figure(say("Active today"), say.number(read.active_today)),
        _figure(say("Active in 7 days"), say.number(read.active_week)),
    ]


def _spent(say: Words, name: str, line: UsageLine) -> Figure:
    calls = say.many("{number} model call", "{number} model calls", line.model_calls)
    return _figure(name, say.money(line.cost_nano_usd), calls)


def _models(say: Words, lines: Sequence[UsageLine]) -> list[Row]:
    greatest = max((line.cost_nano_usd for line in lines), default=0)
    return [
        _row(
            line.name,
            about=say.many("{number} model call", "{number} model calls", line.model_calls),
            value=say.money(line.cost_nano_usd),
            share=share_of(line.cost_nano_usd, greatest),
        )
        for line in lines
    ]


def _caps(say: Words, budget: PlatformBudget) -> list[Row]:
    return [
        *([_cap(say, say("All time"), budget.total)] if budget.total else []),
        *([_cap(say, say("Today, until 00:00 UTC"), budget.day)] if budget.day else []),
    ]


def _cap(say: Words, name: str, cap: CapView) -> Row:
    spent, limit = cap.spent_nano_usd, cap.limit_nano_usd
    return _row(
        name,
        value=say("{spent} of {limit}", spent=say.money(spent), limit=say.money(limit)),
        state=budget_state(spent, limit),
        share=share_of(spent, limit),
    )


def _outcomes(say: Words, read: Failures) -> list[Figure]:
    return [
        _figure(say("Finished"), say.number(read.finished)),
        _figure(say("Failed"), say.number(read.failed)),
        _figure(say("Stopped"), say.number(read.cancelled)),
    ]
