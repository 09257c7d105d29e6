"""nginx as a pass-through, and with a small meter in Lua: the bound for a compiled hot path."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.proxy.peers.installing import debian_packages
from benchmarks.proxy.peers.peer import Durable, Missing, Peer
from benchmarks.proxy.peers.processes import chat_url, free_port, running

_HERE = Path(__file__).parent
_PACKAGES = (
    *("nginx", "libnginx-mod-http-lua", "libnginx-mod-http-ndk", "lua-resty-core"),
    *("lua-resty-lrucache", "lua-cjson", "libluajit2-5.1-2", "libluajit2-5.1-common", "libpcre3"),
)


@contextmanager
def nginx(model_port: int) -> Iterator[Peer]:
    try:
        program = str(_unpacked() / "usr" / "sbin" / "nginx")
    except Missing:
        program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
        if program is None:
            raise
    with _nginx("nginx", "nginx.conf", program, model_port, "nothing", {}) as peer:
        yield peer


@contextmanager
def nginx_lua(model_port: int) -> Iterator[Peer]:
    """It journals both ends of a call by write(2), before forwarding and after the answer."""
    installed = _unpacked()
    values = {
        "share": f"{installed}/usr/share/lua/5.1",
        "modules": f"{installed}/usr/lib/nginx/modules",
        "libraries": str(next(installed.glob("usr/lib/*/lua/5.1"))),
    }
    program = str(installed / "usr" / "sbin" / "nginx")
    name = "nginx + Lua meter"
    with _nginx(name, "nginx_lua.conf", program, model_port, "written to the OS", values) as peer:
        yield peer


def _unpacked() -> Path:
    return debian_packages("nginx", *_PACKAGES)


@contextmanager
def _nginx(
    name: str,
    template: str,
    program: str,
    model_port: int,
    durable: Durable,
    values: dict[str, str],
) -> Iterator[Peer]:
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        # Started as root, its workers run as another user, and create their files here.
        Path(home).chmod(0o777)
        config = Path(home) / "nginx.conf"
        values = {**values, "home": home, "port": str(port), "upstream": str(model_port)}
        config.write_text(_filled((_HERE / template).read_text(), values))
        command = [program, "-e", "stderr", "-c", str(config), "-p", home]
        with running(command, port, _library_path(Path(program).parents[2])) as process:
            headers = {"authorization": "Bearer key-of-the-benchmark"}
            yield Peer(name, (chat_url(port),), (process,), durable, headers)


def _library_path(root: Path) -> dict[str, str]:
    folders = [*map(str, root.glob("lib/*-linux-*")), *map(str, root.glob("usr/lib/*-linux-*"))]
    given = os.environ.get("LD_LIBRARY_PATH")
    return {"LD_LIBRARY_PATH": ":".join([*folders, *([given] if given else [])])}


def _filled(template: str, values: dict[str, str]) -> str:
    """Put `@name@` in: braces, dollars and percents mean something to nginx and Lua."""
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template
