"""The conversation as this tab shows it. What arrives right now is kept in `state/live.py`."""

from typing import Any

import reflex as rx

from chat_platform.context import app_context
from chat_platform.errors import PlatformError
from chat_platform.ids import AccountId, TurnId, new_id
from chat_platform.models import Account
from chat_platform.state.account import AccountState
from chat_platform.state.live import LiveState, end_follower, flushes
from chat_platform.state.live_reply import LiveReply
from chat_platform.state.rows import Row, RowReader, Rows, with_days
from chat_platform.turns import turns
from chat_platform.turns.lookup import question_id_of, question_of
from chat_platform.web.problem_words import problem_words


class ChatState(AccountState):
    """`older` grows by scrolling and is rarely sent; `recent` grows by talking."""

    older: list[Row] = []
    recent: list[Row] = []
    older_before: str = ""
    is_loaded: bool = False
    is_empty: bool = False
    is_window: bool = False
    """True while a part of the past is shown instead of the end."""
    marked_id: str = ""
    accepted_nonce: str = ""
    refused_nonce: str = ""
    refusal: str = ""

    @rx.event
    async def open(self) -> Any:
        """Show the newest messages, or those around the one that the address names."""
        reader = self._reader(await self._account())
        asked = self.router.url.query_parameters
        wanted = asked.get("message", "")
        if turn_id := asked.get("turn", ""):
            wanted = await question_id_of(reader.ctx, reader.account_id, turn_id) or ""
        await self._show(reader, wanted)
        return ChatState.follow

    @rx.event
    async def check(self) -> Any:
        """Look for what another tab or device wrote; the page asks now and then."""
        reader = self._reader(await self._account())
        if self.is_window:
            return None
        self._take(await reader.newest())
        return ChatState.follow

    @rx.event
    async def show_older(self) -> None:
        reader = self._reader(await self._account())
        if not self.older_before:
            return
        page = await reader.before(self.older_before)
        if not self.older:
            self.recent = with_days(self.recent, after=page.rows[-1])
        self.older = [*page.rows, *with_days(self.older, after=page.rows[-1])]
        self.older_before = page.older_before

    @rx.event
    async def show_message(self, message_id: str) -> None:
        """Show the part of the past around a message."""
        await self._show(self._reader(await self._account()), message_id)

    @rx.event
    async def show_newest(self) -> Any:
        await self._show(self._reader(await self._account()), "")
        return ChatState.follow

    @rx.event
    async def send(self, form: dict[str, Any]) -> Any:
        """Start a turn. The nonce makes a second try of the same message the same turn."""
        account = await self._account()
        nonce = str(form.get("nonce") or new_id())[:64]
        return await self._start(account, str(form.get("text", "")), nonce)

    @rx.event
    async def try_again(self, turn_id: str) -> Any:
        """Send the message of a failed turn once more, as a turn of its own."""
        account = await self._account()
        question = await question_of(app_context(), AccountId(account.id), turn_id)
        return await self._start(account, question.content, new_id())

    @rx.event
    async def stop(self) -> None:
        """End the running turn; what has arrived is kept."""
        account = await self._account()
        live = await self.get_state(LiveState)
        if live.is_replying:
            live.is_stopping = True
            await turns.cancel_turn(app_context(), AccountId(account.id), TurnId(live.turn_id))

    @rx.event(background=True)
    async def follow(self) -> None:
        """Show the account's running turn, from its beginning until it has ended."""
        async with self:
            reader = self._reader(await self._account())
            turn_id = await turns.running_turn(reader.ctx, reader.account_id)
            live = await self.get_state(LiveState)
            follower = live._begin(turn_id) if turn_id else None
        if turn_id is None or follower is None:
            return
        try:
            await self._show_reply(reader, turn_id, follower)
        finally:
            end_follower(follower)
            await self._settle(reader, follower)

    async def _show_reply(self, reader: RowReader, turn_id: TurnId, follower: int) -> None:
        reply = LiveReply(reader.say)
        async for _ in flushes(turns.follow(reader.ctx, reader.account_id, turn_id), reply):
            async with self:
                live = await self.get_state(LiveState)
                if live._follower != follower:
                    return
                live._show(reply)

    async def _settle(self, reader: RowReader, follower: int) -> None:
        """Put the message in the place of the live reply, in one update."""
        newest = await reader.newest()
        async with self:
            live = await self.get_state(LiveState)
            if live._follower == follower:
                live._clear()
                if not self.is_window:
                    self._take(newest)

    async def _start(self, account: Account, text: str, nonce: str) -> Any:
        self.refusal = self.refused_nonce = ""
        try:
            await turns.start_turn(app_context(), account, text=text, idempotency_key=nonce)
        except PlatformError as exc:
            self.refusal = problem_words(self._words(), exc.code, exc.message)
            self.refused_nonce = nonce
            return None
        self.accepted_nonce = nonce
        reader = self._reader(account)
        if self.is_window:
            await self._show(reader, "")
        else:
            self._take(await reader.newest())
        return ChatState.follow

    def _reader(self, account: Account) -> RowReader:
        return RowReader(app_context(), AccountId(account.id), self._words(), self._zone())

    async def _show(self, reader: RowReader, message_id: str) -> None:
        page = await (reader.around(message_id) if message_id else reader.newest())
        self.older, self.recent = [], page.rows
        self.older_before = page.older_before
        self.is_window = bool(message_id)
        self.marked_id = message_id
        self.is_loaded, self.is_empty = True, not page.rows

    def _take(self, newest: Rows) -> None:
        """Show the newest rows; where they join what is shown already, keep that."""
        self.is_empty = not newest.rows
        known = [row["id"] for row in self.recent]
        first = newest.rows[0]["id"] if newest.rows else ""
        if first not in known:
            self.older, self.recent = [], newest.rows
            self.older_before = newest.older_before
            return
        if moved := self.recent[: known.index(first)]:
            self.older = [*self.older, *moved]
        recent = with_days(newest.rows, after=self.older[-1] if self.older else None)
        if recent != self.recent:
            self.recent = recent
