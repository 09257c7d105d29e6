"""Messages as the chat page shows them: one row each, with text, dates and the receipt's line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict
from zoneinfo import ZoneInfo

from chat_platform.billing.receipts import TurnTotal, totals_of
from chat_platform.context import AppContext
from chat_platform.conversations.history import (
    HistoryPage,
    goes_on,
    history_page,
    messages_after,
    page_around,
)
from chat_platform.models import Message, Turn
from chat_platform.turns.failures import error_of
from chat_platform.values.ids import AccountId, MessageId
from chat_platform.web.error_words import error_words
from chat_platform.web.i18n import Words, at_ms
from chat_platform.web.rendering import html_of

PAGE_MESSAGES = 40


class Row(TypedDict):
    id: str
    role: str
    html: str
    """An answer as safe HTML."""
    text: str
    """The person's text, unchanged."""
    time: str
    date: str
    day: str
    """The formatted day; messages.js shows it above the first message of each day."""
    turn_id: str
    receipt: str
    """The cost in one line, under answers."""
    problem: str
    """Why the turn failed, under its last message."""
    is_stopped: bool


@dataclass(frozen=True)
class Rows:
    """Rows from oldest to newest, and whether there are older ones."""

    rows: list[Row]
    has_older: bool


@dataclass(frozen=True)
class RowReader:
    """Reads the rows of one person, in their language and time zone."""

    ctx: AppContext
    account_id: AccountId
    say: Words
    zone: ZoneInfo

    async def newest(self) -> Rows:
        return await self._shown(await history_page(self.ctx, self.account_id, limit=PAGE_MESSAGES))

    async def before(self, message_id: str) -> Rows:
        """Return the page before the message. Raises Invalid for a message that isn't theirs."""
        return await self._shown(
            await history_page(
                self.ctx, self.account_id, limit=PAGE_MESSAGES, before=MessageId(message_id)
            )
        )

    async def after(self, message_id: str) -> Rows:
        """Return the page after the message. Raises Invalid for a message that isn't theirs."""
        messages = await messages_after(
            self.ctx, self.account_id, MessageId(message_id), limit=PAGE_MESSAGES
        )
        return Rows(await self._rows(messages), has_older=True)

    async def around(self, message_id: str) -> Rows:
        return await self._shown(
            await page_around(self.ctx, self.account_id, MessageId(message_id), limit=PAGE_MESSAGES)
        )

    async def _shown(self, page: HistoryPage) -> Rows:
        return Rows(await self._rows(page.messages), page.next_before is not None)

    async def _rows(self, messages: Sequence[Message]) -> list[Row]:
        totals = await totals_of(self.ctx, self.account_id, {m.turn_id for m in messages})
        last_ids = {message.turn_id: message.id for message in messages}
        if messages and messages[-1].role == "user" and await goes_on(self.ctx, messages[-1]):
            del last_ids[messages[-1].turn_id]
        return [
            await self._row(m, totals.get(m.turn_id) if last_ids.get(m.turn_id) == m.id else None)
            for m in messages
        ]

    async def _row(self, message: Message, total: TurnTotal | None) -> Row:
        """`total` is given for the turn's last message, which shows how the turn ended."""
        at = at_ms(message.created_at_ms, self.zone)
        is_answer = message.role == "assistant"
        status = total.turn.status if total else "running"
        return Row(
            id=message.id,
            role=message.role,
            html=await html_of(message.content, self.say.language) if is_answer else "",
            text="" if is_answer else message.content,
            time=self.say.time(at),
            date=at.date().isoformat(),
            day=self.say.day(at),
            turn_id=message.turn_id,
            receipt=self._receipt(total) if total and status != "running" else "",
            problem=self._problem(total.turn) if total and status == "failed" else "",
            is_stopped=status == "cancelled",
        )

    def _receipt(self, total: TurnTotal) -> str:
        tokens = self.say.many("{number} token", "{number} tokens", total.usage.total_tokens)
        return f"{self.say.money(total.usage.cost_nano_usd)} · {tokens}"

    def _problem(self, turn: Turn) -> str:
        return error_words(self.say, self.zone, error_of(turn.error_code or ""))
