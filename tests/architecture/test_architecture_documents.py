"""What the documents say of the tree is true: every path that they name exists."""

from __future__ import annotations

import functools
import re

import pytest

from tests.architecture.house import ROOT

DOCUMENTS = [
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
CODE = re.compile(r"`([^`\s]+)`")
LINK = re.compile(r"\]\(([^)#:]+)\)")
MADE = ("kubelite/bin", "dist/")


def named_paths(text: str) -> set[str]:
    """Quoted words that are paths of the tree: a folder, or a file with an ending of ours."""
    words = {word.rstrip("/") for word in CODE.findall(text)}
    return {
        word
        for word in words
        if re.fullmatch(r"[\w./-]+", word)
        and (word.endswith((".py", ".c", ".h", ".S", ".md", ".txt")) or is_folder(word))
    }


def exists(path: str) -> bool:
    """Whether the path exists below the root or the package, or is the end of one that does."""
    for base in ("", "kubelite", "tests"):
        if (ROOT / base / path).exists() or (ROOT / base / f"{path}.py").exists():
            return True
    return any(each.endswith(f"/{path}") for each in files())


@functools.cache
def files() -> list[str]:
    roots = ("kubelite", "csrc", "tests", "scripts", "bench")
    return [str(path) for root in roots for path in (ROOT / root).rglob("*.*")]


def is_folder(word: str) -> bool:
    roots = ("kubelite/", "csrc/", "tests/", "docs/", "bench/", "scripts/", "examples/")
    inner = ("control/", "node/", "objects/", "cli/", "core/")
    return word.startswith(roots + inner) and not word.startswith(MADE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_a_document_names_exists(document) -> None:
    text = document.read_text()
    assert [path for path in sorted(named_paths(text)) if not exists(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(document) -> None:
    broken = [
        target
        for target in LINK.findall(document.read_text())
        if not (document.parent / target).exists()
    ]
    assert broken == []


def test_a_path_that_does_not_exist_is_found() -> None:
    assert named_paths("`kubelite/nowhere/file.py` and `a word`") == {"kubelite/nowhere/file.py"}
    assert not exists("kubelite/nowhere/file.py")
