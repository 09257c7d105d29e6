"""The stack: the run's own platform with `--shape stack`, else one with LiteLLM's small form."""

import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.platform import Person
from tests.install_tools import chromium
from tests.pages.visitor import LAUNCH
from tests.stack.platform import StackPlatform

_numbers = count(1)


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


@pytest.fixture
def alice(stack: StackPlatform) -> Person:
    return stack.person(f"AliceOfStack{next(_numbers)}")


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {**LAUNCH, "executable_path": chromium()}
