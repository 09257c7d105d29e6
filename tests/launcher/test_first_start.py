"""The first start for a newcomer: `make run` in a clone that nobody else may enter."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from chat_platform.launcher.free_ports import free_port
from tests.e2e.platform import API, ROOT
from tests.environment import clean_environment
from tests.waiting import is_ok, wait_for

pytestmark = [
    pytest.mark.chain,
    pytest.mark.slow,
    # Everything is installed from scratch: a shared environment would hide a missing step.
    pytest.mark.timeout(900),
]
SYSTEM_PYTHON = "/usr/bin/python3.11"
"""A Python that every user may run; root's own may be in root's private home."""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for other users")


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="chat-platform-home-"))
    folder.chmod(0o700)
    yield folder
    shutil.rmtree(folder)
    _remove_what_lies_elsewhere(folder)


@as_root
@pytest.mark.parametrize("umask", [0o077])
def test_root_starts_it_in_a_closed_clone(home: Path, umask: int):
    clone = _clone(home)

    with _made_to_run(clone, umask=umask) as url:
        answer = _three_calls(url)

    assert answer["usage"]["model_calls"] > 0


@as_root
@pytest.mark.skipif(not Path(SYSTEM_PYTHON).exists(), reason=f"no {SYSTEM_PYTHON} for other users")
def test_an_ordinary_user_starts_it_in_a_closed_home(home: Path):
    clone = _clone(home)
    user = pwd.getpwnam("nobody")
    subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", home], check=True)

    with _made_to_run(clone, "PYTHON=" + SYSTEM_PYTHON, user=user, home=home, umask=0o027) as url:
        answer = _three_calls(url)

    assert answer["usage"]["model_calls"] > 0


def _clone(home: Path) -> Path:
    """Copy what git tracks or would add: this tests the tree, not its last commit."""
    clone = home / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    return clone


@contextmanager
def _made_to_run(
    clone: Path,
    *words: str,
    umask: int,
    user: pwd.struct_passwd | None = None,
    home: Path | None = None,
) -> Iterator[str]:
    """Run `make run` there, and stop it with Ctrl-C."""
    port = free_port()
    variables = {"PORT": str(port), **({"HOME": str(home)} if home else {})}
    log = clone.parent / "make-run.log"
    with log.open("wb") as out:
        running = subprocess.Popen(
            ["make", "run", *words],
            cwd=clone,
            env=clean_environment(**variables),
            stdout=out,
            stderr=subprocess.STDOUT,
            umask=umask,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            start_new_session=True,
        )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}{API}/health/ready", running, log)
        yield f"http://127.0.0.1:{port}{API}"
    finally:
        os.killpg(running.pid, signal.SIGINT)
        running.wait(60)


def _wait_until_ready(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    try:
        wait_for(lambda: is_ok(url), seconds=600, give_up=lambda: running.poll() is not None)
    except AssertionError:
        pytest.fail(f"it did not start:\n{log.read_text()[-4000:]}")


def _three_calls(url: str) -> dict:
    """Make the README's three calls and return the last answer."""
    person = {"email": "test@example.com", "password": "password123"}
    with httpx.Client(base_url=url, timeout=120) as http:
        http.post("/auth/register", json={**person, "name": "Test User"}).raise_for_status()
        token = http.post("/auth/login", json=person).json()["access_token"]
        answer = http.post(
            "/chat/message",
            json={"content": "Hello! Can you introduce yourself?"},
            headers={"Authorization": f"Bearer {token}"},
        )
    answer.raise_for_status()
    return answer.json()


def _remove_what_lies_elsewhere(home: Path) -> None:
    """Delete the folder outside the private clone that belonged to it."""
    for note in Path("/var/lib/chat-platform").glob("*/belongs-to"):
        if note.read_text().startswith(str(home)):
            shutil.rmtree(note.parent)
