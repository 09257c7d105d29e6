"""The stack: the run's own platform with `--shape stack`, else one with LiteLLM's small form."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.platform import Person
from tests.install_tools import chromium
from tests.pages.visitor import LAUNCH
from tests.stack.platform import StackPlatform


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[StackPlatform]:
    if request.config.getoption("--shape") == "stack":
        yield request.getfixturevalue("platform")
        return
    folder = Path(tempfile.mkdtemp(prefix="chat-platform-stack-"))
    # If we are root, Postgres's user must be able to enter it.
    folder.chmod(0o711)
    running = StackPlatform(folder / "data")
    try:
        running.start(GATEWAY_DATABASE="no")
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


def new_person(stack: StackPlatform, name: str) -> Person:
    """Somebody whom the stack does not know yet, though it may have seen these tests before."""
    return stack.person(f"{name}{time.monotonic_ns()}")


@pytest.fixture
def alice(stack: StackPlatform) -> Person:
    return new_person(stack, "Alice")


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {**LAUNCH, "executable_path": chromium()}
