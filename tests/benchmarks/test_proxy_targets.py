"""Targets are judged by medians, and what is missed is said with what bounds it."""

from dataclasses import replace

from benchmarks.proxy.peers.peer import PACED, PLAIN
from benchmarks.proxy.rows import Flatness, Row, results
from benchmarks.proxy.targets import BOUND, POSTGRES, SQLITE, TWICE, verdicts

ROW = Row(
    peer=SQLITE,
    durable="written to the OS",
    kind=PLAIN,
    connections=32,
    turn=0,
    rps=3000,
    chunks_per_second=0,
    p50_ms=8,
    p99_ms=12,
    first_byte_p50_ms=8,
    cpu_ms_per_request=0.2,
    cpu_us_per_chunk=0,
    database_cpu_ms_per_request=0,
    memory_mb=100,
    failures=0,
    reconnects=0,
)


def said(*rows: Row, flatness: tuple[Flatness, ...] = ()) -> list[str]:
    return [str(verdict) for verdict in verdicts(results(rows), flatness)]


def test_a_missed_target_says_what_a_compiled_hot_path_reaches():
    bound = replace(ROW, peer=BOUND, cpu_ms_per_request=0.06)

    assert said(ROW, bound) == [
        f"target CPU <= 0.15 ms a request at 32, {SQLITE}: MISSED (0.2 ms; {BOUND}: 0.06 ms)"
    ]


def test_a_met_target_says_its_figure_only():
    bound = replace(ROW, peer=BOUND, cpu_ms_per_request=0.06)

    assert said(replace(ROW, cpu_ms_per_request=0.1), bound) == [
        f"target CPU <= 0.15 ms a request at 32, {SQLITE}: met (0.1 ms)"
    ]


def test_the_median_of_the_rounds_decides():
    rows = [
        replace(ROW, turn=turn, cpu_ms_per_request=cpu) for turn, cpu in enumerate((0.1, 0.9, 0.12))
    ]

    assert said(*rows)[-1].endswith("met (0.12 ms)")


def test_a_ratio_is_met_only_from_its_number_on():
    portkey = replace(ROW, peer="Portkey", rps=600)
    tensorzero = replace(ROW, peer="TensorZero", rps=3001)

    ratios = [line for line in said(ROW, portkey, tensorzero) if "x " in line]

    assert ratios == [
        f"target 6x Portkey at 32, {SQLITE}: MISSED (5.00x: 3,000 to 600 requests/s)",
        f"target 1x TensorZero at 32, {SQLITE}: MISSED (1.00x: 3,000 to 3,001 requests/s)",
    ]


def test_a_first_byte_is_compared_with_that_of_nginx_in_the_same_round():
    paced = replace(ROW, kind=PACED, connections=1)
    rounds = ((1.0, 0.2), (5.0, 4.5), (1.5, 0.9))
    rows = [replace(paced, turn=n, first_byte_p50_ms=ours) for n, (ours, _) in enumerate(rounds)]
    rows += [
        replace(paced, peer="nginx", turn=n, first_byte_p50_ms=theirs)
        for n, (_, theirs) in enumerate(rounds)
    ]

    first_byte = next(line for line in said(*rows) if "first byte" in line)

    assert first_byte.endswith("met (0.6 ms)")


def test_two_processes_are_compared_with_one_on_the_same_database():
    one = replace(ROW, peer=POSTGRES, cpu_ms_per_request=0.1)
    two = replace(ROW, peer=TWICE, cpu_ms_per_request=0.12)

    assert said(one, two)[-1].endswith("MISSED (+20 %: 0.100 to 0.120 ms)")


def test_a_big_ledger_may_cost_a_quarter_more():
    flatness = Flatness(1, small_p50_ms=1, big_p50_ms=3, small_cpu_ms=0.4, big_cpu_ms=0.48)

    assert said(flatness=(flatness,)) == ["target flat at 1: met (1.20x the CPU, big to small)"]
