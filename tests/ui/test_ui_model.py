"""What of the page needs no browser: its pure modules, what it is made of, what it must not use."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kubelite.ui.assets import DIRECTORY, read_assets

ROOT = Path(__file__).resolve().parents[2]
STATIC = Path(DIRECTORY)
OWN = [path for path in sorted(STATIC.rglob("*.js")) if "vendor" not in path.parts]
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write"
    r"|\beval\b|new Function|DOMParser|srcdoc|createContextualFragment|javascript:"
)
FIRST_PAINT = 80_000  # bytes, packed


@pytest.mark.parametrize("path", sorted((Path(__file__).parent / "model").glob("*.test.mjs")))
def test_pure_modules(path: Path) -> None:
    done = subprocess.run(["node", "--test", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^# pass [1-9]", done.stdout, re.M), done.stdout


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(STATIC)))
def test_nothing_makes_markup_or_code_of_text(path: Path) -> None:
    assert FORBIDDEN.findall(path.read_text()) == []


def test_the_document_holds_no_script_and_no_style() -> None:
    document = (STATIC / "index.html").read_text()
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", document) == []


def test_pure_modules_know_neither_page_nor_network() -> None:
    words = re.compile(
        r"\b(document|window|fetch|localStorage|WebSocket|location)\s*[.(]|/(api|view)/"
    )
    for path in (STATIC / "model").rglob("*.js"):
        imports = "\n".join(re.findall(r"^import .*$", path.read_text(), re.M))
        code = re.sub(r"//.*|/\*.*?\*/|\"[^\"\n]*\"|`[^`]*`", "", path.read_text(), flags=re.S)
        assert words.findall(code) == [] and "/view/" not in imports and "/api/" not in imports, (
            path
        )


def test_what_comes_from_npm_is_what_was_recorded() -> None:
    command = [sys.executable, ROOT / "scripts" / "vendor-ui", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def statically_imported(path: Path, known: set[Path]) -> set[Path]:
    """A module and all that it imports before it runs."""
    if path not in known:
        known.add(path)
        imports = re.findall(r'^(?:import|export)\b[^;]*?from "(\.[^"]+)";', path.read_text(), re.M)
        for name in imports:
            statically_imported((path.parent / name).resolve(), known)
    return known


def test_all_modules_of_the_first_paint_are_asked_for_at_once() -> None:
    document = STATIC / "index.html"
    preloaded = re.findall(r'rel="modulepreload" href="([^"]+)"', document.read_text())
    first = statically_imported(STATIC / "main.js", set()) - {STATIC / "main.js"}
    assert preloaded == sorted(str(path.relative_to(STATIC)) for path in first)


def test_the_first_paint_is_light() -> None:
    """The document, its style sheets, and what main.js imports; the rest is loaded when shown."""
    sheets = {path for path in STATIC.rglob("*.css") if "vendor" not in path.parts}
    first = statically_imported(STATIC / "main.js", {STATIC / "index.html", *sheets})
    assets = read_assets("/")
    packed = {path.split("/", 2)[-1]: len(asset.packed) for path, asset in assets.items()}
    names = [str(path.relative_to(STATIC)).replace("index.html", "") for path in first]
    sizes = {name: packed[name] for name in names}
    assert "view/table.js" in sizes and "view/change/create.js" not in sizes
    assert sum(sizes.values()) < FIRST_PAINT, sizes


def test_no_folder_of_the_page_holds_more_than_twenty_files() -> None:
    folders = [STATIC, *(path for path in STATIC.rglob("*") if path.is_dir())]
    assert all(sum(path.is_file() for path in folder.iterdir()) <= 20 for folder in folders)
