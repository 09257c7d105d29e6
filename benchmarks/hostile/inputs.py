"""The hostile inputs: each prepares what it needs, then does what is measured."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from benchmarks.hostile.world import World, as_a_socket_writes
from chat_platform.agents import revisions
from chat_platform.agents.revisions import Cause
from chat_platform.ports import TextPiece
from chat_platform.proxy.sse import MAX_EVENT_BYTES
from chat_platform.state.block_history import BlockHistoryState
from chat_platform.state.chat import ChatState
from chat_platform.state.memory import MemoryState
from chat_platform.state.search import SearchState
from chat_platform.turns import control
from tests.people import Person
from tests.proxy.fake_upstream import Answer, chunk, completion, error, stream
from tests.state.tab import OpenTab
from tests.state.test_diff import HOSTILE as HOSTILE_DIFFS
from tests.turn_rows import add_messages
from tests.web.hostile_markdown import HOSTILE as HOSTILE_MARKDOWN

Act = Callable[[], Awaitable[object]]
Prepare = Callable[[World], Awaitable[Act]]

LONG = 100_000
CALL = b'{"model": "demo-chat", "max_tokens": 100, "messages": []'


@dataclass(frozen=True)
class HostileInput:
    kind: str
    name: str
    prepare: Prepare


def all_inputs() -> Iterator[HostileInput]:
    yield from _markdown()
    yield from _diffs()
    yield from _histories()
    yield from _models_answers()
    yield from _bodies()
    yield from _texts()
    yield from _headers()


def _markdown() -> Iterator[HostileInput]:
    texts = {name: make(LONG) for name, make in HOSTILE_MARKDOWN.items()}
    texts["11,000 addresses"] = "https://x" * 11_000
    texts["mixed, 54 kB"] = "".join(
        make(54_000 // 41) + "\n\n" for make in HOSTILE_MARKDOWN.values()
    )
    for name, text in texts.items():
        yield HostileInput("an answer is shown", name, _shown(text))
    for name in ("joined addresses", "open brackets", "rising ticks", "lines of code"):
        yield HostileInput("an answer arrives", name, _arriving(texts[name]))


def _shown(text: str) -> Prepare:
    async def prepare(world: World) -> Act:
        person = await world.person()
        await add_messages(world.ctx, person.id, ["Hello", text])
        return lambda: _open_page(person)

    return prepare


async def _open_page(person: Person) -> None:
    tab = OpenTab(person.cookie, token=f"page{person.id}")
    await tab.send(ChatState, "open")
    as_a_socket_writes(tab)


def _arriving(text: str) -> Prepare:
    async def prepare(world: World) -> Act:
        person = await world.person()
        pieces = [TextPiece(text[at : at + 500]) for at in range(0, len(text), 500)]
        tab = OpenTab(person.cookie, token=f"live{person.id}")

        async def act() -> None:
            world.runtime.script.append(list(pieces))
            turn_id = await control.start_turn(world.ctx, person.account, text="Hello")
            await tab.send(ChatState, "follow")
            async for _ in control.follow(world.ctx, person.id, turn_id):
                pass

        return act

    return prepare


def _diffs() -> Iterator[HostileInput]:
    for name, (old, new) in HOSTILE_DIFFS.items():
        yield HostileInput("a memory's history", name, _block_history(old, new))


def _block_history(old: str, new: str) -> Prepare:
    async def prepare(world: World) -> Act:
        person = await world.person()
        agent_id = await world.agent_of(person)
        for number in range(8):
            block = await world.ctx.memory.write_block(agent_id, "human", (old, new)[number % 2])
            await revisions.record(world.ctx, person.id, [block], Cause("agent"))

        async def act() -> None:
            tab = OpenTab(person.cookie, token=f"memory{person.id}")
            await tab.send(MemoryState, "open")
            await tab.send(BlockHistoryState, "toggle", "human")
            as_a_socket_writes(tab)

        return act

    return prepare


def _histories() -> Iterator[HostileInput]:
    words = "?q=" + "a%20" * 16
    for name, route in {
        "history, 200 a page": "GET /chat/history?limit=200",
        "search, 100 found": f"GET /chat/search{words}&limit=100",
        "search, a long query": "GET /chat/search?q=" + "%C4%B0a_" * 140,
        "export as JSON": "GET /chat/export",
        "export as Markdown": "GET /chat/export?format=markdown",
        "export of everything": "GET /user/export",
    }.items():
        yield HostileInput("200 long messages", name, _with_history(route))
    yield HostileInput("200 long messages", "search on the page", _searched_on_the_page)
    yield HostileInput("200 long messages", "the page opens", _opened_with_history)


async def _with_long_history(world: World) -> Person:
    person = await world.person()
    long = ["a b " * 5_000, "a \u0130 " * 33_000]
    await add_messages(world.ctx, person.id, long * 100)
    return person


def _with_history(route: str) -> Prepare:
    async def prepare(world: World) -> Act:
        person = await _with_long_history(world)
        return lambda: world.rest(person, route)

    return prepare


async def _searched_on_the_page(world: World) -> Act:
    person = await _with_long_history(world)
    tab = OpenTab(person.cookie, token=f"search{person.id}")
    return lambda: tab.send(SearchState, "search", {"words": "a " * 100})


async def _opened_with_history(world: World) -> Act:
    person = await _with_long_history(world)
    return lambda: _open_page(person)


def _models_answers() -> Iterator[HostileInput]:
    hello, line = chunk("Hello"), [b"x" * 64_000]
    for name, pieces in {
        "a line of 32 MiB": [hello, *line * 525],
        "a line that drips": [hello, *[b"x" * 100] * 5_000],
        "lists": [b"data: [" + b"[]," * 340_000 + b"[]]\n\n"],
        "keys": [b"data: {" + b'"":0,' * 200_000 + b'"":0}\n\n'],
        "deep lists": [b"data: " + b"[" * 1_000_000 + b"\n\n"],
        "lines": [b"data: 1\n" * 130_000 + b"\n"],
        "keys in a comment": [b": " + b"0a " * 40_000 + b"\n\n"] * 20,
        "a long word": [chunk("x" * (MAX_EVENT_BYTES - 1_000))] * 4,
        "escapes": [chunk("\u0444" * (MAX_EVENT_BYTES // 7))] * 4,
        "no text": [b"\n" * 1_000_000],
    }.items():
        yield HostileInput("a model's stream", name, _streamed(pieces))
    for name, answer in {
        "20 MB of text": completion("x" * 20_000_000),
        "7 MB of text": completion("x" * 7_000_000),
        "7 MB of numbers": Answer([b'{"data": [' + b"0.125," * 1_150_000 + b"0]}"]),
        "lists": Answer([b'{"choices": [' + b"[]," * 2_500_000 + b"[]]}"]),
        "deep lists": Answer([b"[" * 1_000_000]),
        "an error of 20 MB": error(500, "boom", "sk-1 " * 4_000_000),
    }.items():
        yield HostileInput("a model's plain answer", name, _answered(answer))


def _streamed(pieces: list[bytes]) -> Prepare:
    async def prepare(world: World) -> Act:
        payer = await world.payer()

        async def act() -> None:
            world.upstream.answers = [stream(*pieces)]
            await world.call_model(payer, CALL + b', "stream": true}')

        return act

    return prepare


def _answered(answer: Answer) -> Prepare:
    # As a gateway sends it: piece by piece.
    whole = b"".join(answer.pieces)
    pieces = [whole[at : at + 64_000] for at in range(0, len(whole), 64_000)]

    async def prepare(world: World) -> Act:
        payer = await world.payer()

        async def act() -> None:
            world.upstream.answers = [Answer(pieces, answer.status, answer.headers)]
            await world.call_model(payer, CALL + b"}")

        return act

    return prepare


def _bodies() -> Iterator[HostileInput]:
    bodies = {
        "lists": b'{"content": [' + b"[]," * 330_000 + b"[]]}",
        "some lists": b'{"content": [' + b"[]," * 140_000 + b"[]]}",
        "objects": b'{"content": [' + b"{}," * 330_000 + b"{}]}",
        "keys": b"{" + b'"":0,' * 190_000 + b'"content":0}',
        "many keys": b"{" + b",".join(b'"%d":0' % n for n in range(80_000)) + b"}",
        "numbers": b'{"content": [' + b"1," * 490_000 + b"1]}",
        "deep lists": b"[" * 990_000,
        "a long number": b'{"content": ' + b"9" * 900_000 + b"}",
        "a long text": json.dumps({"content": "x" * 900_000}).encode(),
        "escapes": json.dumps({"content": "\u0130" * 160_000}).encode(),
        "blanks": json.dumps({"content": " " * 900_000}).encode(),
        "joiners": json.dumps({"content": "\u200d" * 19_999}).encode(),
    }
    for name, body in bodies.items():
        yield HostileInput("a body of 1 MB", name, _posted("POST /chat/message", body))
    for name, form in {
        "empty fields": b"&" * 990_000,
        "fields": b"a&" * 490_000,
        "a long field": b"email=" + b"%61" * 330_000,
        "a long password": b"email=a@example.com&password=" + b"p" * 99_000,
    }.items():
        kind = "application/x-www-form-urlencoded"
        yield HostileInput(
            "a form of 1 MB", name, _posted("POST /session/login", form, kind, is_signed_in=False)
        )
    for name, extra in {
        "1 MB of text": b', "x": "' + b"a" * 1_000_000 + b'"}',
        "1 MB of Russian": b', "x": "' + "ж".encode() * 500_000 + b'"}',
        "deep lists": b', "x": ' + b"[" * 1_000_000,
    }.items():
        yield HostileInput("an agent's request", name, _asked(CALL + extra))


def _posted(
    route: str, body: bytes, kind: str = "application/json", *, is_signed_in: bool = True
) -> Prepare:
    async def prepare(world: World) -> Act:
        person = await world.person() if is_signed_in else None
        headers = {"content-type": kind, "sec-fetch-site": "same-origin"}
        return lambda: world.rest(person, route, body, headers)

    return prepare


def _asked(body: bytes) -> Prepare:
    async def prepare(world: World) -> Act:
        payer = await world.payer()
        return lambda: world.call_model(payer, body)

    return prepare


def _texts() -> Iterator[HostileInput]:
    """A text of 100 kB wherever one is accepted."""
    texts = {"letters": "a" * LONG, "marks": "e\u0301\u0323" * (LONG // 3), "brackets": "[" * LONG}
    routes = {
        "PATCH /user/profile": "name",
        "POST /user/password": "new",
        "POST /user/tokens": "name",
        "POST /agent/passages": "text",
        "PUT /agent/memory/human": "value",
        "POST /auth/register": "password",
        "POST /auth/login": "email",
        "POST /auth/refresh": "refresh_token",
    }
    for route, member in routes.items():
        for name, text in texts.items():
            body = {"email": "new@example.com", "password": "x", member: text}
            yield HostileInput(route, name, _posted(route, json.dumps(body).encode()))


def _headers() -> Iterator[HostileInput]:
    for name, value in {
        "accept": "text/html;q=0.5," * 4_000,
        "accept-language": "ru;q=0.1,en-US;q=0.2," * 3_000,
        "accept-encoding": "gzip;q=0.1," * 6_000,
        "if-none-match": 'W/"a",' * 10_000,
        "cookie": 'prefs="a; b=' * 5_000,
        "authorization": "Bearer " + "a." * 32_000,
        "user-agent": "Mozilla (" * 7_000,
        "x-forwarded-for": "1.2.3.4," * 8_000,
        "forwarded": 'for="[::1]:1",' * 4_000,
        "prefer": "wait=1," * 9_000,
        "last-event-id": "9" * 64_000,
        "host": "a." * 32_000,
    }.items():
        yield HostileInput("a header of 64 kB", name, _with_header(name, value))


def _with_header(name: str, value: str) -> Prepare:
    async def prepare(world: World) -> Act:
        person = None if name in ("authorization", "cookie") else await world.person()

        async def act() -> None:
            await world.rest(person, "GET /user/profile", headers={name: value})
            await world.rest(person, "GET /chat/history", headers={name: value})

        return act

    return prepare


async def settled(world: World) -> None:
    """Wait until nothing of an input is still running."""
    await world.ctx.writer.write(lambda _connection: None)
    await asyncio.sleep(0.01)
