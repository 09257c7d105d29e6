"""Folders for the launcher's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.open_folder import new_open_folder


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with new_open_folder() as folder:
        yield folder
