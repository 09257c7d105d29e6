"""What the load's report and the soak say follows from what was measured."""

import pytest

from benchmarks.load.parts import Used
from benchmarks.load.people import Answers, Times
from benchmarks.load.phases import Pages, Phases, Round
from benchmarks.load.proxy_alone import ProxyAlone
from benchmarks.load.report import lines, percentile
from benchmarks.proxy.rows import Row
from benchmarks.soak.samples import Sample, growth


def round_of(servers: int, *, seconds: float, machine: float) -> Round:
    answers = Answers([Times(0.1, 2.0), Times(0.2, 4.0)], seconds=seconds)
    cores = {"letta": 0.9, "server-1": 0.4}
    return Round(servers, answers, Used(seconds, cores, {}, machine))


def row_of(rps: float) -> Row:
    figures = {"rps": rps, "chunks_per_second": 0, "p50_ms": 1.0, "p99_ms": 2.0}
    return Row(
        peer="ours",
        durable="fsynced",
        kind="plain",
        connections=32,
        turn=0,
        cpu_ms_per_request=0.3,
        cpu_us_per_chunk=0,
        database_cpu_ms_per_request=0.1,
        memory_mb=100,
        first_byte_p50_ms=1.0,
        failures=0,
        reconnects=0,
        **figures,
    )


def report_of(*, machine: float) -> str:
    rounds = [
        round_of(servers, seconds=4 / servers, machine=machine)
        for servers in (1, 2)
        for _ in range(3)
    ]
    pages = Pages([0.1] * 10, 10, Used(1.0, {"server-1": 0.1}, {"server-1": 90.0}), 200.0)
    alone = ProxyAlone([row_of(1000)], [row_of(1500)])
    return "\n".join(lines(Phases(pages, rounds, rounds), alone))


@pytest.mark.parametrize(("percent", "expected"), [(50, 2), (95, 4), (99, 4), (25, 1)])
def test_a_percentile_is_one_of_the_values(percent: int, expected: int):
    assert percentile([4, 1, 3, 2], percent) == expected


def test_the_gain_from_one_server_to_two_is_a_ratio():
    told = report_of(machine=0.5)

    assert "Through two servers: 2.00 times as many answers a second." in told
    assert "Through two processes: 1.50 times as many calls a second." in told


def test_a_full_machine_is_named_as_the_bottleneck_rather_than_its_busiest_part():
    assert "the bottleneck is letta, not the machine (50%)" in report_of(machine=0.5)
    assert "the bottleneck is the machine (97% busy): letta 0.90 cores" in report_of(machine=0.97)


def test_failed_answers_are_told_with_the_first_reason():
    pages = Pages([0.1], 1, Used(1.0, {"server-1": 0.1}, {"server-1": 90.0}), 200.0)
    rounds = [round_of(servers, seconds=1, machine=0.5) for servers in (1, 2)]
    rounds[0].answers.failures.append("RuntimeError('503')")

    told = "\n".join(lines(Phases(pages, rounds, rounds), ProxyAlone([row_of(1)], [row_of(1)])))

    assert "The first failure: RuntimeError('503')" in told
    assert "| 1 | 2 | 1 |" in told


def test_growth_is_what_exceeds_the_breathing_of_pools():
    before = [Sample(1, 200.0, 50, 60)] * 3

    assert growth("server", before, [Sample(1, 225.0, 65, 75)] * 3) == []
    assert growth("server", before, [Sample(1, 240.0, 90, 60)] * 3) == [
        "server: memory grew from 200 to 240 MB",
        "server: sockets grew from 50 to 90",
    ]
    assert growth("server", before, [Sample(1, 200.0, 50, 500)] * 3) == [
        "server: tasks grew from 60 to 500"
    ]
