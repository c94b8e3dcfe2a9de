"""Habits of the C core that a compiler does not check."""

from __future__ import annotations

import re

import pytest

from tests.architecture.house import ROOT

SOURCES = sorted((ROOT / "csrc").rglob("*.c")) + sorted((ROOT / "csrc").rglob("*.h"))
MAY_LEAVE = (
    *("csrc/container/child.c", "csrc/shim/", "csrc/base/"),
    *("csrc/module/launch.c", "csrc/fuzz/"),
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
