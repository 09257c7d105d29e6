"""`make` installs exactly what the compiled requirements name, byte for byte."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def _installing_commands() -> list[str]:
    """Return what make itself would run on a fresh machine."""
    asked = subprocess.run(
        ["make", "-Bn", ".venv/.dev"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [line for line in asked.stdout.splitlines() if re.search(r"\bpip install\b", line)]


def test_nothing_is_installed_without_its_hash():
    commands = _installing_commands()
    foreign = [command for command in commands if not command.endswith("--no-deps -e .")]

    assert len(foreign) == 3
    assert all("--require-hashes -r " in command for command in foreign)


def test_uv_is_taken_from_the_compiled_requirements_with_its_hashes():
    asked = subprocess.run(
        ["make", "-Bn", ".venv/.run"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    extract = next(line for line in asked.stdout.splitlines() if line.startswith("awk"))
    command = extract.rpartition(" > ")[0]

    taken = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)

    first, *hashes = taken.stdout.splitlines()
    assert re.fullmatch(r"uv==[\d.]+ \\", first)
    assert hashes
    assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes)
