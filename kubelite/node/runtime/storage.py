"""Measures what a pod occupies on disk: writable layers, logs, volumes and managed files.

Containers change what is measured meanwhile, and may try to hide it: what cannot be measured counts
as more than any limit.
"""

from __future__ import annotations

from kubelite.lib.files import names
from kubelite.lib.tree_walk import TreeMoved, walk
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import ContainerRecord, PodRecord, Storage

_BLOCK = 512
_TRIES = 5
UNMEASURABLE = 1 << 62
"""The bytes of a tree that could not be walked to its end."""


def measure(home: Home, pod: PodRecord, containers: list[ContainerRecord]) -> Storage:
    """Walks everything of a pod; takes time in proportion to its files."""
    base, logs = home.pod(pod.uid), home.pod_logs(pod.namespace, pod.name, pod.uid)
    container_names = dict.fromkeys(record.name for record in containers)
    return Storage(
        {
            name: occupied(f"{base}/root/{name}") + occupied(f"{logs}/{name}")
            for name in container_names
        },
        {name: occupied(f"{base}/volumes/{name}") for name in names(f"{base}/volumes")},
        occupied(f"{base}/etc") + occupied(f"{base}/messages"),
    )


def inodes(home: Home, pod: PodRecord) -> int:
    """How many files and directories there are of a pod."""
    return _count(home.pod(pod.uid)) + _count(home.pod_logs(pod.namespace, pod.name, pod.uid))


def _count(path: str) -> int:
    try:
        return sum(1 for _ in walk(path))
    except FileNotFoundError:
        return 0
    except (TreeMoved, OSError):
        return UNMEASURABLE


def occupied(path: str) -> int:
    """The bytes on disk below a directory, 0 where there is none. A file with several names counts
    once.
    """
    for _ in range(_TRIES):
        try:
            return _sum(path)
        except FileNotFoundError:
            return 0
        except TreeMoved:
            continue  # programs do move directories, but hardly at each try
        except OSError:
            break
    return UNMEASURABLE


def _sum(path: str) -> int:
    total = 0
    counted: set[tuple[int, int]] = set()
    for entry in walk(path):
        status = entry.status
        if status.st_nlink > 1:
            identity = (status.st_dev, status.st_ino)
            if identity in counted:
                continue
            counted.add(identity)
        total += status.st_blocks * _BLOCK
    return total
