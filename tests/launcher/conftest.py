"""Folders for the launcher's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that everybody may enter: pytest's are closed to other users."""
    above = [folder for folder in (tmp_path, *tmp_path.parents) if str(folder) != "/tmp"]
    closed = [folder for folder in above if not folder.stat().st_mode & 0o001]
    modes = {folder: folder.stat().st_mode & 0o777 for folder in closed}
    for folder, mode in modes.items():
        folder.chmod(mode | 0o011)
    yield tmp_path
    for folder, mode in modes.items():
        folder.chmod(mode)
