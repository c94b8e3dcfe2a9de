"""Directories that tell of their changes."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from kubelite.core import inotify


def test_each_change_is_told_once_with_its_name(tmp_path: Path) -> None:
    watch = inotify.Watch(
        str(tmp_path), inotify.MODIFIED | inotify.MOVED_IN | inotify.CREATED | inotify.GONE
    )
    assert watch.read() == [] and not select.select([watch], [], [], 0)[0]
    (tmp_path / "file").write_text("x")
    other = tmp_path.parent / f"{tmp_path.name}-other"
    other.write_text("")
    os.rename(other, tmp_path / "a name of\nits own")
    assert select.select([watch], [], [], 5)[0]
    told = [change[:2] for change in watch.read()]
    assert (inotify.CREATED, "file") in told and (inotify.MODIFIED, "file") in told
    assert (inotify.MOVED_IN, "a name of\nits own") in told
    assert watch.read() == []
    watch.close()


def test_the_directory_itself_going_away_is_told(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    watch = inotify.Watch(str(place), inotify.GONE)
    os.rename(place, tmp_path / "elsewhere")
    assert [change.name for change in watch.read() if change.kind & inotify.GONE] == [""]
    watch.close()


def test_one_watch_tells_of_several_directories(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    watch = inotify.Watch(str(first), inotify.CREATED)
    for _ in range(2):  # a second time changes nothing
        watch.add(str(second))
    (first / "a").mkdir()
    (second / "b").mkdir()
    assert [(change.directory, change.name) for change in watch.read()] == [
        (str(first), "a"),
        (str(second), "b"),
    ]
    with pytest.raises(FileNotFoundError):
        watch.add(str(tmp_path / "nothing"))
    watch.close()


def test_what_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        inotify.Watch(str(tmp_path / "nothing"), inotify.GONE)
    assert len(os.listdir("/proc/self/fd")) == before
