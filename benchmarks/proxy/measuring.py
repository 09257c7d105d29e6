"""Checks that a peer answers rightly, and measures it under one load."""

import json
import subprocess
import sys
from typing import Any

import httpx

from benchmarks.proxy.load import Load, as_argument, body_of
from benchmarks.proxy.peers.peer import PLAIN, Missing, Peer
from benchmarks.proxy.peers.processes import ROOT
from benchmarks.proxy.rows import Row

WARM_UP_SECONDS = 0.7
_SLACK_SECONDS = 30
"""How long a load may overrun before its peer is skipped."""
_TOKENS = {"prompt_tokens": 900, "completion_tokens": 20}


def prove(peer: Peer) -> None:
    """Raise Missing unless each kind of request is answered with 200 and the model's usage."""
    with httpx.Client(timeout=_SLACK_SECONDS) as client:
        for url in peer.urls:
            for kind in peer.kinds:
                _prove(client, url.replace("{n}", "0"), kind, peer)


def _prove(client: httpx.Client, url: str, kind: str, peer: Peer) -> None:
    headers = {"content-type": "application/json", **peer.headers}
    answer = client.post(url, content=body_of(kind, peer.model), headers=headers)
    if answer.status_code != 200:
        raise Missing(f"answers {kind} with {answer.status_code}: {answer.text[:200]}")
    usages = [event["usage"] for event in _events(answer.text, kind) if event.get("usage")]
    if not usages or any(usages[-1].get(name) != count for name, count in _TOKENS.items()):
        raise Missing(f"answers {kind} without the model's usage: {answer.text[-200:]}")


def _events(text: str, kind: str) -> list[dict[str, Any]]:
    if kind == PLAIN:
        return [json.loads(text)]
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def warm_measure(peer: Peer, kind: str, connections: int, seconds: float, turn: int = 0) -> Row:
    measure(peer, kind, connections, seconds=min(seconds, WARM_UP_SECONDS))
    return measure(peer, kind, connections, seconds=seconds, turn=turn)


def measure(peer: Peer, kind: str, connections: int, *, seconds: float, turn: int = 0) -> Row:
    load = Load(peer.urls, connections, seconds, kind, peer.headers, peer.model)
    before, database_before = peer.cpu_seconds(), peer.database_cpu_seconds()
    found = _under(load)
    cpu = peer.cpu_seconds() - before
    database_cpu = peer.database_cpu_seconds() - database_before
    # All that was answered has cost CPU, in time or not.
    answers, chunks = found.pop("all_answers"), found.pop("all_chunks")
    return Row(
        peer=peer.name,
        durable=peer.durable,
        kind=kind,
        connections=connections,
        turn=turn,
        cpu_ms_per_request=_share(cpu * 1000, answers),
        cpu_us_per_chunk=_share(cpu * 1e6, chunks),
        database_cpu_ms_per_request=_share(database_cpu * 1000, answers),
        memory_mb=peer.memory_mb(),
        **found,
    )


def _share(cpu: float, count: int) -> float:
    """Return 0 where nothing was answered."""
    return round(cpu / count, 4) if count else 0


def _under(load: Load) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.proxy.load", as_argument(load)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=load.seconds + _SLACK_SECONDS,
    )
    return json.loads(done.stdout)
