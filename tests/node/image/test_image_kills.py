"""A pull, load, build or prune that is killed at any of its changes leaves a whole store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.image.store import ImageStore
from tests.node.image.registry import Registry

PLACES = int(os.environ.get("KUBELITE_KILL_PLACES", "12"))


@pytest.mark.parametrize("command", ["load", "pull", "build", "prune"])
def test_a_command_killed_at_any_change_leaves_a_whole_store(
    command: str, build: Any, tmp_path: Path
) -> None:
    shared = build.layer(build.entry("file", "shared", os.urandom(1 << 16)))
    layers = [shared, build.layer(build.entry("file", "own", b"x"), compress=True)]
    layout = build.layout(tmp_path / "new", [({}, layers)])
    base = build.layout(tmp_path / "base", [({}, [shared])])
    other = build.layout(tmp_path / "other", [({}, layers)])
    root = tmp_path / "pristine"
    store = ImageStore(root / "images")
    store.load(base.path, "base:1")
    arguments: list[str] = []
    if command == "load":
        arguments = [str(layout.path)]
    elif command == "pull":
        registry = Registry(tmp_path / "registry")
        registry.push(layout.path, "app:1")
        arguments = [f"{registry.host}/app:1"]
    elif command == "build":
        context = tmp_path / "context"
        context.mkdir()
        (context / "file").write_text("file")
        (context / "Containerfile").write_text("FROM base:1\nCOPY file /a\nCOPY file /b\nENV A=b\n")
        arguments = [str(context)]
    else:
        store.load(other.path, "other:1")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.node.image.kill_steps", root, tmp_path / "work",
             str(PLACES), command, *arguments],
            capture_output=True,
            text=True,
        )  # fmt: skip
    finally:
        if command == "pull":
            registry.close()
    assert done.returncode == 0, done.stdout + done.stderr
