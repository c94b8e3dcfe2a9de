"""``system df``: what images, containers and logs take on the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from kubelite.cli.common import output
from kubelite.cli.common.command import Document, Settings, usage
from kubelite.cli.common.engine import open_home, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import open_store
from kubelite.cli.system.info import DOCUMENT
from kubelite.lib import sizes


@usage("kubelite system df", "kubelite system df -o json")
def df(settings: Settings, *, format: Annotated[Document | None, DOCUMENT] = None) -> int:
    """Prints sizes, and what `image prune --all` would give back."""
    from kubelite.node.image.content.checking import Use
    from kubelite.node.image.content.checking import usage as store_usage

    screen, home = Screen(settings), open_home(settings)
    queries = open_pods(settings, screen).queries
    images, steps = store_usage(Path(home.images), queries.images_in_use(open_store(settings)))
    pods = len(queries.list(None))
    written = _disk_bytes(f"{home.root}/pods")
    rows = {
        "Images": images,
        "Build steps": steps,
        "Pods": Use(pods, pods, written, 0),
        "Logs": Use(pods, pods, _disk_bytes(f"{home.root}/logs"), 0),
    }
    if format is not None:
        screen.data(output.document({name: use._asdict() for name, use in rows.items()}, format))
        return 0
    cells = [
        [name, str(u.total), str(u.active), sizes.shown(u.size), sizes.shown(u.reclaimable)]
        for name, u in rows.items()
    ]
    screen.data(output.table(["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"], cells))
    return 0


def _disk_bytes(path: str) -> int:
    """The bytes of all files below a directory, on its own file system; a file that goes away
    meanwhile counts as none, and so does a directory that nothing was ever put into.
    """
    total = 0
    if not os.path.isdir(path):
        return total
    for _, _, files, above in os.fwalk(path, onerror=lambda error: None):
        for name in files:
            try:
                total += os.lstat(name, dir_fd=above).st_blocks * 512
            except FileNotFoundError:
                continue
    return total
