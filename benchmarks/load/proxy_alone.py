"""Model calls as fast as they go, with an instant model: through one server process and two."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.proxy.measuring import prove, warm_measure
from benchmarks.proxy.peers.ours import ours_on_postgres, ours_twice_on_postgres
from benchmarks.proxy.peers.peer import PLAIN
from benchmarks.proxy.peers.upstream import upstream
from benchmarks.proxy.rows import Row

CONNECTIONS = 32
ROUNDS = 5
SECONDS = 4.0


@dataclass(frozen=True)
class ProxyAlone:
    """A row for each round, of one process and of two."""

    one: list[Row]
    two: list[Row]


def proxy_alone() -> ProxyAlone:
    found = ProxyAlone([], [])
    with ExitStack() as stack:
        port = stack.enter_context(upstream())
        peers = (
            (found.one, stack.enter_context(ours_on_postgres(port))),
            (found.two, stack.enter_context(ours_twice_on_postgres(port))),
        )
        for _, peer in peers:
            prove(peer)
        for turn in range(ROUNDS):
            for rows, peer in peers if turn % 2 else reversed(peers):
                row = warm_measure(peer, PLAIN, CONNECTIONS, SECONDS, turn)
                rows.append(row)
                print(f"{peer.name}: {row.rps:.0f} calls a second", file=sys.stderr, flush=True)
    return found
