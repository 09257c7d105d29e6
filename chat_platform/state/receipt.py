"""The open receipt under an answer: every model call behind it, with its cost."""

from collections.abc import Sequence
from typing import TypedDict

import reflex as rx

from chat_platform.context import app_context
from chat_platform.models import ModelCall
from chat_platform.state.account import AccountState
from chat_platform.state.live_reply import step_words
from chat_platform.turns import control
from chat_platform.values.ids import TurnId
from chat_platform.web.i18n import Words

Step = dict[str, str]
"""A step from the turn's log: kind, name, status, detail."""


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
        view = await control.turn_view(app_context(), account.id, TurnId(turn_id))
        say, receipt = self._words(), view.receipt
        purposes = call_purposes(say, receipt.calls, [step.data for step in view.steps])
        self.lines = [_line(say, *pair) for pair in zip(receipt.calls, purposes, strict=True)]
        self.total = say.money(receipt.usage.cost_nano_usd)
        self.open_turn = turn_id


def call_purposes(say: Words, calls: Sequence[ModelCall], steps: Sequence[Step]) -> list[str]:
    """Describe the purpose of each call, as far as the turn's steps tell.

    Failed calls were repeated: the steps describe the successful ones.
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
    """Describe the purpose of a model call."""
    return {
        "chat": say("Replies and tools"),
        "embedding": say("Archive (embeddings)"),
        "background": say("Background work"),
    }.get(kind, kind)


def _note(say: Words, call: ModelCall) -> str:
    if call.state in ("failed", "cancelled", "unknown"):
        return {
            "failed": say("failed"),
            "cancelled": say("stopped"),
            "unknown": say("not confirmed"),
        }[call.state]
    if call.cost_source in ("pending", "estimated"):
        return say("estimated") if call.cost_source == "estimated" else say("price pending")
    return ""
