"""Volumes and volume mounts as decided mounts."""

from __future__ import annotations

import posixpath
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.volume.errors import VolumeError
from kubelite.node.volume.mounts import (
    ContainerMount,
    Part,
    Place,
    PodMount,
    clean,
    container_mounts,
    etc_mounts,
    in_order,
    parts,
    places,
    pod_mounts,
    shared_volumes,
)
from kubelite.objects.pod.container import VolumeMount
from kubelite.objects.pod.volumes import Volume

DATA = Place("data", "disk", "/pods/u/volumes/data")
CACHE = Place("cache", "memory", "/run/u/memory/cache")
HOST = Place("host", "host", "/srv/x", "File")
FOUND = {place.name: place for place in (DATA, CACHE, HOST)}


def volume(name: str, **source: Any) -> Any:
    empty = {"empty_dir": None, "host_path": None}
    return SimpleNamespace(name=name, **{**empty, **source})


def mount(name: str, path: str, **fields: Any) -> Any:
    options = (
        "sub_path",
        "sub_path_expr",
        "read_only",
        "recursive_read_only",
        "mount_propagation",
    )
    rest = {**dict.fromkeys(options), **fields}
    return SimpleNamespace(name=name, mount_path=path, **rest)


def expand(text: str) -> str:
    return text.replace("$(POD)", "web-0")


def bound(*mounts: Any, files: frozenset[Part] = frozenset()) -> list[ContainerMount]:
    return container_mounts(mounts, FOUND, files, expand)


def test_each_kind_has_its_place() -> None:
    found = places(
        [
            volume("data", empty_dir=SimpleNamespace(medium="")),
            volume("cache", empty_dir=SimpleNamespace(medium="Memory")),
            volume("host", host_path=SimpleNamespace(path="/srv/x", type="File")),
            volume("plain", host_path=SimpleNamespace(path="/srv", type=None)),
        ],
        "/pods/u/volumes",
        "/run/u/memory",
        {},
    )
    assert found == [DATA, CACHE, HOST, Place("plain", "host", "/srv", "")]


def test_an_unknown_medium_is_refused() -> None:
    with pytest.raises(VolumeError, match='unknown storage medium "Flash"'):
        places([volume("data", empty_dir=SimpleNamespace(medium="Flash"))], "/d", "/m", {})


def test_other_kinds_are_refused_by_name():
    nfs = msgspec.convert({"name": "data", "nfs": {"server": "s", "path": "/"}}, Volume)
    with pytest.raises(VolumeError, match='"data"'):
        places([nfs], "/d", "/m", {})


def test_volumes_made_of_objects_lie_on_disk_or_in_memory_and_are_read_only():
    config = msgspec.convert({"name": "conf", "configMap": {"name": "c"}}, Volume)
    secret = msgspec.convert({"name": "key", "secret": {"secretName": "s"}}, Volume)
    found = places([config, secret], "/disk", "/memory", {})
    assert [(place.kind, place.path) for place in found] == [
        ("content", "/disk/conf"),
        ("secret", "/memory/key"),
    ]
    mount = msgspec.convert({"name": "conf", "mountPath": "/conf"}, VolumeMount)
    by_name = {place.name: place for place in found}
    (mounted,) = container_mounts([mount], by_name, frozenset(), str)
    assert mounted.read_only


@pytest.mark.parametrize(
    ("sizes", "fs_group", "options"),
    [
        ({}, None, "size=1000,mode=1777"),
        ({"cache": 10}, None, "size=10,mode=1777"),
        ({"cache": 2000}, None, "size=1000,mode=1777"),
        ({"cache": 0}, 55, "size=1000,mode=3777,gid=55"),
    ],
)
def test_only_memory_is_mounted_for_the_pod(
    sizes: dict[str, int], fs_group: int | None, options: str
) -> None:
    expected = [PodMount(CACHE.path, options, "cache")]
    assert pod_mounts(FOUND.values(), sizes, 1000, fs_group) == expected


def test_huge_pages_are_mounted_for_the_pod() -> None:
    huge = Place("h", "huge", "/memory/h", "2097152")
    found = PodMount("/memory/h", "pagesize=2097152,mode=0755", "h", is_huge=True)
    assert pod_mounts([huge], {}, 1000) == [found]
    (shared,) = pod_mounts([huge], {}, 1000, 55, frozenset({"h"}))
    assert shared.options == "pagesize=2097152,mode=0775,gid=55" and shared.shared


def test_shared_volumes_are_mounted_so_that_mounts_in_them_travel() -> None:
    both = [mount("cache", "/c", mount_propagation="Bidirectional")]
    both.append(mount("data", "/d", mount_propagation="Bidirectional"))
    both.append(mount("host", "/h", mount_propagation="HostToContainer"))
    shared = shared_volumes(both)
    assert shared == {"cache", "data"}
    assert pod_mounts(FOUND.values(), {}, 1000, None, shared) == [
        PodMount(CACHE.path, "size=1000,mode=1777", "cache", shared=True),
        PodMount(DATA.path, "", "data", shared=True, is_bind=True),
    ]
    assert [found.propagation for found in bound(*both)] == ["shared", "shared", "slave"]


def test_a_mount_shows_its_volume() -> None:
    (found,) = bound(mount("data", "/srv/", read_only=True))
    assert found == ContainerMount(DATA.path, "/srv", True, True, False, "", 'volume "data"')


def test_a_relative_mount_path_is_taken_from_the_root() -> None:
    assert bound(mount("data", "srv/a"))[0].target == "/srv/a"


def test_subpath_and_its_expression() -> None:
    one, two = bound(
        mount("data", "/a", sub_path="x/y"), mount("data", "/b", sub_path_expr="logs/$(POD)")
    )
    assert (one.subpath, two.subpath) == ("x/y", "logs/web-0")


def test_files_are_bound_as_files_and_not_recursively() -> None:
    files = frozenset({Part("host", ""), Part("data", "one.conf")})
    host, one, other = bound(
        mount("host", "/f"),
        mount("data", "/g", sub_path="one.conf"),
        mount("data", "/h"),
        files=files,
    )
    assert [(m.file, m.recursive) for m in (host, one, other)] == [
        (True, False),
        (True, False),
        (False, True),
    ]


def test_a_mount_of_an_unknown_volume_is_refused() -> None:
    with pytest.raises(VolumeError, match='volume "no" of /x is not in the pod'):
        bound(mount("no", "/x"))


def test_parts_are_wanted_once() -> None:
    mounts = [
        mount("data", "/a", sub_path="x"),
        mount("data", "/b", sub_path="x"),
        mount("data", "/c"),
        mount("cache", "/d", sub_path_expr="$(POD)"),
    ]
    assert parts(mounts, expand) == [Part("data", "x"), Part("cache", "web-0")]


def test_etc_files_leave_room_for_the_container_s_own() -> None:
    own = bound(mount("data", "/etc/hosts"))
    found = etc_mounts("/pods/u/etc", own, read_only=True)
    assert [(m.source, m.target, m.file) for m in found] == [
        ("/pods/u/etc/resolv.conf", "/etc/resolv.conf", True),
        ("/pods/u/etc/hostname", "/etc/hostname", True),
    ]


def test_a_read_only_root_leaves_hosts_writable() -> None:
    found = etc_mounts("/e", [], read_only=True)
    assert [(m.target, m.read_only) for m in found] == [
        ("/etc/hosts", False),
        ("/etc/resolv.conf", True),
        ("/etc/hostname", True),
    ]
    assert not any(m.read_only for m in etc_mounts("/e", [], read_only=False))


PATHS = st.lists(st.sampled_from(["a", "b", ".", "..", ""]), max_size=6).map(
    lambda names: "/" + "/".join(names)
)


@given(st.lists(PATHS, max_size=12))
def test_a_parent_comes_before_what_lies_below_it(targets: list[str]) -> None:
    ordered = in_order([ContainerMount("/s", target) for target in targets])
    assert sorted(m.target for m in ordered) == sorted(targets)
    seen = [clean(m.target) for m in ordered]
    for index, target in enumerate(seen):
        later = [other for other in seen[index + 1 :] if other != target]
        assert not any(target.startswith(other.rstrip("/") + "/") for other in later)


@given(st.lists(PATHS, max_size=12))
def test_mounts_of_one_depth_keep_their_order(targets: list[str]) -> None:
    mounts = [ContainerMount(str(index), target) for index, target in enumerate(targets)]
    ordered = in_order(mounts)
    for target in {clean(t) for t in targets}:
        same = [int(m.source) for m in ordered if clean(m.target) == target]
        assert same == sorted(same)


@given(PATHS)
def test_clean_agrees_with_the_standard_library(path: str) -> None:
    assert clean(path) == "/" + posixpath.normpath(path).lstrip("/")
