"""One running platform for the whole session, and people on it."""

import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.platform import Person, Platform

_numbers = count(1)


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    folder = Path(tempfile.mkdtemp(prefix="chat-platform-e2e-"))
    # Postgres's user passes through it, where we are root.
    folder.chmod(0o711)
    running = Platform(folder / "data")
    running.start()
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def alice(platform: Platform) -> Person:
    return platform.person(f"Alice{next(_numbers)}")


@pytest.fixture
def bob(platform: Platform) -> Person:
    return platform.person(f"Bob{next(_numbers)}")
