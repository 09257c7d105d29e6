import subprocess
import sys
from pathlib import Path

import pytest

from tests.advisories import LIST, ROOT, Pin, complaints, every_pin, known_advisories

TABLE = """
| package | affected | advisory | what | accepted |
|---|---|---|---|---|
| starlette | >=0.8.3,<1.0.1 | CVE-1 | host | {accepted} |
"""


def _complaints(version: str, *, accepted: str = "", owner: str = "letta") -> list[str]:
    known = known_advisories(TABLE.format(accepted=accepted))
    return list(complaints(known, [Pin(owner, "starlette", version)]))


@pytest.mark.parametrize("version", ["0.8.3", "1.0.0", "0.52.1"])
def test_a_pin_in_an_affected_range_is_told(version: str):
    assert _complaints(version) == [f"letta: starlette {version} is affected by CVE-1"]


@pytest.mark.parametrize("version", ["0.8.2", "1.0.1", "1.10.0"])
def test_a_pin_outside_of_it_is_not(version: str):
    assert not _complaints(version)


def test_an_accepted_pin_is_not_told():
    assert not _complaints("1.0.0", accepted="letta: behind its door")


def test_what_one_environment_accepts_another_does_not():
    assert _complaints("1.0.0", accepted="letta: behind its door", owner="platform")


def test_an_acceptance_that_nobody_needs_is_told():
    assert _complaints("1.0.1", accepted="letta: behind its door") == [
        "starlette: no pin needs CVE-1 accepted any more"
    ]


def test_every_lock_file_is_looked_at():
    owners = {pin.owner for pin in every_pin()}

    assert owners == {"platform", "letta", "litellm", "prisma", "reflex.lock"}


def test_a_pin_of_long_ago_in_any_lock_file_fails_the_check(tmp_path: Path):
    peer = tmp_path / "chat_platform" / "launcher" / "new_peer"
    peer.mkdir(parents=True)
    (peer / "requirements.txt").write_text("Python_Multipart[x]==0.0.20 \\\n    --hash=sha256:0\n")

    found = list(complaints(known_advisories(LIST.read_text()), every_pin(tmp_path)))

    assert "new_peer: python-multipart 0.0.20 is affected by CVE-2026-24486" in found


def test_no_pin_of_today_has_an_advisory_that_is_not_accepted():
    done = subprocess.run(
        [sys.executable, "-m", "tests.advisories"], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout


def test_every_acceptance_says_where_it_is_mitigated():
    accepted = [advisory for advisory in known_advisories(LIST.read_text()) if advisory.accepted]

    assert accepted
    assert all("`" in a.accepted or "as above" in a.accepted for a in accepted)
