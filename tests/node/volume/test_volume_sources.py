"""emptyDir directories, host paths and subPaths on a real file system."""

from __future__ import annotations

import itertools
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelite.core import native
from kubelite.node.volume.errors import HostPathError, SubPathError, VolumeError
from kubelite.node.volume.mounts import Part, Place
from kubelite.node.volume.sources import (
    make_empty_dir,
    make_parts,
    make_places,
    make_subpath,
    prepare_host_path,
    resolve_subpath,
)


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """A strict one, which must have no say in what modes come out."""
    old = os.umask(0o077)
    yield
    os.umask(old)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_empty_dir_is_open_to_all_below_a_closed_directory(tmp_path: Path) -> None:
    path = tmp_path / "volumes" / "data"
    make_empty_dir(str(path))
    assert mode(path) == 0o777
    assert mode(path.parent) == 0o700


def test_an_empty_dir_keeps_what_is_in_it(tmp_path: Path) -> None:
    make_empty_dir(str(tmp_path / "data"))
    (tmp_path / "data" / "file").write_text("x")
    make_empty_dir(str(tmp_path / "data"))
    assert (tmp_path / "data" / "file").read_text() == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_an_fs_group_owns_its_empty_dir(tmp_path: Path) -> None:
    make_empty_dir(str(tmp_path / "data"), 4321)
    assert (tmp_path / "data").stat().st_gid == 4321
    assert mode(tmp_path / "data") == 0o2777


def test_an_empty_dir_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VolumeError, match=r"cannot make volume .*Not a directory"):
        make_empty_dir(str(tmp_path / "file" / "data"))


@pytest.fixture
def zoo(tmp_path: Path) -> Iterator[dict[str, str]]:
    """One path of every kind."""
    (tmp_path / "Directory").mkdir()
    (tmp_path / "File").touch()
    (tmp_path / "link").symlink_to("Directory")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "Socket"))
    found = {name: str(tmp_path / name) for name in ("Directory", "File", "Socket")}
    yield {**found, "CharDevice": "/dev/null"}
    listener.close()


SENTENCES = {
    "Directory": "directory",
    "DirectoryOrCreate": "directory",
    "File": "file",
    "FileOrCreate": "file",
    "Socket": "socket file",
    "CharDevice": "character device",
    "BlockDevice": "block device",
}


@pytest.mark.parametrize("kind", SENTENCES)
@pytest.mark.parametrize("what", ["Directory", "File", "Socket", "CharDevice"])
def test_every_type_against_every_kind_of_path(zoo: dict[str, str], kind: str, what: str) -> None:
    if kind.removesuffix("OrCreate") == what:
        assert prepare_host_path(zoo[what], kind) == (what != "Directory")
        return
    with pytest.raises(HostPathError) as caught:
        prepare_host_path(zoo[what], kind)
    expected = f"hostPath type check failed: {zoo[what]} is not a {SENTENCES[kind]}"
    assert caught.value.message == expected


def test_a_path_without_a_type_may_be_anything(zoo: dict[str, str], tmp_path: Path) -> None:
    assert [prepare_host_path(path, "") for path in zoo.values()] == [False, True, True, True]
    assert prepare_host_path(str(tmp_path / "link"), "") is False
    assert prepare_host_path(str(tmp_path / "link"), "Directory") is False


@pytest.mark.parametrize("kind", ["Directory", "File", "Socket", "CharDevice", "BlockDevice"])
def test_what_is_missing_is_not_what_it_should_be(tmp_path: Path, kind: str) -> None:
    with pytest.raises(HostPathError, match=f"is not a {SENTENCES[kind]}"):
        prepare_host_path(str(tmp_path / "a"), kind)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["", "DirectoryOrCreate"])
def test_missing_directories_are_made(tmp_path: Path, kind: str) -> None:
    os.umask(0o022)
    assert prepare_host_path(str(tmp_path / "a" / "b"), kind) is False
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o755


def test_a_missing_file_is_made_but_not_its_directory(tmp_path: Path) -> None:
    os.umask(0o022)
    assert prepare_host_path(str(tmp_path / "f"), "FileOrCreate") is True
    assert mode(tmp_path / "f") == 0o644
    with pytest.raises(HostPathError, match="No such file or directory"):
        prepare_host_path(str(tmp_path / "no" / "f"), "FileOrCreate")


@pytest.mark.parametrize("path", ["", "relative", "/a/../b", "/a\0b"])
def test_bad_host_paths_are_refused(path: str) -> None:
    with pytest.raises(HostPathError, match="must be absolute"):
        prepare_host_path(path, "")


def test_odd_host_paths_end_in_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").touch()
    for name in ("loop", "dangling", "file/below", "x" * 300):
        with pytest.raises(HostPathError, match="cannot use hostPath"):
            prepare_host_path(str(tmp_path / name), "DirectoryOrCreate")
    with pytest.raises(HostPathError, match="Odd is an invalid volume type"):
        prepare_host_path("/", "Odd")


def test_a_subpath_is_made_with_the_mode_of_its_volume(tmp_path: Path) -> None:
    tmp_path.chmod(0o2771)
    assert make_subpath(str(tmp_path), "a//b/./c/") is False
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o2771] * 3


def test_a_subpath_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(0o700)
    (tmp_path / "d" / "f").touch()
    assert make_subpath(str(tmp_path), "d") is False
    assert make_subpath(str(tmp_path), "d/f") is True
    assert mode(tmp_path / "d") == 0o700


@pytest.mark.parametrize("subpath", ["/abs", "..", "a/../b", "a/.."])
def test_subpaths_that_lead_out_are_refused(tmp_path: Path, subpath: str) -> None:
    with pytest.raises(SubPathError, match="must"):
        make_subpath(str(tmp_path), subpath)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["..", "/", "inside", "nowhere"])
@pytest.mark.parametrize("subpath", ["link", "link/new", "dir/link/new"])
def test_links_in_a_subpath_are_refused(tmp_path: Path, target: str, subpath: str) -> None:
    volume = tmp_path / "volume"
    (volume / "inside").mkdir(parents=True)
    (volume / "dir").mkdir()
    (volume / "link").symlink_to(target)
    (volume / "dir" / "link").symlink_to(target)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with pytest.raises(SubPathError, match="link"):
        make_subpath(str(volume), subpath)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("target", "subpath", "resolved"),
    [
        ("inside", "link", "inside"),
        ("inside/../inside/.", "link/new", "inside/new"),
        ("{volume}/inside", "link/x", "inside/x"),
        ("nowhere", "link/x", "nowhere/x"),
        ("link2", "link", "inside"),
    ],
)
def test_links_that_stay_inside_are_resolved(
    tmp_path: Path, target: str, subpath: str, resolved: str
) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "link2").symlink_to("inside")
    (tmp_path / "link").symlink_to(target.format(volume=tmp_path))
    assert resolve_subpath(str(tmp_path), subpath) == resolved
    make_subpath(str(tmp_path), resolved)


@pytest.mark.parametrize("target", ["..", "/", "/etc", "inside/../../x", "link", "{volume}x"])
def test_links_that_lead_out_or_round_are_refused(tmp_path: Path, target: str) -> None:
    volume = tmp_path / "volume"
    (volume / "inside").mkdir(parents=True)
    (volume / "link").symlink_to(target.format(volume=volume))
    for subpath in ("link", "link/x"):
        with pytest.raises(SubPathError, match="symbolic link"):
            resolve_subpath(str(volume), subpath)


def test_a_nul_in_a_subpath_is_refused(tmp_path: Path) -> None:
    for use in (resolve_subpath, make_subpath):
        with pytest.raises(SubPathError, match="NUL"):
            use(str(tmp_path), "a\0b")


def test_a_subpath_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(SubPathError, match="Not a directory"):
        make_subpath(str(tmp_path), "f/x")
    with pytest.raises(SubPathError, match="Not a directory"):
        make_subpath(str(tmp_path / "f"), "x")
    with pytest.raises(SubPathError, match="cannot open volume"):
        make_subpath(str(tmp_path / "gone"), "x")


def test_places_and_parts_are_made_together(tmp_path: Path) -> None:
    (tmp_path / "one.conf").touch()
    (tmp_path / "view" / "m").mkdir(parents=True)
    places = [
        Place("data", "disk", str(tmp_path / "data")),
        Place("conf", "host", str(tmp_path / "one.conf"), "File"),
        Place("memory", "memory", "/m"),
    ]
    assert make_places(places) == {Part("conf", "")}
    wanted = [Part("data", "a/b"), Part("memory", "c")]
    found = {place.name: place for place in places}
    assert make_parts(wanted, found, str(tmp_path / "view")) == frozenset()
    assert (tmp_path / "data" / "a" / "b").is_dir()
    assert (tmp_path / "view" / "m" / "c").is_dir()


SWAPS = 20_000
BENEATH = native.RESOLVE_BENEATH | native.RESOLVE_NO_SYMLINKS


def test_a_link_swapped_in_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    """A directory and a link out of the volume change places 20,000 times, while a subPath through
    it is resolved, made and opened as a container's start does it.
    """
    outside, volume = tmp_path / "outside", tmp_path / "volume"
    (outside / "secret").mkdir(parents=True)
    (volume / "d").mkdir(parents=True)
    (volume / "link").symlink_to(outside)
    top, out = os.open(volume, os.O_PATH), os.stat(outside / "secret").st_ino
    made, completed = itertools.count(), []

    def swap() -> None:
        for _ in range(SWAPS // 2):
            for kept, other in (("away", "link"), ("link", "away")):
                os.rename(volume / "d", volume / kept)
                while True:
                    try:
                        os.rename(volume / other, volume / "d")
                        break
                    except OSError:  # it was made anew meanwhile
                        os.rename(volume / "d", volume / f"made{next(made)}")
        completed.append(SWAPS)

    swapper = threading.Thread(target=swap)
    swapper.start()
    opened = refused = 0
    for number in itertools.count():
        if not swapper.is_alive():
            break
        path = f"d/{number}" if number % 2 else "d/secret"
        try:
            wanted = resolve_subpath(str(volume), path)
            make_subpath(str(volume), wanted)
            fd = native.openat2(top, wanted, os.O_PATH | os.O_CLOEXEC, BENEATH)
        except (SubPathError, OSError):
            refused += 1
            continue
        assert os.fstat(fd).st_ino != out
        os.close(fd)
        opened += 1
    os.close(top)
    assert opened and refused and completed
    assert os.listdir(outside) == ["secret"] and os.listdir(outside / "secret") == []


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    before = len(os.listdir("/proc/self/fd"))
    make_subpath(str(tmp_path), "a/b/c")
    for subpath in ("link", "link/x"):
        with pytest.raises(SubPathError):
            make_subpath(str(tmp_path), subpath)
    assert len(os.listdir("/proc/self/fd")) == before
