"""The conversation as this tab shows it. The arriving reply is in `state/live.py`."""

import time
from collections.abc import AsyncGenerator
from typing import Any

import reflex as rx

from chat_platform.context import app_context
from chat_platform.errors import PlatformError
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
from chat_platform.turns import control
from chat_platform.turns.lookup import question_id_of, question_of
from chat_platform.turns.tracing import trace_request
from chat_platform.values.ids import TurnId, new_id


class ChatState(AccountState):
    """Holds only the last pieces sent; all messages together are kept in the browser."""

    end: Piece = NOTHING
    older: Piece = NOTHING
    newest: Piece = NOTHING
    _known: list[Mark] = []
    """The newest rows that the page has."""
    _lacks_end: bool = False
    """True if the last of them belongs to a turn that was still running when they were read."""
    is_loaded: bool = False
    is_empty: bool = False
    is_window: bool = False
    """True while older messages are shown instead of the end."""
    marked_id: str = ""
    accepted_nonce: str = ""
    refused_nonce: str = ""
    refusal: str = ""
    is_over_budget: bool = False

    @rx.event
    async def open(self) -> Any:
        """Show the newest messages, or those around the one in the URL."""
        reader = self._reader(await self._account())
        asked = self.router.url.query_parameters
        wanted = asked.get("message", "")
        if turn_id := asked.get("turn", ""):
            wanted = await question_id_of(reader.ctx, reader.account_id, TurnId(turn_id)) or ""
        await self._show(reader, wanted)
        return [ChatState.follow, *self._watching(reader)]

    @rx.event
    async def check(self) -> Any:
        """Keep waiting for what other tabs write, and catch up on what was missed.

        The page calls this regularly, also as a sign of life.
        """
        reader = self._reader(await self._account())
        watching = self._watching(reader)
        if self.is_window:
            return watching
        self._take(await reader.newest())
        return [ChatState.follow, *watching]

    @rx.event(background=True)
    async def watch(self) -> AsyncGenerator[Any, None]:
        """Show each turn started in another tab or on another device, while this tab is open."""
        async with self:
            reader = self._reader(await self._account())
            tab = self._tab(reader)
        async for _ in news_of(reader.ctx, tab):
            async with self:
                if (await self._account()).id != reader.account_id:
                    return
                if not self.is_window:
                    # Read while no other handler runs: an older answer must not follow a newer.
                    self._take(await reader.newest())
            yield ChatState.follow

    @rx.event
    async def show_older(self, before: str) -> None:
        """Send the messages before the oldest one that the page has."""
        reader = self._reader(await self._account())
        self.older = older_piece(await reader.before(before), before)

    @rx.event
    async def show_newer(self, after: str) -> Any:
        """Send what follows a section of older messages, up to the newest ones."""
        reader = self._reader(await self._account())
        newest = await reader.newest()
        if all(row["id"] != after for row in newest.rows):
            self.newest = following_piece(await reader.after(after), after)
            return None
        self.newest = following_piece(newest, after)
        self.is_window = False
        self._note_known(newest)
        return ChatState.follow

    @rx.event
    async def show_message(self, message_id: str) -> None:
        """Show the messages around a given one."""
        await self._show(self._reader(await self._account()), message_id)

    @rx.event
    async def show_newest(self) -> Any:
        await self._show(self._reader(await self._account()), "")
        return ChatState.follow

    @rx.event
    async def send(self, form: dict[str, Any]) -> Any:
        """Start a turn. With the nonce, a retry of the same message is the same turn."""
        account = await self._account()
        nonce = str(form.get("nonce") or new_id())[:64]
        return await self._start(account, str(form.get("text", "")), nonce)

    @rx.event
    async def try_again(self, turn_id: str) -> Any:
        """Send the message of a failed turn again, as a new turn."""
        account = await self._account()
        question = await question_of(app_context(), account.id, TurnId(turn_id))
        return await self._start(account, question.content, new_id())

    @rx.event
    async def stop(self) -> None:
        """Stop the running turn; the partial answer is kept."""
        account = await self._account()
        live = await self.get_state(LiveState)
        if live.is_replying:
            live.is_stopping = True
            await control.cancel_turn(app_context(), account.id, TurnId(live.turn_id))

    @rx.event(background=True)
    async def follow(self) -> None:
        """Show the account's running turn, from its beginning until it ends."""
        async with self:
            reader = self._reader(await self._account())
            turn_id = await control.running_turn(reader.ctx, reader.account_id)
            live = await self.get_state(LiveState)
            follower = live._begin(turn_id) if turn_id else None
            if turn_id is None and self._lacks_end and not self.is_window:
                # It ended after the rows were read: it has no follower, and is missing from them.
                self._take(await reader.newest())
        if turn_id is None or follower is None:
            return
        try:
            await self._show_reply(reader, turn_id, follower)
        finally:
            end_follower(follower)
            await self._settle(reader, follower)

    async def _show_reply(self, reader: RowReader, turn_id: TurnId, follower: int) -> None:
        reply = LiveReply(reader.say)
        async for _ in flushes(control.follow(reader.ctx, reader.account_id, turn_id), reply):
            async with self:
                live = await self.get_state(LiveState)
                if live._follower != follower:
                    return
                live._show(reply)

    async def _settle(self, reader: RowReader, follower: int) -> None:
        """Replace the live reply with the message, in one update."""
        async with self:
            live = await self.get_state(LiveState)
            if live._follower == follower:
                live._clear()
                if not self.is_window:
                    self._take(await reader.newest())

    async def _start(self, account: Account, text: str, nonce: str) -> Any:
        self.refusal = self.refused_nonce = ""
        self.is_over_budget = False
        began_ns = time.time_ns()
        try:
            await control.start_turn(app_context(), account, text=text, idempotency_key=nonce)
            trace_request(app_context(), "page message", began_ns=began_ns)
        except PlatformError as exc:
            self.refusal = self._why(exc)
            self.refused_nonce = nonce
            self.is_over_budget = exc.code == "budget_spent"
            return None
        self.accepted_nonce = nonce
        reader = self._reader(account)
        if self.is_window:
            await self._show(reader, "")
        else:
            self._take(await reader.newest())
        return ChatState.follow

    def _reader(self, account: Account) -> RowReader:
        return RowReader(app_context(), account.id, self._words(), self._zone())

    def _watching(self, reader: RowReader) -> list[Any]:
        return [ChatState.watch] if renew(self._tab(reader)) else []

    def _tab(self, reader: RowReader) -> Tab:
        return self.router.session.client_token, reader.account_id

    async def _show(self, reader: RowReader, message_id: str) -> None:
        page = await (reader.around(message_id) if message_id else reader.newest())
        self.is_window = bool(message_id)
        self.end = end_piece(page, is_window=self.is_window)
        self._note_known(page)
        self.marked_id = message_id
        self.is_loaded, self.is_empty = True, not page.rows

    def _take(self, newest: Rows) -> None:
        """Send the newest rows that the page lacks."""
        self.is_empty = not newest.rows
        piece = newer_piece(newest, self._known)
        self._note_known(newest)
        if piece and piece["joins"]:
            self.newest = piece
        elif piece:
            self.end = piece

    def _note_known(self, page: Rows) -> None:
        self._known = marks_of(page)
        # However a turn ended, its last row has a receipt.
        self._lacks_end = bool(page.rows) and not page.rows[-1]["receipt"]
