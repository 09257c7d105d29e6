"""The receipt that is open under an answer: every model call behind it, with its own price."""

from typing import TypedDict

import reflex as rx

from chat_platform.billing.receipts import receipt_of
from chat_platform.context import app_context
from chat_platform.ids import AccountId
from chat_platform.models import ModelCall
from chat_platform.state.account import AccountState
from chat_platform.web.i18n import Words


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
        total, calls = await receipt_of(app_context(), AccountId(account.id), turn_id)
        say = self._words()
        self.lines = [_line(say, call) for call in calls]
        self.total = say.money(total.cost_nano_usd)
        self.open_turn = turn_id


def _line(say: Words, call: ModelCall) -> ReceiptLine:
    return ReceiptLine(
        id=call.id,
        what=kind_words(say, call.kind),
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
        "embedding": say("Searching memory"),
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
