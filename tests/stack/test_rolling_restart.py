"""Restarts one server process after the other behind nginx, under load: nobody notices."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.e2e.platform import ROOT, Person
from tests.pages.visitor import Visitor
from tests.stack.books import disagreements, wait_until_at_rest
from tests.stack.conftest import new_person
from tests.stack.platform import StackPlatform

pytestmark = [pytest.mark.chain, pytest.mark.slow, pytest.mark.timeout(400)]

SCRIPT = ROOT / "deploy" / "nginx" / "rolling-restart.sh"
BACK_SECONDS = 5.0
SHORT = "[[words 200]] [[pace 30]]"
"""Six seconds: it has time to finish while its server drains."""
LONG = "[[words 900]] [[pace 30]]"
"""27 seconds: longer than a server drains."""


@dataclass
class Load:
    """People who read and write all the time, and what went wrong for them."""

    failures: list[str] = field(default_factory=list[str])
    requests: int = 0
    answers: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going_on(self, people: list[Person]) -> Iterator[None]:
        with ThreadPoolExecutor(2 * len(people)) as at_once:
            for person in people:
                at_once.submit(self._write, person)
                at_once.submit(self._read, person)
            try:
                yield
            finally:
                self._over.set()

    def _write(self, person: Person) -> None:
        while not self._over.wait(1):
            answer = self._ask(person, "POST", "/chat/message", json={"content": "Hello!"})
            self.answers += answer is not None

    def _read(self, person: Person) -> None:
        while not self._over.wait(0.05):
            self._ask(person, "GET", "/chat/history")
            self._ask(person, "GET", str(person.http.base_url.join("/login")))

    def _ask(self, person: Person, method: str, path: str, **kwargs: Any) -> httpx.Response | None:
        self.requests += 1
        try:
            answer = person.request(method, path, **kwargs)
        except httpx.HTTPError as error:
            self.failures.append(f"{method} {path}: {error!r}")
            return None
        if answer.is_success:
            return answer
        self.failures.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return None


@dataclass
class Sockets:
    """When a page's websockets were closed and the next ones heard of."""

    closed: list[float] = field(default_factory=list[float])
    heard: list[float] = field(default_factory=list[float])

    def watch(self, page: Page) -> None:
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        has_heard: list[bool] = []

        def hear(_frame: object) -> None:
            if not has_heard:
                has_heard.append(True)
                self.heard.append(time.monotonic())

        socket.on("framereceived", hear)
        socket.on("close", lambda _: self.closed.append(time.monotonic()))

    @property
    def gaps(self) -> list[float]:
        """How long each interruption took."""
        return [
            min((again - end for again in self.heard if again > end), default=float("inf"))
            for end in self.closed
        ]


@dataclass(frozen=True)
class LongTurn:
    """A turn that outlasts its server, and whose model call another server relays."""

    person: Person
    turn_id: str
    owner: str
    port: int
    """Where its server listens."""


def begin_long_turn(stack: StackPlatform, person: Person) -> LongTurn:
    owners = {url: _owner_of_turn(stack, person.at(url).say("Hello!")) for url in stack.server_urls}
    calls = stack.rows("select owner from model_calls where account_id = ?", person.id)
    url = next(url for url, owner in owners.items() if owner != calls[-1]["owner"])
    turn_id = person.at(url).begin(LONG)
    return LongTurn(person, turn_id, owners[url], int(url.rpartition(":")[2]))


def _owner_of_turn(stack: StackPlatform, answer: dict[str, Any]) -> str:
    (turn,) = stack.rows("select owner from turns where id = ?", answer["turn_id"])
    return turn["owner"]


def restart_all(stack: StackPlatform, *, first: int) -> None:
    """As an operator does it, with the supervisor in systemd's place."""
    pids = {stack.port_of(server): stack.pid_of(server) for server in stack.servers}
    cases = " ".join(f"{port}) pid={pid};;" for port, pid in pids.items())
    restart = f"case $PORT in {cases} esac; kill -TERM $pid; tail --pid=$pid -s 0.1 -f /dev/null"
    told = {"CONF": str(stack.nginx_conf), "RELOAD": stack.reload_nginx, "RESTART": restart}
    ports = sorted(pids, key=lambda port: port != first)
    done = subprocess.run(
        [SCRIPT, *map(str, ports)],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def ada(page: Page, stack: StackPlatform) -> Visitor:
    expect.set_options(timeout=30_000)
    visitor = Visitor(page, stack.url)
    visitor.email = f"ada{time.monotonic_ns()}@example.com"
    visitor.sign_up("Ada")
    return visitor


def test_a_rolling_restart_loses_no_request_no_answer_and_no_cent(
    stack: StackPlatform, ada: Visitor, alice: Person
):
    people = [new_person(stack, "Bob") for _ in range(3)]
    before = {stack.pid_of(server) for server in stack.servers}
    load, sockets = Load(), Sockets()
    sockets.watch(ada.page)
    ada.page.reload()
    ada.wait_until_live()

    with load.going_on(people):
        long = begin_long_turn(stack, alice)
        ada.send(SHORT)
        expect(ada.live).to_contain_text("word9 ")
        restart_all(stack, first=long.port)
        again = ada.ask("Are you there?")

    assert load.failures == []
    assert load.answers > 10
    assert before.isdisjoint(stack.pid_of(server) for server in stack.servers)
    assert sockets.gaps
    assert max(sockets.gaps) < BACK_SECONDS
    expect(ada.answers).to_have_count(2)
    assert ada.answers.first.locator(".reading").inner_text().split() == words(200)
    expect(again).to_be_visible()
    wait_until_at_rest(stack)
    assert_taken_over_and_whole(stack, long)
    assert disagreements(stack, [*people, alice]) == []


def assert_taken_over_and_whole(stack: StackPlatform, long: LongTurn) -> None:
    turn = long.person.turn(long.turn_id)
    assert turn["status"] == "finished", turn["error"]
    assert turn["messages"][1]["content"].split() == words(900)
    (call,) = turn["calls"]
    assert call["status"] == "settled"
    assert _owner_of_turn(stack, turn) != long.owner


def words(count: int) -> list[str]:
    return [f"word{number}" for number in range(1, count + 1)]
