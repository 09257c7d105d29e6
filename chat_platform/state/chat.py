"""The conversation as this tab shows it."""

import reflex as rx

from chat_platform.state.account import AccountState


class ChatState(AccountState):
    @rx.event
    async def open(self) -> None:
        """Show the newest part of the history."""
        await self._account()
