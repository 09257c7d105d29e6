"""The receipt that is open under an answer: every model call behind it, with its own price."""

from collections.abc import Sequence
from typing import TypedDict

import reflex as rx

from chat_platform.billing.receipts import receipt_of
from chat_platform.context import app_context
from chat_platform.ids import AccountId
from chat_platform.models import ModelCall
from chat_platform.state.account import AccountState
from chat_platform.state.live_reply import step_words
from chat_platform.turns import log as turn_log
from chat_platform.web.i18n import Words

Step = dict[str, str]
"""A step as the turn's log tells it: kind, name, status, detail."""


class ReceiptLine(TypedDict):
    id: str
    what: str
    model: str
    tokens: str
    seconds: str
    cost: str
    note: str


class ReceiptState(AccountState):
    open_turn: str = ""
    lines: list[ReceiptLine] = []
    total: str = ""

    @rx.event
    async def toggle(self, turn_id: str) -> None:
        """Open a turn's receipt, or close it."""
        account = await self._account()
        if self.open_turn == turn_id:
            self.open_turn, self.lines = "", []
            return
        ctx = app_context()
        total, calls = await receipt_of(ctx, AccountId(account.id), turn_id)
        events = await turn_log.read(ctx, total.turn_id)
        say = self._words()
        purposes = call_purposes(say, calls, [e.data for e in events if e.type == "step"])
        self.lines = [_line(say, *pair) for pair in zip(calls, purposes, strict=True)]
        self.total = say.money(total.cost_nano_usd)
        self.open_turn = turn_id


def call_purposes(say: Words, calls: Sequence[ModelCall], steps: Sequence[Step]) -> list[str]:
    """Say of each call what it was for, as far as the turn's steps tell.

    Calls that failed were repeated: the steps speak of those that succeeded.
    """
    asked = _purposes_of_steps(say, steps)
    succeeded = [call.id for call in calls if call.kind == "chat" and call.state == "settled"]
    known = dict(zip(succeeded, asked, strict=False)) if len(succeeded) == len(asked) else {}
    return [known.get(call.id, kind_words(say, call.kind)) for call in calls]


def _purposes_of_steps(say: Words, steps: Sequence[Step]) -> list[str]:
    """Return what each model call led to: tools, a memory edit, a summary, or the reply."""
    purposes: list[str] = []
    for step in steps:
        if step["status"] != "started":
            continue
        words = step_words(say, step["kind"], step["name"])
        if step["kind"] == "compaction":
            purposes.append(words)
        elif step["kind"] == "model_call":
            purposes.append(say("Reply"))
        elif purposes and purposes[-1] == say("Reply"):
            purposes[-1] = words
        elif purposes:
            purposes[-1] += f", {words}"
    return purposes


def _line(say: Words, call: ModelCall, what: str) -> ReceiptLine:
    return ReceiptLine(
        id=call.id,
        what=what,
        model=call.model,
        tokens=f"{say.number(call.prompt_tokens)} → {say.number(call.completion_tokens)}",
        seconds=say("{seconds} s", seconds=say.decimal((call.total_ms or 0) / 1000)),
        cost=say.money(call.cost_nano_usd),
        note=_note(say, call),
    )


def kind_words(say: Words, kind: str) -> str:
    """Say what a model call was for."""
    return {
        "chat": say("Reply and tools"),
        "embedding": say("Archive (embedding)"),
        "background": say("Outside a turn"),
    }.get(kind, kind)


def _note(say: Words, call: ModelCall) -> str:
    if call.state in ("failed", "cancelled", "unknown"):
        return {
            "failed": say("failed"),
            "cancelled": say("stopped"),
            "unknown": say("not confirmed"),
        }[call.state]
    if call.cost_source in ("pending", "estimated"):
        return say("estimated") if call.cost_source == "estimated" else say("price to come")
    return ""
