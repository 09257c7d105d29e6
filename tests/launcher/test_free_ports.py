"""Ports for the peers: free ones, each given away once, whoever asks."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chat_platform.launcher.free_ports import free_port, is_free, kept_port

ASK = "from chat_platform.launcher.free_ports import kept_port; import pathlib, sys;"


def test_a_kept_port_is_the_same_at_each_start(tmp_path: Path):
    kept = tmp_path / "port"

    first, second = _asked_elsewhere(kept), _asked_elsewhere(kept)

    assert first == second == int(kept.read_text())
    assert is_free(first)


@pytest.mark.parametrize("content", ["", "nonsense", "80", "70000", "-1"])
def test_what_names_no_port_of_ours_is_replaced(tmp_path: Path, content: str):
    kept = tmp_path / "port"
    kept.write_text(content)

    port = kept_port(kept)

    assert port == int(kept.read_text())
    assert 20_000 <= port < 32_000


def test_a_kept_port_that_somebody_took_is_replaced(tmp_path: Path):
    kept = tmp_path / "port"
    before = _asked_elsewhere(kept)

    with socket.create_server(("127.0.0.1", before)):
        port = kept_port(kept)

    assert port != before
    assert port == int(kept.read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that end with a process")
def test_two_launchers_do_not_get_the_same_port(tmp_path: Path):
    kept = tmp_path / "port"
    ours = free_port()
    kept.write_text(str(ours))

    theirs = _asked_elsewhere(kept)

    assert is_free(ours)
    assert theirs != ours


def _asked_elsewhere(kept: Path) -> int:
    """Return the port that another process is given, which ends at once."""
    done = subprocess.run(
        [sys.executable, "-c", f"{ASK} print(kept_port(pathlib.Path(sys.argv[1])))", str(kept)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)
