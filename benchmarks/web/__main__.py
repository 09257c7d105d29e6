"""Measures the chat page in Chromium, with Chainlit beside it, and says which targets are met.

make bench-web        (python -m benchmarks.web [--no-chainlit])
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from playwright.sync_api import Browser, sync_playwright

from benchmarks.web import measure, peers
from benchmarks.web.measure import Cold, Stream
from benchmarks.web.peers import ROOT, Peer
from tests.install_tools import chromium
from tests.pages.visitor import LAUNCH

RESULTS = ROOT / "benchmarks" / "results"
SHORT, LONG = 200, 10_000
SCROLLED_BACK = 1_000


@dataclass
class Row:
    peer: str
    cold: Cold
    cold_long: Cold | None = None
    """With 10,000 messages behind it."""
    streams: dict[str, Stream] = field(default_factory=dict)
    tab_kb: float = 0


@dataclass(frozen=True)
class Target:
    """The target for one figure: at most, or at least."""

    what: str
    value: float
    limit: float
    unit: str
    is_least: bool = False

    @property
    def line(self) -> str:
        met = self.value >= self.limit if self.is_least else self.value <= self.limit
        bound = "at least" if self.is_least else "at most"
        verdict = "met" if met else "missed"
        return (
            f"{verdict}: {self.what} {self.value:,.0f} {self.unit}"
            f" ({bound} {self.limit:,.0f} {self.unit})"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-chainlit", action="store_true")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), **LAUNCH)
        rows = [_ours(browser)]
        if not options.no_chainlit:
            rows.append(_chainlit(browser))
        browser.close()
    lines = _report(rows)
    _write(rows, lines)
    print("\n".join(lines))


def _ours(browser: Browser) -> Row:
    with peers.our_server() as server:
        short = peers.ours(server, browser, messages=SHORT)
        row = Row("ours", _cold(browser, short))
        row.tab_kb = measure.memory_kb_a_tab(browser, short)
        row.streams["short"] = _stream(browser, short, SHORT, SHORT)
        code = peers.ours(server, browser, messages=SHORT)
        row.streams["code"] = _stream(browser, code, SHORT, 40, "code 2000")
        row.cold_long = measure.cold(browser, peers.ours(server, browser, messages=LONG))
        for name, shown in (("long", 40), ("scrolled", SCROLLED_BACK)):
            long = peers.ours(server, browser, messages=LONG)
            row.streams[name] = _stream(browser, long, LONG, shown)
    return row


def _chainlit(browser: Browser) -> Row:
    with peers.chainlit(messages=SHORT) as peer:
        row = Row(peer.name, _cold(browser, peer))
        row.tab_kb = measure.memory_kb_a_tab(browser, peer)
        row.streams["short"] = _stream(browser, peer, SHORT, SHORT)
    return row


def _cold(browser: Browser, peer: Peer) -> Cold:
    found = measure.cold(browser, peer)
    print(
        f"{peer.name}: chat cold {found.kilobytes:.0f} kB {found.requests} requests",
        file=sys.stderr,
    )
    return found


def _stream(
    browser: Browser, peer: Peer, messages: int, shown: int, text: str = "long 2000"
) -> Stream:
    found = measure.stream(browser, peer, messages=messages, shown=shown, text=text)
    print(
        f"{peer.name}: streaming {found.fps:.0f} fps ({messages} messages, {found.shown} shown,"
        f" {found.kilobytes:.0f} kB, {found.seconds:.1f} s)",
        file=sys.stderr,
    )
    return found


def _report(rows: list[Row]) -> list[str]:
    ours = rows[0]
    return [
        f"chat cold {ours.cold.kilobytes:.0f} kB {ours.cold.requests} requests",
        f"streaming {ours.streams['short'].fps:.0f} fps",
        "",
        *_page_table(rows),
        "",
        *_stream_table(rows),
        "",
        *(target.line for target in _targets(ours)),
    ]


def _targets(ours: Row) -> Iterator[Target]:
    yield Target("cold /chat", ours.cold.kilobytes, 300, "kB")
    yield Target("cold /chat", ours.cold.requests, 30, "requests")
    if ours.cold_long:
        yield Target("10,000 messages open", ours.cold_long.shown_ms, 1000, "ms")
    for name, words in (("short", "200 messages"), ("long", "10,000 messages")):
        found = ours.streams[name]
        yield Target(f"streaming into {words}", found.fps, 50, "fps", is_least=True)
        yield Target(f"streaming into {words}", found.kilobytes, 1000, "kB")


def _page_table(rows: list[Row]) -> Iterator[str]:
    yield "| cold page | received | requests | first paint | can send | messages | memory a tab |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for row in rows:
        yield _page_row(row.peer, row.cold, f"{row.tab_kb:,.0f} kB")
        if row.cold_long:
            yield _page_row(f"{row.peer}, 10,000 messages", row.cold_long, "")


def _page_row(name: str, cold: Cold, memory: str) -> str:
    return (
        f"| {name} | {cold.kilobytes:,.0f} kB | {cold.requests}"
        f" | {cold.first_paint_ms:,.0f} ms | {cold.can_type_ms:,.0f} ms"
        f" | {cold.shown_ms:,.0f} ms | {memory} |"
    )


def _stream_table(rows: list[Row]) -> Iterator[str]:
    yield "| 2,000 tokens at 5 ms | messages | on the page | took | frames | longest | received |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for row in rows:
        for name, found in row.streams.items():
            what = f"{row.peer}, one code block" if name == "code" else row.peer
            yield (
                f"| {what} | {found.messages:,} | {found.shown:,} | {found.seconds:.1f} s"
                f" | {found.fps:.0f} fps | {found.longest_frame_ms:.0f} ms"
                f" | {found.kilobytes:,.0f} kB |"
            )


def _write(rows: list[Row], lines: list[str]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Chromium",
    }
    text = json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=1)
    (RESULTS / "web.json").write_text(text + "\n")
    said = f"Measured {about['at']} on {about['machine']}."
    (RESULTS / "web.md").write_text("\n".join([said, "", *lines]) + "\n")


if __name__ == "__main__":
    main()
