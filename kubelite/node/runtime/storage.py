"""What a pod occupies on disk: writable layers, logs, volumes and managed files, measured by
looking.

Containers change what is measured meanwhile: nothing is followed that is a link, and what has gone
does not count.
"""

from __future__ import annotations

import os

from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import ContainerRecord, PodRecord, Storage

_BLOCK = 512


def measure(home: Home, pod: PodRecord, containers: list[ContainerRecord]) -> Storage:
    """Looks at everything of a pod; takes as long as there are files."""
    base, logs = home.pod(pod.uid), home.pod_logs(pod.namespace, pod.name, pod.uid)
    names = dict.fromkeys(record.name for record in containers)
    return Storage(
        {name: occupied(f"{base}/root/{name}") + occupied(f"{logs}/{name}") for name in names},
        {name: occupied(f"{base}/volumes/{name}") for name in _names(f"{base}/volumes")},
        occupied(f"{base}/etc") + occupied(f"{base}/messages"),
    )


def occupied(path: str) -> int:
    """The bytes of disk below a directory; a file with several names counts once. 0 where nothing
    is.
    """
    total, seen = 0, set()
    if not os.path.isdir(path):
        return 0
    for _, directories, files, fd in os.fwalk(path, follow_symlinks=False):
        for name in (*files, *directories):
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError:
                continue
            if found.st_nlink > 1 and (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            total += found.st_blocks * _BLOCK
    return total


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
