"""Folders that other users may enter, as a person's DATA_DIR may be: pytest's own are closed."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_open_folder() -> Iterator[Path]:
    """A new folder that everybody may enter, for the peers of a launcher that runs as root.

    It lies beside pytest's folders. Opening one of those for a while would open it, and close it
    again, for every test that runs at the same time.
    """
    folder = Path(tempfile.mkdtemp(prefix="chat-platform-tests-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
