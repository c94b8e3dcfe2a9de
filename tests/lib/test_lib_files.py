"""Locks between processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelite.lib.files import FileLock


def test_a_lock_is_held_until_it_is_released(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    lock = FileLock(path).acquire()
    with pytest.raises(TimeoutError, match="held by another process"):
        FileLock(path, timeout=0).acquire()
    lock.release()
    lock.release()
    with FileLock(path, timeout=0):
        pass


def test_a_lock_whose_file_was_removed_is_taken_on_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FileLock(str(path)) as lock:
        lock.remove()
        with FileLock(str(path), timeout=0):
            assert path.exists()
