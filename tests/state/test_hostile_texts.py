"""Whatever text reaches a page's event, it is accepted unchanged or refused with a message."""

import contextlib
import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from chat_platform.context import AppContext
from chat_platform.errors import PlatformError
from chat_platform.state.own_events import is_own
from tests.fakes import FakeMemory
from tests.hostile_texts import KEPT, ODD
from tests.people import Person
from tests.state.tab import OpenTab, Tab
from tests.state.test_every_handler import HANDLERS, Handler, everything

START, END = "the-beginning", "the-end"
TEXTS = {kind: f"{START} {text} {END}" for kind, text in (KEPT | ODD).items()}


class EveryField(Mapping[str, Any]):
    """A form with a text in any requested field."""

    def __init__(self, text: str, **others: str) -> None:
        self._text, self._others = text, others

    def __getitem__(self, name: str) -> str:
        return self._others.get(name, self._text)

    def __iter__(self) -> Iterator[str]:
        return iter(("text",))

    def __len__(self) -> int:
        return 1


async def say(handler: Handler, person: Person, text: str, **others: str) -> None:
    """Send the event with the text wherever it accepts one, through OwnEvents as always."""
    tab = Tab(OpenTab(person.cookie).of(handler.state))
    form = EveryField(text, **others)
    payload = {name: form if name == "form" else text for name in handler.names()}
    if not is_own(payload):
        return
    outcome = handler.handler.fn(tab, **payload)
    if inspect.isasyncgen(outcome):
        async for _ in outcome:
            pass
    elif inspect.isawaitable(outcome):
        await outcome


def texts_in(rows: Mapping[str, Any]) -> list[str]:
    """Return every stored text that contains something of ours."""
    values = (v for table in rows.values() for row in table for v in row)
    return [v for v in values if isinstance(v, str) and START in v]


def torn(rows: Mapping[str, Any], whole: str) -> list[str]:
    """Return what is stored of a text without being all of it."""
    spellings = (whole, json.dumps(whole)[1:-1])
    return [v[:200] for v in texts_in(rows) if not any(s in v for s in spellings)]


@pytest.mark.parametrize("kind", TEXTS)
async def test_a_text_is_taken_whole_or_refused_in_words(
    ctx: AppContext, memory: FakeMemory, root: Person, kind: str
):
    text = TEXTS[kind]
    takes_text = [handler for handler in HANDLERS if handler.names()]
    for handler in takes_text:
        await ctx.limits._own.reset()
        for others in ({}, {"label": "human", "days": "7", "budget": "", "email": ""}):
            # Shown with its own message; any other exception would be a crash.
            with contextlib.suppress(PlatformError):
                await say(handler, root, text, **others)

    assert len(takes_text) > 25
    assert torn(await everything(ctx), text) == []
    passages = [passage.text for archive in memory.archive.values() for passage in archive]
    assert {passage for passage in passages if START in passage} <= {text}


@pytest.mark.parametrize("kind", KEPT)
async def test_the_events_that_keep_a_text_are_among_them(
    ctx: AppContext, memory: FakeMemory, root: Person, kind: str
):
    keeping = ("SettingsState.save_name", "AccessState.make_token", "ChatState.send")
    for handler in HANDLERS:
        if str(handler) in keeping:
            await say(handler, root, TEXTS[kind], password="", days="30", nonce="n" * 20)

    stored = await everything(ctx)
    for table in ("accounts", "api_tokens", "messages"):
        assert TEXTS[kind] in texts_in({table: stored[table]}), table
