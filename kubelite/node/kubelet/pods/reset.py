"""``system reset``: removes everything of one state root, whether a record tells of it or not.

It needs to read no record, and works though the root's directories were deleted by hand: cgroups,
network and shims tell which pods there are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from kubelite.lib import known_roots
from kubelite.lib.files import FileLock, names
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act.executor import Step
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.network.cni import name_server
from kubelite.node.network.pod import PodNetwork
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.home import UNFINISHED, Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.processes import find_pods_of_root
from kubelite.node.runtime.removal import Remover, close_home
from kubelite.node.volume.removal import remove_tree

_DIRECTORIES = (
    *("pods", "logs", "images", "filters", "server", "volumes", "claims", "run"),
    *("plugins/kubernetes.io", "plugins_registry"),
)
"""What kubelite keeps in a state root. Other files in the same directory are not touched."""


def reset(
    home: Home, ledger: Ledger, trace: Callable[[str], None], report: Callable[[Step], None]
) -> list[str]:
    """Removes the pods, then images, logs, the server's data and directories. Returns what was
    removed, a phrase each. Raises RuntimeFailure for what cannot be removed.
    """
    removed = []
    existing = [path for path in _paths(home) if os.path.lexists(path)]
    home.make()
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # what is in the way is removed below
            stack.enter_context(agent_control.exclude_agents(home))
        for uid in sorted(_uids(home)):
            removed.append(remove_by_uid(home, ledger, uid, trace))
            report(Step("removed", removed[-1], -1))
        name_server.leave(home.run)
        PodNetwork(home.run, home.key, home.lock).remove_all()
        close_home(home)
        left = [problem for path in _paths(home) for problem in remove_tree(path)]
    if left:
        raise RuntimeFailure(
            f"{left[0]}" + (f", and {len(left) - 1} more" if len(left) > 1 else ""),
            hint="`kubelite system reset` tries again",
        )
    for directory in sorted({os.path.dirname(path) for path in _paths(home)}, reverse=True):
        with contextlib.suppress(OSError):
            os.rmdir(directory)  # unless there is something of somebody else in it
    if not os.path.exists(home.root):
        known_roots.forget(home.root)
    return removed + [path for path in existing if not os.path.lexists(path)]


def _uids(home: Home) -> set[str]:
    """Every pod that has a directory, a cgroup or a shim."""
    uids = {
        name
        for directory in (home.pods, f"{home.run}/pods")
        for name in names(directory)
        if not name.startswith(UNFINISHED)
    }
    with CgroupTree(read_world(), home.cgroup) as tree:
        return uids | tree.pods() | find_pods_of_root(home.root)


def remove_by_uid(home: Home, ledger: Ledger, uid: str, trace: Callable[[str], None]) -> str:
    """Removes one pod, with or without a readable record; returns a phrase that names it. Raises
    RuntimeFailure for what cannot be removed.
    """
    home.make()
    remover = Remover(home, ledger, trace)
    try:
        with FileLock(home.pod_lock(uid)) as lock:
            record = ledger.pod(uid)
            if record is not None:
                remover.remove(record)
            else:
                remover.remove_unrecorded(uid)
            lock.remove()
    finally:
        remover.close()
    if record is not None:
        return f"pod {record.namespace}/{record.name}"
    return f"pod of uid {uid}"


def _paths(home: Home) -> Iterator[str]:
    for name in _DIRECTORIES:
        yield f"{home.root}/{name}"
    if home.run != f"{home.root}/run":
        yield home.run
