"""Habits of the C core that a compiler does not check."""

from __future__ import annotations

import re

import pytest

from tests.architecture.house import ROOT

SOURCES = sorted((ROOT / "csrc").rglob("*.c")) + sorted((ROOT / "csrc").rglob("*.h"))
MAY_LEAVE = (
    *("csrc/container/child.c", "csrc/shim/", "csrc/base/"),
    *("csrc/module/launch.c", "csrc/launcher/", "csrc/fuzz/"),
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_goto_and_only_programs_leave(path) -> None:
    code = re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"", "", path.read_text(), flags=re.DOTALL)
    assert not re.search(r"\bgoto\b", code)
    if not str(path.relative_to(ROOT)).startswith(MAY_LEAVE):
        assert not re.search(r"\b_?exit\s*\(", code)


def test_the_boundary_is_narrow() -> None:
    header = (ROOT / "csrc" / "kubelite.h").read_text()
    public = header.split("/* cffi: begin */")[1].split("/* cffi: end */")[0]
    assert len(re.findall(r"^\w[\w ]*\*?\s*\bkl_\w+\(", public, flags=re.MULTILINE)) <= 30
    assert "(*" not in public, "no callback crosses the boundary"


def test_the_scheduler_core_knows_no_linux() -> None:
    for path in (ROOT / "csrc" / "sched").glob("*"):
        assert not re.search(r"#include\s*<(linux|sys|unistd|fcntl)", path.read_text()), path.name


MAX_FILES = 20


def test_no_folder_holds_more_than_twenty_files() -> None:
    inner = (ROOT / "csrc").rglob("*")
    folders = [path for path in inner if path.is_dir() and "corpus" not in path.parts]
    sizes = {
        str(folder.relative_to(ROOT)): sum(path.is_file() for path in folder.iterdir())
        for folder in [ROOT / "csrc", *folders]
    }
    assert {name: size for name, size in sizes.items() if size > MAX_FILES} == {}


def test_no_header_includes_itself_through_others() -> None:
    headers = {path: path.read_text() for path in SOURCES if path.suffix == ".h"}
    included = {}
    for path, text in headers.items():
        names = re.findall(r'#include "([^"]+)"', text)
        near = [path.parent / name for name in names]
        far = [ROOT / "csrc" / name for name in names]
        included[path] = {p for p in (*near, *far) if p in headers}
    for start in headers:
        reached, todo = set(), set(included[start])
        while todo:
            header = todo.pop()
            reached.add(header)
            todo |= included[header] - reached
        assert start not in reached, start.name
