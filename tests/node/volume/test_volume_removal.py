"""Removal of directories that somebody hostile has filled."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.volume.removal import Left, remove_tree

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def test_what_is_not_there_is_fine(tmp_path: Path) -> None:
    assert remove_tree(str(tmp_path / "no")) == []
    assert remove_tree(str(tmp_path / "no" / "way")) == []


def test_files_of_every_kind_go(tree: Path) -> None:
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").write_text("x")
    (tree / "a" / "empty").mkdir()
    os.mkfifo(tree / "fifo")
    (tree / "dangling").symlink_to("nowhere")
    (tree / "a").chmod(0)
    assert remove_tree(f"{tree}/") == []
    assert not tree.exists()


def test_a_file_alone_goes(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert remove_tree(str(tmp_path / "f")) == []
    assert not (tmp_path / "f").exists()


def test_links_are_removed_and_not_followed(tmp_path: Path, tree: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("x")
    (tree / "directory").symlink_to(outside)
    (tree / "file").symlink_to(outside / "keep")
    (tree / "up").symlink_to("..")
    assert remove_tree(str(tree)) == []
    assert (outside / "keep").read_text() == "x"


def test_a_link_at_the_top_is_not_followed(tmp_path: Path, tree: Path) -> None:
    (tree / "keep").touch()
    (tmp_path / "link").symlink_to(tree)
    assert remove_tree(str(tmp_path / "link")) == []
    assert (tree / "keep").exists() and not (tmp_path / "link").is_symlink()


def test_depth_costs_neither_stack_nor_descriptors(tree: Path) -> None:
    fd = os.open(tree, os.O_RDONLY)
    for _ in range(5000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    before = len(os.listdir("/proc/self/fd"))
    assert remove_tree(str(tree)) == []
    assert not tree.exists()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def mounted(tmp_path: Path, tree: Path) -> Iterator[Path]:
    """A directory bound into the tree, on the same file system, with a file in it."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "keep").write_text("x")
    target = tree / "a" / "mount"
    target.mkdir(parents=True)
    done = subprocess.run(["mount", "--bind", tmp_path / "other", target], check=False)
    if done.returncode:
        pytest.skip("mounts cannot be made here")
    yield target
    subprocess.run(["umount", target], check=True)


@root_only
def test_mounts_are_not_entered_and_the_rest_goes(
    tmp_path: Path, tree: Path, mounted: Path
) -> None:
    (tree / "a" / "file").touch()
    (tree / "b").mkdir()
    assert remove_tree(str(tree)) == [Left(str(mounted), errno.EBUSY)]
    assert (tmp_path / "other" / "keep").read_text() == "x"
    assert os.listdir(tree) == ["a"] and os.listdir(tree / "a") == ["mount"]


@root_only
def test_what_is_immutable_is_reported_and_the_rest_goes(tree: Path) -> None:
    (tree / "a").mkdir()
    (tree / "a" / "fixed").touch()
    (tree / "b").touch()
    if not shutil.which("chattr"):
        pytest.skip("chattr is missing")
    if subprocess.run(["chattr", "+i", tree / "a" / "fixed"], capture_output=True).returncode:
        pytest.skip("this file system knows no immutable files")
    try:
        left = remove_tree(str(tree))
    finally:
        subprocess.run(["chattr", "-i", tree / "a" / "fixed"], check=True)
    assert left == [Left(f"{tree}/a/fixed", errno.EPERM)]
    assert os.listdir(tree) == ["a"]
    assert str(left[0]) == f"{tree}/a/fixed cannot be removed: Operation not permitted"


SHAPES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.just({}),
    lambda below: st.dictionaries(st.sampled_from("abc"), st.none() | below, max_size=3),
    max_leaves=12,
)


def build(path: Path, shape: dict[str, Any]) -> None:
    path.mkdir()
    for name, below in shape.items():
        if isinstance(below, dict):
            build(path / name, below)
        else:
            (path / name).touch()


@given(SHAPES)
def test_any_shape_goes_wholly(
    tmp_path_factory: pytest.TempPathFactory, shape: dict[str, Any]
) -> None:
    base = tmp_path_factory.mktemp("shape")
    build(base / "tree", shape)
    (base / "sibling").touch()
    assert remove_tree(str(base / "tree")) == []
    assert os.listdir(base) == ["sibling"]
    shutil.rmtree(base)
