"""The lock of a pod whose directory is there or not."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kubelite.core import inotify
from kubelite.lib.files import FileLock
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.pod_lock import hold_pod

UID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with the directory of one pod."""
    home = Home(str(tmp_path / "k"))
    for path in (f"{home.run}/locks", home.pod(UID)):
        os.makedirs(path)
    return home


def test_only_one_holds_it(home: Home) -> None:
    with hold_pod(home, UID) as lock:
        assert lock is not None
        with pytest.raises(TimeoutError), hold_pod(home, UID, timeout=0):
            pass
    with hold_pod(home, UID, timeout=0) as lock:
        assert lock is not None


def test_whoever_waited_while_the_pod_was_removed_makes_no_file(home: Home) -> None:
    """Not even for a moment: it may be killed then."""
    locks: list[FileLock | None] = []

    def wait() -> None:
        with hold_pod(home, UID) as lock:
            locks.append(lock)

    with hold_pod(home, UID) as lock:
        assert lock is not None
        new_files = inotify.Watch(f"{home.run}/locks", inotify.CREATED)
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.2)
        os.rmdir(home.pod(UID))
        lock.remove()
    waiting.join()
    assert locks == [None]
    assert new_files.read() == []
    new_files.close()


def test_what_a_killed_removal_left_goes(home: Home) -> None:
    with hold_pod(home, UID):
        os.rmdir(home.pod(UID))
    assert os.path.exists(home.pod_lock(UID))
    with hold_pod(home, UID) as lock:
        assert lock is None
    assert not os.path.exists(home.pod_lock(UID))


def test_a_claim_under_way_is_not_disturbed(home: Home) -> None:
    """It holds the lock before there is a directory."""
    os.rmdir(home.pod(UID))
    claim, wait = FileLock(home.pod_lock(UID)), hold_pod(home, UID, timeout=0)
    with claim, pytest.raises(TimeoutError), wait:
        pass
    assert os.path.exists(home.pod_lock(UID))


def test_a_missing_run_directory_of_a_pod_that_is_there_is_an_error(home: Home) -> None:
    os.rmdir(f"{home.run}/locks")
    with pytest.raises(FileNotFoundError), hold_pod(home, UID):
        pass
