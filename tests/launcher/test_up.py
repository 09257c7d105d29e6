"""The command itself, in its own process, with external peers."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat_platform.launcher.free_ports import free_port
from tests.waiting import wait_for

pytestmark = pytest.mark.programs

COMMAND = str(Path(sys.executable).parent / "chat-platform")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Settings with which the launcher installs and starts only the server."""
    return {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path / "data"),
        "LETTA_BASE_URL": "http://127.0.0.1:1",
        "LITELLM_BASE_URL": "http://127.0.0.1:1",
    }


@pytest.fixture
def launcher(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = run(environment, tmp_path, "up", "--peers-only")
    status = tmp_path / "data" / "run" / "status.json"
    wait_for(
        lambda: status.exists() and json.loads(status.read_text())["state"] == "ready",
        seconds=30,
        give_up=lambda: process.poll() is not None,
    )
    yield process
    process.kill()
    process.wait()


def run(environment: dict[str, str], folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_and_takes_its_status_away(
    launcher: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
):
    launcher.send_signal(number)

    assert launcher.wait(20) == 0
    assert not (tmp_path / "data" / "run" / "status.json").exists()


def test_a_second_launcher_says_that_one_runs(
    launcher: subprocess.Popen[str], environment: dict[str, str], tmp_path: Path
):
    second = run(environment, tmp_path, "up", "--peers-only")

    out, err = second.communicate(timeout=30)

    assert second.returncode == 1
    assert f"A launcher is already running in {tmp_path / 'data'} (process {launcher.pid})" in err
    assert "Traceback" not in out + err


def test_status_tells_what_runs_by_word_and_by_exit_code(
    launcher: subprocess.Popen[str], environment: dict[str, str], tmp_path: Path
):
    ready = run(environment, tmp_path, "status", "--json")
    told, _ = ready.communicate(timeout=30)
    launcher.kill()
    launcher.wait()
    gone = run(environment, tmp_path, "status")
    gone_told, _ = gone.communicate(timeout=30)

    assert ready.returncode == 0
    assert json.loads(told)["launcher_pid"] == launcher.pid
    assert gone.returncode == 1
    assert gone_told.startswith("not running")


def test_a_launcher_can_start_after_one_that_was_killed(
    launcher: subprocess.Popen[str], environment: dict[str, str], tmp_path: Path
):
    launcher.kill()
    launcher.wait()

    next_one = run(environment, tmp_path, "up", "--peers-only")
    assert next_one.stdout
    told = next_one.stdout.readline() + next_one.stdout.readline()
    next_one.send_signal(signal.SIGTERM)

    assert "The peers are ready" in told
    assert next_one.wait(20) == 0


def test_a_port_in_use_is_one_clear_line_with_the_way_out(
    environment: dict[str, str], tmp_path: Path
):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = run({**environment, "PORT": str(port)}, tmp_path, "up")
        _, err = process.communicate(timeout=30)

    assert process.returncode == 1
    assert f"Port {port} is in use by" in err
    assert f"PORT={port + 1} make run" in err
    assert "Traceback" not in err


def test_a_port_of_the_proxy_in_use_is_one_clear_line_too(
    environment: dict[str, str], tmp_path: Path
):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = run({**environment, "PORT": str(free_port()), "PROXY_PORT": port}, tmp_path, "up")
        _, err = process.communicate(timeout=30)

    assert process.returncode == 1
    assert f"Port {port} is in use by" in err
    assert "choose another PROXY_PORT" in err


def test_a_data_folder_that_cannot_be_made_is_told(environment: dict[str, str], tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")

    process = run({**environment, "DATA_DIR": str(tmp_path / "file" / "data")}, tmp_path, "up")
    _, err = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "DATA_DIR" in err
    assert "Traceback" not in err


def test_a_wrong_setting_is_told(environment: dict[str, str], tmp_path: Path):
    process = run({**environment, "PORT": "many"}, tmp_path, "up")
    _, err = process.communicate(timeout=30)

    assert process.returncode == 1
    assert err.startswith("PORT: ")


def test_what_the_launcher_writes_is_closed_to_others(
    launcher: subprocess.Popen[str], tmp_path: Path
):
    data = tmp_path / "data"

    open_to_others = [
        str(file)
        for file in data.rglob("*")
        if not file.is_symlink() and file.stat().st_mode & 0o077
    ]

    assert (data.stat().st_mode & 0o777) == 0o711
    assert open_to_others == []
