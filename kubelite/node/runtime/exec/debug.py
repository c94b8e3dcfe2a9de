"""A debug session: a process with its own root file system in the namespaces of a running
container, for images without tools.

To the shim it is an exec session like any other: it ends with the connection, and nothing of the
pod changes by it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from kubelite.core.errors import NativeError
from kubelite.core.plan import Caps, Mount, Namespace, Plan, encode
from kubelite.core.protocol import Role, StartFlag
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.runtime import launch_plan, sandbox
from kubelite.node.runtime.container import (
    START_SECONDS,
    cgroup_descriptors,
    cgroup_name,
    make_root,
    mount_points,
    start_failure,
)
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.exec.session import Session
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.identity import ALL_CAPABILITIES
from kubelite.node.runtime.launch_plan import Cgroup, RootFs, StartInputs
from kubelite.node.runtime.records import ContainerRecord
from kubelite.node.volume.removal import remove_tree

_SYS_PTRACE = 1 << ALL_CAPABILITIES.index("SYS_PTRACE")


def can_open_root(observer: ContainerRecord, user: int, caps: Caps) -> bool:
    """Whether a process of ``observer`` may open /proc/PID/root of one that runs as ``user`` with
    ``caps`` in the same pid namespace: ptrace(2), PTRACE_MODE_READ_FSCREDS. It may with
    CAP_SYS_PTRACE, or as the same user with at least the same capabilities.
    """
    own = Caps(*observer.caps)
    if own.effective & _SYS_PTRACE or own.bounding & _SYS_PTRACE:
        return True
    return observer.uid == user and not caps.permitted & ~(own.effective | own.bounding)


def refuse_exposed_host(inputs: StartInputs, visible_to: Sequence[ContainerRecord]) -> None:
    """Refuses tools on the machine's own files beside containers that could open these files
    through /proc/PID/root of the tools. ``visible_to`` are those that see the tools' processes.
    Raises RuntimeFailure.
    """
    if "/" not in inputs.layers:
        return
    for record in visible_to:
        if can_open_root(record, inputs.security.user.uid, inputs.security.caps):
            raise RuntimeFailure(
                f'tools of image "host" would open this machine\'s files to container '
                f'"{record.name}", which may trace them',
                hint="--image NAME takes the tools from an image",
            )


@contextmanager
def debug_session(
    home: Home,
    tree: CgroupTree,
    uid: str,
    inputs: StartInputs,
    mounts: Sequence[Mount],
    target: ContainerRecord,
    *,
    rows: int,
    columns: int,
) -> Iterator[Session]:
    """Runs the tools described by ``inputs`` beside the processes of ``target``, in its cgroup,
    with the caller's streams; their writable layer is removed afterwards. Raises CannotStart,
    CgroupError, ShimGone, OSError."""
    base, name = home.pod(uid), f"debug-{os.urandom(4).hex()}"
    try:
        root = make_root(base, mount_points(home), name, inputs.layers, 0)
        with sandbox.connect(home, uid) as shim:
            with closing(tree.join(uid, cgroup_name(target.name, target.attempt))) as membership:
                fds, cgroup = cgroup_descriptors(membership)
                flags = StartFlag.ATTACH | (StartFlag.STDIN if inputs.stdin else StartFlag.NONE)
                seq = shim.ask_start(
                    sandbox.new_id(),
                    Role.EXEC,
                    encode(_plan(inputs, root, mounts, cgroup)),
                    fds,
                    flags=flags,
                    target=target.id,
                    rows=rows,
                    columns=columns,
                )
            try:
                _, received_fds = shim.started(seq, timeout=START_SECONDS)
            except NativeError as error:
                raise start_failure(inputs.name, error) from error
            for fd in received_fds:
                os.close(fd)
            yield Session(shim)
    finally:
        remove_tree(f"{base}/root/{name}")


def _plan(inputs: StartInputs, root: RootFs, mounts: Sequence[Mount], cgroup: Cgroup) -> Plan:
    """A container's plan, but with the pid and cgroup namespaces of its target."""
    plan = launch_plan.container_plan(
        inputs.program,
        inputs.security,
        inputs.shared,
        root,
        list(mounts),
        list(inputs.covers),
        inputs.devices,
        cgroup,
    )
    return plan._replace(
        new_ns=Namespace.MOUNT, join_ns=inputs.shared.sandbox | Namespace.PID | Namespace.CGROUP
    )
