"""What is measured in the browser: a cold page, a stream, the server's memory for open tabs."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page

from benchmarks.web.peers import Peer

COLD_LOADS = 5
TABS = 10
STREAM_SECONDS = 300
_STEP = 40
_FRAMES = """
([busy]) => new Promise((resolve) => {
  const frames = [];
  let began = false;
  function tick(now) {
    const isBusy = document.querySelector(busy) !== null;
    if (isBusy) began = true;
    if (began) frames.push(now);
    if (began && !isBusy) resolve(frames);
    else requestAnimationFrame(tick);
  }
  requestAnimationFrame(tick);
})
"""
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
_NOW = "() => performance.now()"


@dataclass(frozen=True)
class Cold:
    """A page that this browser has never seen, until the conversation's end is shown."""

    kilobytes: float
    requests: int
    first_paint_ms: float
    can_type_ms: float
    """Until a message can be sent: the field itself is part of the first paint."""
    shown_ms: float
    """Until the newest message is shown."""


@dataclass(frozen=True)
class Stream:
    messages: int
    shown: int
    """Messages that the page holds."""
    seconds: float
    fps: float
    longest_frame_ms: float
    kilobytes: float


@dataclass
class Wire:
    """What is received over the network, in bytes on the wire."""

    http_bytes: float = 0
    socket_bytes: float = 0
    requests: list[str] = field(default_factory=list)

    @property
    def kilobytes(self) -> float:
        return (self.http_bytes + self.socket_bytes) / 1000

    def forget(self) -> None:
        self.http_bytes = self.socket_bytes = 0
        self.requests.clear()


def cold(browser: Browser, peer: Peer) -> Cold:
    loads = [_load(browser, peer) for _ in range(COLD_LOADS)]
    medians = {
        each.name: median(getattr(load, each.name) for load in loads) for each in fields(Cold)
    }
    return Cold(**{**medians, "requests": round(medians["requests"])})


def stream(
    browser: Browser, peer: Peer, *, messages: int, shown: int, text: str = "long 2000"
) -> Stream:
    """Request a long answer in a conversation with `shown` messages on the page."""
    with _opened(browser, peer) as (page, wire):
        page.locator(peer.message).first.wait_for(timeout=60_000)
        _scroll_back(page, peer, shown)
        held = page.locator(peer.message).count()
        page.locator(peer.prompt).fill(text)
        wire.forget()
        began = time.monotonic()
        page.locator(peer.prompt).press("Enter")
        page.set_default_timeout(STREAM_SECONDS * 1000)
        frames: list[float] = page.evaluate(_FRAMES, [peer.busy])
        seconds = time.monotonic() - began
        page.wait_for_timeout(500)
        gaps = [later - earlier for earlier, later in itertools.pairwise(frames)]
        return Stream(
            messages=messages,
            shown=held,
            seconds=seconds,
            fps=len(gaps) * 1000 / (frames[-1] - frames[0]),
            longest_frame_ms=max(gaps),
            kilobytes=wire.kilobytes,
        )


def memory_kb_a_tab(browser: Browser, peer: Peer) -> float:
    """How much the server grows for each open tab, in kB, after the first few."""
    with browser.new_context(storage_state=peer.storage) as context:  # pyright: ignore
        _open_tabs(context, peer, 2)
        before = peer.memory_kb()
        _open_tabs(context, peer, TABS)
        return (peer.memory_kb() - before) / TABS


def _load(browser: Browser, peer: Peer) -> Cold:
    with _opened(browser, peer) as (page, wire):
        can_type_ms = page.evaluate(_NOW)
        page.locator(peer.message).last.wait_for(timeout=60_000)
        shown_ms = page.evaluate(_NOW)
        page.wait_for_timeout(700)
        return Cold(
            kilobytes=wire.kilobytes,
            requests=len(wire.requests),
            first_paint_ms=page.evaluate(_PAINT),
            can_type_ms=can_type_ms,
            shown_ms=shown_ms,
        )


@contextmanager
def _opened(browser: Browser, peer: Peer) -> Iterator[tuple[Page, Wire]]:
    context = peer.open(browser)
    page = context.new_page()
    wire = _tap(page)
    page.goto(peer.url, wait_until="commit")
    page.locator(peer.ready).wait_for(timeout=60_000)
    try:
        yield page, wire
    finally:
        context.close()


def _tap(page: Page) -> Wire:
    wire = Wire()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")

    def loaded(event: dict[str, Any]) -> None:
        wire.http_bytes += event["encodedDataLength"]

    def asked(event: dict[str, Any]) -> None:
        if not event["request"]["url"].startswith("data:"):
            wire.requests.append(event["request"]["url"])

    def came(event: dict[str, Any]) -> None:
        wire.socket_bytes += len(event["response"]["payloadData"].encode())

    session.on("Network.loadingFinished", loaded)
    session.on("Network.requestWillBeSent", asked)
    session.on("Network.webSocketCreated", lambda event: wire.requests.append(event["url"]))
    session.on("Network.webSocketFrameReceived", came)
    return wire


def _scroll_back(page: Page, peer: Peer, shown: int) -> None:
    """Scroll up until this many messages are on the page, then back to the end."""
    messages = page.locator(peer.message)
    while (held := messages.count()) < shown:
        page.evaluate("() => document.getElementById('log')?.scrollBy(0, -1e7)")
        wanted = min(shown, held + _STEP)
        page.wait_for_function(
            "([message, wanted]) => document.querySelectorAll(message).length >= wanted",
            arg=[peer.message, wanted],
            timeout=60_000,
        )
    page.evaluate("() => document.getElementById('log')?.scrollTo(0, 0)")
    page.wait_for_timeout(500)


def _open_tabs(context: Any, peer: Peer, count: int) -> None:
    for _ in range(count):
        page = context.new_page()
        page.goto(peer.url)
        page.locator(peer.ready).wait_for(timeout=60_000)
        page.locator(peer.message).first.wait_for(timeout=60_000)
