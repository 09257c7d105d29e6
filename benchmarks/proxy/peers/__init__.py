"""Everything that is measured: each peer is a function that starts it for one model's port."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from benchmarks.proxy.peers.envoy import envoy
from benchmarks.proxy.peers.ferrogw import ferrogw, ferrogw_log
from benchmarks.proxy.peers.litellm import litellm
from benchmarks.proxy.peers.nginx import nginx, nginx_lua
from benchmarks.proxy.peers.ours import (
    ours_on_main_port,
    ours_on_postgres,
    ours_on_sqlite,
    ours_twice_on_postgres,
)
from benchmarks.proxy.peers.peer import Peer
from benchmarks.proxy.peers.portkey import portkey, portkey_streams
from benchmarks.proxy.peers.rolter import rolter
from benchmarks.proxy.peers.tensorzero import tensorzero
from benchmarks.proxy.peers.upstream import direct

ALL: list[Callable[[int], AbstractContextManager[Peer]]] = [
    direct,
    nginx,
    nginx_lua,
    envoy,
    rolter,
    tensorzero,
    ferrogw,
    ferrogw_log,
    ours_on_sqlite,
    ours_on_main_port,
    ours_on_postgres,
    ours_twice_on_postgres,
    portkey,
    portkey_streams,
    litellm,
]
