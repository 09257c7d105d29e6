"""The conversation as this tab shows it. What arrives right now is kept in `state/live.py`."""

from collections.abc import AsyncGenerator
from typing import Any

import reflex as rx

from chat_platform.context import app_context
from chat_platform.errors import BudgetSpent, PlatformError
from chat_platform.ids import AccountId, TurnId, new_id
from chat_platform.models import Account
from chat_platform.state.account import AccountState
from chat_platform.state.live import LiveState, end_follower, flushes
from chat_platform.state.live_reply import LiveReply
from chat_platform.state.pieces import (
    NOTHING,
    Mark,
    Piece,
    end_piece,
    following_piece,
    marks_of,
    newer_piece,
    older_piece,
)
from chat_platform.state.rows import RowReader, Rows
from chat_platform.state.watching import Tab, news_of, renew
from chat_platform.turns import turns
from chat_platform.turns.lookup import question_id_of, question_of


class ChatState(AccountState):
    """Holds the last pieces that were sent; all messages together are in the browser alone."""

    end: Piece = NOTHING
    older: Piece = NOTHING
    newest: Piece = NOTHING
    _known: list[Mark] = []
    """The newest rows that the page has."""
    is_loaded: bool = False
    is_empty: bool = False
    is_window: bool = False
    """True while a part of the past is shown instead of the end."""
    marked_id: str = ""
    accepted_nonce: str = ""
    refused_nonce: str = ""
    refusal: str = ""
    is_over_budget: bool = False

    @rx.event
    async def open(self) -> Any:
        """Show the newest messages, or those around the one that the address names."""
        reader = self._reader(await self._account())
        asked = self.router.url.query_parameters
        wanted = asked.get("message", "")
        if turn_id := asked.get("turn", ""):
            wanted = await question_id_of(reader.ctx, reader.account_id, turn_id) or ""
        await self._show(reader, wanted)
        return [ChatState.follow, *self._watching(reader)]

    @rx.event
    async def check(self) -> Any:
        """Go on waiting for what other tabs write, and look for what was missed.

        The page calls this now and then: it is also its sign of life.
        """
        reader = self._reader(await self._account())
        watching = self._watching(reader)
        if self.is_window:
            return watching
        self._take(await reader.newest())
        return [ChatState.follow, *watching]

    @rx.event(background=True)
    async def watch(self) -> AsyncGenerator[Any, None]:
        """Show each turn that another tab or device begins, as long as this tab is there."""
        async with self:
            reader = self._reader(await self._account())
            tab = self._tab(reader)
        async for _ in news_of(reader.ctx, tab):
            newest = await reader.newest()
            async with self:
                if (await self._account()).id != reader.account_id:
                    return
                if not self.is_window:
                    self._take(newest)
            yield ChatState.follow

    @rx.event
    async def show_older(self, before: str) -> None:
        """Send the page of messages before one that the page has."""
        reader = self._reader(await self._account())
        self.older = older_piece(await reader.before(before), before)

    @rx.event
    async def show_newer(self, after: str) -> Any:
        """Send what follows a window of the past, which ends where the newest messages begin."""
        reader = self._reader(await self._account())
        newest = await reader.newest()
        if all(row["id"] != after for row in newest.rows):
            self.newest = following_piece(await reader.after(after), after)
            return None
        self.newest = following_piece(newest, after)
        self.is_window, self._known = False, marks_of(newest)
        return ChatState.follow

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
        self.is_over_budget = False
        try:
            await turns.start_turn(app_context(), account, text=text, idempotency_key=nonce)
        except PlatformError as exc:
            self.refusal = self._why(exc)
            self.refused_nonce = nonce
            self.is_over_budget = isinstance(exc, BudgetSpent)
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

    def _watching(self, reader: RowReader) -> list[Any]:
        return [ChatState.watch] if renew(self._tab(reader)) else []

    def _tab(self, reader: RowReader) -> Tab:
        return self.router.session.client_token, reader.account_id

    async def _show(self, reader: RowReader, message_id: str) -> None:
        page = await (reader.around(message_id) if message_id else reader.newest())
        self.is_window = bool(message_id)
        self.end = end_piece(page, is_window=self.is_window)
        self._known = marks_of(page)
        self.marked_id = message_id
        self.is_loaded, self.is_empty = True, not page.rows

    def _take(self, newest: Rows) -> None:
        """Send what the page lacks of the newest rows."""
        self.is_empty = not newest.rows
        piece = newer_piece(newest, self._known)
        self._known = marks_of(newest)
        if piece and piece["joins"]:
            self.newest = piece
        elif piece:
            self.end = piece
