"""What must hold after every run, whatever went wrong in it. Each law returns its violations."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlmodel import select

from chat_platform.billing.ledger_rows import MAX_COST_NANO_USD, MAX_TOKENS
from chat_platform.billing.receipts import receipt_of, usage_of
from chat_platform.context import AppContext
from chat_platform.database.engine import reading
from chat_platform.models import Budget, Message, ModelCall, Turn
from chat_platform.turns import event_log
from chat_platform.turns.events import END_TYPES, TurnEvent, text_of
from chat_platform.values.ids import TurnId
from tests.faults.agents import Agents, Run
from tests.faults.facts import Facts
from tests.faults.gateway import Gateway
from tests.faults.scripts import HONEST

_ENDS = {"finished": "turn.completed", "failed": "turn.failed", "cancelled": "turn.cancelled"}


@dataclass(frozen=True)
class Outcome:
    """Everything stored when a run has come to rest, and what was observed of it."""

    facts: Facts
    agents: Agents
    gateway: Gateway
    is_calm: bool
    turns: Sequence[Turn]
    logs: dict[TurnId, list[TurnEvent]]
    messages: Sequence[Message]
    calls: Sequence[ModelCall]
    budgets: Sequence[Budget]
    receipts: dict[TurnId, int]

    def run_of(self, turn: Turn) -> Run | None:
        text = self.user_text(turn)
        return next((run for run in self.agents.runs if run.text == text), None)

    def user_text(self, turn: Turn) -> str:
        return next(m.content for m in self.messages if m.turn_id == turn.id and m.role == "user")

    def replies(self, turn: Turn) -> list[Message]:
        return [m for m in self.messages if m.turn_id == turn.id and m.role == "assistant"]

    @property
    def talks(self) -> list[Turn]:
        return [turn for turn in self.turns if turn.kind == "message"]


async def outcome_of(
    ctx: AppContext, facts: Facts, agents: Agents, gateway: Gateway, *, is_calm: bool
) -> Outcome:
    async with reading(ctx.engine) as session:
        turns = (await session.exec(select(Turn))).all()
        messages = (await session.exec(select(Message))).all()
        calls = (await session.exec(select(ModelCall))).all()
        budgets = (await session.exec(select(Budget))).all()
    logs = {turn.id: await event_log.read(ctx, turn.id) for turn in turns}
    receipts = {turn.id: await _receipt(ctx, turn) for turn in turns}
    return Outcome(facts, agents, gateway, is_calm, turns, logs, messages, calls, budgets, receipts)


async def _receipt(ctx: AppContext, turn: Turn) -> int:
    receipt = await receipt_of(ctx, turn.id)
    assert receipt.usage == await usage_of(ctx, turn.id)
    return receipt.usage.cost_nano_usd


def each_call_stands_once(o: Outcome) -> Iterator[str]:
    stored = Counter(call.id for call in o.calls)
    for sent in o.gateway.sent:
        if stored[sent.call_id] != 1:
            yield f"{sent} was sent and stands {stored[sent.call_id]} times"
    # A request that a kept connection dropped at once, apparently unread, is sent again.
    twice = [call_id for call_id, n in o.gateway.answered.items() if n > 1]
    yield from (f"{call_id} was answered more than once" for call_id in twice)


def sums_agree(o: Outcome) -> Iterator[str]:
    for budget in o.budgets:
        own = [call for call in o.calls if call.account_id == budget.account_id]
        paid = [call for call in own if call.period_start_ms == budget.period_start_ms]
        spent = sum(call.cost_nano_usd for call in paid)
        background = sum(call.cost_nano_usd for call in paid if call.kind == "background")
        if (budget.spent_nano_usd, budget.background_spent_nano_usd) != (spent, background):
            yield f"{budget} but its rows cost {spent}, {background} of it in the background"
        in_turns = sum(r for t, r in o.receipts.items() if _owner(o, t) == budget.account_id)
        outside = sum(call.cost_nano_usd for call in own if call.turn_id is None)
        if in_turns + outside != sum(call.cost_nano_usd for call in own):
            yield f"{budget.account_id}: receipts of {in_turns} and {outside} outside of turns"


def a_turn_ends_once(o: Outcome) -> Iterator[str]:
    for turn in o.talks:
        events = o.logs[turn.id]
        ends = [event.type for event in events if event.type in END_TYPES]
        if ends != [_ENDS.get(turn.status)] or events[-1].type not in END_TYPES:
            yield f"turn {turn.id} is {turn.status}, and its log ends {ends}"
        reached = 0
        for event in events:
            reached += event.width
            if event.number != reached:
                yield f"turn {turn.id} has number {event.number} at {reached}"
                break


def a_reply_is_what_the_agent_said(o: Outcome) -> Iterator[str]:
    for turn in o.talks:
        replies, run = o.replies(turn), o.run_of(turn)
        text = text_of(o.logs[turn.id])
        if [reply.content for reply in replies] != ([text] if text else []):
            yield f"turn {turn.id}: the log says {text!r}, the history {replies}"
        said = run.said if run else ""
        if not said.startswith(text):
            yield f"turn {turn.id}: {text!r} is no beginning of {said!r}"
        if turn.status == "finished" and not (run and run.is_whole and text == said):
            yield f"turn {turn.id} finished with {text!r}; the agent said {said!r} ({run})"
        is_complete = bool(replies) and replies[0].status == "complete"
        if is_complete and turn.status != "finished":
            yield f"turn {turn.id} is {turn.status} with a reply called complete"


def readers_saw_a_beginning(o: Outcome) -> Iterator[str]:
    for reader in o.facts.readings:
        log = o.logs.get(reader.turn_id)
        if log is None:
            yield f"turn {reader.turn_id} was read and is not stored"
            continue
        rests = [event.rest_after(reader.after) for event in log]
        whole = text_of([event for event in rests if event])
        if not whole.startswith(reader.text):
            yield f"a reader after {reader.after} saw {reader.text!r} of {whole!r}"
        ends = [event.type for event in reader.seen if event.is_end]
        if ends and (ends != [log[-1].type] or reader.text != whole):
            yield f"a reader saw {ends} after {reader.text!r}; stored is {log[-1].type} {whole!r}"


def nothing_is_held(o: Outcome) -> Iterator[str]:
    yield from (f"still running: {turn}" for turn in o.turns if turn.status == "running")
    yield from (f"still open: {call}" for call in o.calls if call.state == "dispatched")
    for budget in o.budgets:
        held = budget.reserved_nano_usd, budget.open_calls, budget.background_reserved_nano_usd
        if any(held):
            yield f"nothing is open, and held is {held}: {budget}"
    yield from (f"goes on without its turn: {run}" for run in o.agents.runs if not run.is_over)


def each_call_has_its_cause(o: Outcome) -> Iterator[str]:
    sent = {s.call_id: s for s in o.gateway.sent}
    texts = {turn.id: o.user_text(turn) for turn in o.talks}
    scripts = {run.text: run.script for run in o.agents.runs}
    for call in o.calls:
        cause = sent.get(call.id)  # pyright: ignore[reportCallIssue, reportArgumentType]
        if cause is None and call.cost_nano_usd and call.state != "unknown":
            yield f"was never sent, and costs: {call}"
        # What an agent does after its run cannot be told from what a later run does.
        is_late = cause and cause.step >= scripts[cause.text].calls
        if cause and call.turn_id and not is_late and texts.get(call.turn_id) != cause.text:
            yield f"{cause} is booked to the turn of {texts.get(call.turn_id)}"


def an_answered_call_costs_what_it_did(o: Outcome) -> Iterator[str]:
    """If the gateway told the truth, and the call's process lived to book it."""
    kinds = {s.call_id: o.gateway.scripted(s).kind for s in o.gateway.sent}
    for call in o.calls:
        truth = o.gateway.truth.get(call.id)  # pyright: ignore[reportCallIssue, reportArgumentType]
        is_honest = kinds.get(call.id) in HONEST  # pyright: ignore[reportCallIssue, reportArgumentType]
        is_known = call.state == "settled" or o.gateway.has_logs
        if truth and is_honest and is_known and call.cost_nano_usd != truth.cost_nano_usd:
            yield f"cost {truth.cost_nano_usd}: {call}"


def agents_hear_their_own_answers(o: Outcome) -> Iterator[str]:
    """Not what the gateway sends unasked, nor another's answer, nor half of one as if complete."""
    for run in o.agents.runs:
        for step, heard in run.heard:
            sent = [s for s in o.gateway.sent if (s.text, s.step) == (run.text, step)]
            answers = [o.gateway.scripted(s).text for s in sent]
            if heard.text is not None and heard.text not in answers:
                yield f"step {step} of {run.id} heard {heard.text!r}, of {answers}"


def no_lie_costs_beyond_measure(o: Outcome) -> Iterator[str]:
    for call in o.calls:
        if not 0 <= call.cost_nano_usd <= MAX_COST_NANO_USD:
            yield f"costs {call.cost_nano_usd}: {call}"
        tokens = call.prompt_tokens, call.completion_tokens
        if not all(0 <= count <= MAX_TOKENS for count in tokens):
            yield f"used {tokens} tokens: {call}"


def no_budget_is_exceeded(o: Outcome) -> Iterator[str]:
    """Except by what calls cost above what they held."""
    for budget in o.budgets:
        paid = [
            call
            for call in o.calls
            if (call.account_id, call.period_start_ms)
            == (budget.account_id, budget.period_start_ms)
        ]
        above = sum(
            call.cost_nano_usd
            if call.owner in o.facts.dead_owners
            else max(0, call.cost_nano_usd - call.reserved_nano_usd)
            for call in paid
        )
        if budget.spent_nano_usd > budget.limit_nano_usd + above:
            yield f"{budget} is exceeded by more than {above}"


def cancel_reaches_its_own_turn(o: Outcome) -> Iterator[str]:
    for turn in o.talks:
        if turn.status == "cancelled" and turn.id not in o.facts.cancelled:
            yield f"turn {turn.id} is cancelled, and nobody asked for it"
        run = o.run_of(turn)
        if run and run.was_cancelled and turn.status == "finished":
            yield f"the run of turn {turn.id}, which finished, was cancelled"


def calm_turns_finish(o: Outcome) -> Iterator[str]:
    for turn in o.talks if o.is_calm else ():
        if turn.status != "finished" and turn.id not in o.facts.cancelled:
            yield f"nothing went wrong, and turn {turn.id} {turn.status} {turn.error_code}"


def errors_are_known(o: Outcome) -> Iterator[str]:
    yield from o.facts.surprises


def _owner(o: Outcome, turn_id: str) -> str:
    return next(turn.account_id for turn in o.turns if turn.id == turn_id)


Law = Callable[[Outcome], Iterator[str]]

LAWS: tuple[Law, ...] = (
    each_call_stands_once,
    sums_agree,
    a_turn_ends_once,
    a_reply_is_what_the_agent_said,
    readers_saw_a_beginning,
    nothing_is_held,
    each_call_has_its_cause,
    an_answered_call_costs_what_it_did,
    agents_hear_their_own_answers,
    no_lie_costs_beyond_measure,
    no_budget_is_exceeded,
    cancel_reaches_its_own_turn,
    calm_turns_finish,
    errors_are_known,
)
