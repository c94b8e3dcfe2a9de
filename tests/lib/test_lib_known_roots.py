"""The registry of this machine's state roots."""

import os
from pathlib import Path

from kubelite.lib import known_roots


def test_entries_of_roots_that_were_deleted_by_hand_go(tmp_path: Path, monkeypatch) -> None:
    registry = tmp_path / "registry"
    monkeypatch.setenv("KUBELITE_REGISTRY", str(registry))
    roots = {name: tmp_path / name for name in ("kept", "deleted", "not yet made", "new")}
    roots["kept"].mkdir()
    for name in ("kept", "deleted", "not yet made"):
        known_roots.register(str(roots[name]))
    for link in registry.iterdir():
        if os.readlink(link) != str(roots["not yet made"]):
            os.utime(link, (0, 0), follow_symlinks=False)
    known_roots.register(str(roots["new"]))
    left = {os.readlink(link) for link in registry.iterdir()}
    assert left == {str(roots[name]) for name in ("kept", "not yet made", "new")}
    assert known_roots.registered() == [str(roots["kept"])]
