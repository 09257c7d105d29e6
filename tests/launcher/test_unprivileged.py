import os
import pwd
import shutil
from pathlib import Path

import pytest

from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.processes import OsUser
from chat_platform.launcher.unprivileged import (
    can,
    choose_folder,
    choose_user,
    give,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for other users")


@pytest.fixture
def nobody() -> OsUser:
    entry = pwd.getpwnam("nobody")
    return OsUser("nobody", entry.pw_uid, entry.pw_gid)


def test_an_ordinary_user_keeps_its_state_in_the_data_folder(tmp_path: Path):
    assert choose_folder(tmp_path, None) == tmp_path / "postgres"


def test_who_is_chosen_is_not_root():
    user = choose_user()

    assert (user is None) == (os.geteuid() != 0)
    assert user is None or user.uid != 0


@as_root
def test_a_data_folder_that_the_user_can_enter_is_used(open_folder: Path, nobody: OsUser):
    folder = choose_folder(open_folder, nobody)

    assert folder == open_folder / "postgres"
    assert folder.stat().st_uid == nobody.uid
    assert can(nobody, "-w", folder)


@as_root
def test_a_closed_clone_gets_a_folder_elsewhere_and_remembers_it(tmp_path: Path, nobody: OsUser):
    closed = tmp_path / "root-only"
    closed.mkdir(mode=0o700)

    first = choose_folder(closed, nobody)
    again = choose_folder(closed, nobody)
    writable = can(nobody, "-w", first)
    shutil.rmtree(first)

    assert first == again
    assert closed not in first.parents
    assert writable


@as_root
def test_a_copied_clone_does_not_share_the_database(tmp_path: Path, nobody: OsUser):
    original, copy, moved = (tmp_path / name for name in ("original", "copy", "moved"))
    original.mkdir(mode=0o700)
    folder = choose_folder(original, nobody)
    copy.mkdir(mode=0o700)
    (copy / "postgres-folder").write_text(str(folder))

    with pytest.raises(LaunchFailed, match="is a copy of"):
        choose_folder(copy, nobody)
    original.rename(moved)
    found_after_a_move = choose_folder(moved, nobody)
    shutil.rmtree(folder)

    assert found_after_a_move == folder


def test_a_given_folder_is_closed_to_others(tmp_path: Path):
    give(tmp_path, None)

    assert tmp_path.stat().st_mode & 0o077 == 0
