"""``system reset``: everything of one home taken away, what no record vouches for included."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from kubelite.lib import known_roots
from kubelite.lib.files import FileLock
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act.bringup import Step
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.network.pod import PodNetwork
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.removal import Remover
from kubelite.node.volume.removal import remove_tree

_OURS = ("pods", "logs", "images", "filters", "run")
"""What lies in a root; a file of somebody else in the same directory is not touched."""


def reset(
    home: Home, ledger: Ledger, trace: Callable[[str], None], report: Callable[[Step], None]
) -> list[str]:
    """Removes the pods, then images, logs and directories. Returns what went, a phrase each."""
    removed = []
    agent_control.dismiss(home)
    remover = Remover(home, ledger, trace)
    for uid in sorted(_uids(home)):
        removed.append(_remove_pod(home, ledger, remover, uid))
        report(Step("removed", removed[-1], -1))
    if os.path.isdir(home.run):
        PodNetwork(home.run, home.key, home.lock).remove_all()
    remover.close_home()
    removed += [path for path in _directories(home) if _take_away(path)]
    if not os.path.exists(home.root):
        known_roots.forget(home.root)
    return removed


def _uids(home: Home) -> set[str]:
    """Every pod that anything tells of: a directory, or a cgroup."""
    found = {
        name
        for place in (home.pods, f"{home.run}/pods")
        for name in _names(place)
        if not name.startswith(".")
    }
    with CgroupTree(read_world(), home.cgroup) as tree:
        return found | tree.pods()


def _remove_pod(home: Home, ledger: Ledger, remover: Remover, uid: str) -> str:
    home.make()
    with FileLock(home.pod_lock(uid)) as lock:
        record = ledger.pod(uid)
        if record is not None:
            remover.remove(record)
        else:
            remover.remove_unrecorded(uid)
        lock.remove()
    return f"pod {record.namespace}/{record.name}" if record is not None else f"pod of uid {uid}"


def _directories(home: Home) -> Iterator[str]:
    for name in _OURS:
        yield f"{home.root}/{name}"
    yield home.run


def _take_away(path: str) -> bool:
    """Removes a tree, and the root above it once that is empty."""
    there = os.path.lexists(path)
    remove_tree(path)
    try:
        os.rmdir(os.path.dirname(path))
    except OSError:
        pass
    return there and not os.path.lexists(path)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
