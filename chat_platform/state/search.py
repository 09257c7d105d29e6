"""Search in the whole conversation."""

import re
from typing import Any, TypedDict

import reflex as rx

from chat_platform.accounts.limits import counts_as
from chat_platform.context import app_context
from chat_platform.conversations.search import Found, search, stems_of
from chat_platform.process.rate_limits import SEARCHES_OF_ACCOUNT
from chat_platform.state.account import AccountState
from chat_platform.state.chat import ChatState
from chat_platform.state.forms import text_of
from chat_platform.web.i18n import at_ms

MAX_RESULTS = 50


class Result(TypedDict):
    id: str
    who: str
    when: str
    before: str
    match: str
    """The matching word, as it is written there."""
    after: str


class SearchState(AccountState):
    results: list[Result] = []
    outcome: str = ""

    @rx.event
    @counts_as(SEARCHES_OF_ACCOUNT)
    async def search(self, form: dict[str, Any]) -> None:
        account = await self._account()
        words = text_of(form, "words").strip()
        found = await search(app_context(), account.id, query=words, limit=MAX_RESULTS)
        say = self._words()
        stems = stems_of(words)
        self.results = [self._result(one, stems) for one in found]
        self.outcome = say.many("{number} message found", "{number} messages found", len(found))

    @rx.event
    async def open_result(self, message_id: str) -> Any:
        """Show the conversation around the message."""
        await self._account()
        return ChatState.show_message(message_id)

    def _result(self, found: Found, stems: list[str]) -> Result:
        say, message = self._words(), found.message
        before, match, after = parted(found.snippet, stems)
        return Result(
            id=message.id,
            who=say("You") if message.role == "user" else say("Your agent"),
            when=say.moment(at_ms(message.created_at_ms, self._zone())),
            before=before,
            match=match,
            after=after,
        )


def parted(snippet: str, stems: list[str]) -> tuple[str, str, str]:
    """Return the text before the first matching word, the word, and the rest."""
    found = re.search(rf"\b(?:{'|'.join(map(re.escape, stems))})\w*", snippet, re.IGNORECASE)
    if not stems or found is None:
        return snippet, "", ""
    return snippet[: found.start()], found[0], snippet[found.end() :]
