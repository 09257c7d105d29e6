"""Reports in tables and lines what was measured, as medians with their spread. Measures nothing."""

from collections.abc import Callable, Iterator, Sequence

from benchmarks.proxy.peers.peer import PACED, PLAIN
from benchmarks.proxy.rows import Figure, Flatness, Result, Results, Row, results
from benchmarks.proxy.targets import SQLITE, verdicts

SMALL, BIG = "10 rows, 10 accounts", "1,000,000 rows, 10,000 accounts"
_Cell = Callable[[Result], str]


def lines(rows: Sequence[Row], flatness: Sequence[Flatness]) -> list[str]:
    found = results(rows)
    rounds = len({row.turn for row in rows})
    return [
        f"Rounds: {rounds}. Medians, with the lowest and highest. CPU is the gateway's own.",
        "",
        *_table([r for r in found.values() if r.kind == PLAIN], _PLAIN),
        "",
        *_table([r for r in found.values() if r.kind != PLAIN], _STREAMS),
        "",
        *_ratios(found),
        *_flat(flatness),
        "",
        *map(str, verdicts(found, flatness)),
    ]


def _spread(figure: Figure, form: str) -> _Cell:
    def cell(result: Result) -> str:
        middle = _shown(result.median(figure), form)
        low, high = (format(value, form) for value in result.spread(figure))
        return middle if low == high else f"{middle} ({low} to {high})"

    return cell


def _median(figure: Figure, form: str) -> _Cell:
    return lambda result: _shown(result.median(figure), form)


def _shown(value: float, form: str) -> str:
    return format(value, form) if value else "none"


def _total(figure: Callable[[Row], int]) -> _Cell:
    return lambda result: str(sum(map(figure, result.rows)))


_PLAIN: dict[str, _Cell] = {
    "": lambda r: r.peer,
    "durable at the answer": lambda r: r.durable,
    "connections": lambda r: str(r.connections),
    "requests/s": _spread(lambda row: row.rps, ",.0f"),
    "p50 ms": _spread(lambda row: row.p50_ms, ".2f"),
    "p99 ms": _median(lambda row: row.p99_ms, ".2f"),
    "CPU ms a request": _spread(lambda row: row.cpu_ms_per_request, ".3f"),
    "database's CPU ms": _median(lambda row: row.database_cpu_ms_per_request, ".3f"),
    "memory MB": _median(lambda row: row.memory_mb, ".0f"),
    "failures": _total(lambda row: row.failures),
    "reconnects": _total(lambda row: row.reconnects),
}
_STREAMS: dict[str, _Cell] = {
    "": lambda r: f"{r.peer}, {r.kind}",
    "connections": lambda r: str(r.connections),
    "streams/s": _median(lambda row: row.rps, ",.0f"),
    "chunks/s": _spread(lambda row: row.chunks_per_second, ",.0f"),
    "first byte p50 ms": _spread(lambda row: row.first_byte_p50_ms, ".2f"),
    "CPU us a chunk": _spread(lambda row: row.cpu_us_per_chunk, ".1f"),
    "CPU ms a stream": _median(lambda row: row.cpu_ms_per_request, ".2f"),
    "database's CPU ms": _median(lambda row: row.database_cpu_ms_per_request, ".3f"),
    "failures": _total(lambda row: row.failures),
    "reconnects": _total(lambda row: row.reconnects),
}


def _table(found: Sequence[Result], columns: dict[str, _Cell]) -> list[str]:
    made = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for result in found:
        made.append(f"| {' | '.join(cell(result) for cell in columns.values())} |")
    return made


def short_table(rows: Sequence[Row]) -> list[str]:
    """Return the README's table: one line per peer."""
    found = results(rows)
    names = ("", "durable at the answer", "p50, 1 connection", "p50, 32", "requests/s, 32")
    names += ("CPU a request", "first byte of a paced stream", "CPU a chunk")
    made = [f"| {' | '.join(names)} |", f"|---|---|{'---:|' * (len(names) - 2)}"]
    for peer, durable in dict.fromkeys((row.peer, row.durable) for row in rows):
        cells = [peer, "" if peer == "direct" else durable, *_short_cells(found, peer)]
        made.append(f"| {' | '.join(cells)} |")
    return made


def _short_cells(found: Results, peer: str) -> Iterator[str]:
    shown: list[tuple[str, int, Figure, str]] = [
        (PLAIN, 1, lambda row: row.p50_ms, "{:.2f} ms"),
        (PLAIN, 32, lambda row: row.p50_ms, "{:.1f} ms"),
        (PLAIN, 32, lambda row: row.rps, "{:,.0f}"),
        (PLAIN, 32, lambda row: row.cpu_ms_per_request, "{:.3f} ms"),
        (PACED, 1, lambda row: row.first_byte_p50_ms, "{:.2f} ms"),
        (PACED, 1, lambda row: row.cpu_us_per_chunk, "{:.0f} us"),
    ]
    for kind, connections, figure, form in shown:
        result = found.get((peer, kind, connections))
        value = result.median(figure) if result else 0
        yield form.format(value) if value else ""


def _ratios(found: Results) -> Iterator[str]:
    """Yield how many times the throughput of each peer ours has."""
    for (peer, kind, connections), result in found.items():
        ours = found.get((SQLITE, kind, connections))
        theirs = result.median(_rate)
        # At the upstream's pace, all have the same.
        if ours and theirs and kind != PACED and not peer.startswith("ours"):
            yield f"{peer} {kind} c={connections} ratio {ours.median(_rate) / theirs:.2f}x"


def _rate(row: Row) -> float:
    return row.rate


def _flat(flatness: Sequence[Flatness]) -> list[str]:
    return [
        f"c={f.connections}: p50 {f.small_p50_ms:.2f} ms with {SMALL}, {f.big_p50_ms:.2f} ms with"
        f" {BIG}; CPU {f.small_cpu_ms:.2f} and {f.big_cpu_ms:.2f} ms"
        for f in flatness
    ]
