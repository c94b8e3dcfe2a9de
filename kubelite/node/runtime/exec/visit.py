"""A process with a root of its own in the namespaces of a running container: tools for an image
that has none.

To its shim it is a session like any other: it ends with the connection, and nothing of the pod
changes by it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kubelite.core.errors import NativeError
from kubelite.core.plan import Mount, Namespace, Plan, encode
from kubelite.core.protocol import Role, StartFlag
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.runtime import bundle, sandbox
from kubelite.node.runtime.bundle import Cgroup, RootFs
from kubelite.node.runtime.container import (
    Blueprint,
    cannot_start,
    entrance,
    group,
    make_root,
    mount_points,
)
from kubelite.node.runtime.exec.session import Session
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import ContainerRecord
from kubelite.node.volume.removal import remove_tree


@contextmanager
def visit(
    home: Home,
    tree: CgroupTree,
    uid: str,
    made: Blueprint,
    mounts: Sequence[Mount],
    target: ContainerRecord,
    *,
    rows: int,
    columns: int,
) -> Iterator[Session]:
    """Runs what was decided as ``made`` beside the processes of ``target``, in its cgroup, with
    streams; what it writes to its own files is gone afterwards. Raises CannotStart, CgroupError,
    ShimGone, OSError."""
    base, name = home.pod(uid), f"visit-{os.urandom(4).hex()}"
    root = make_root(base, mount_points(home), made._replace(name=name), 0)
    try:
        shim = sandbox.connect(home, uid)
        try:
            with_member = tree.join(uid, group(target.name, target.attempt))
            try:
                fds, cgroup = entrance(with_member)
                plan = encode(_plan(made, root, mounts, cgroup))
                flags = StartFlag.ATTACH | (StartFlag.STDIN if made.stdin else StartFlag.NONE)
                seq = shim.ask_start(
                    sandbox.new_id(),
                    Role.EXEC,
                    plan,
                    fds,
                    flags=flags,
                    target=target.id,
                    rows=rows,
                    columns=columns,
                )
            finally:
                with_member.close()
            try:
                _, extra = shim.started(seq, timeout=60)
            except NativeError as error:
                raise cannot_start(made.name, error) from error
            for fd in extra:
                os.close(fd)
            yield Session(shim)
        finally:
            shim.close()
    finally:
        remove_tree(f"{base}/root/{name}")


def _plan(made: Blueprint, root: RootFs, mounts: Sequence[Mount], cgroup: Cgroup) -> Plan:
    """A container's plan, but for the processes it sees: those of its target."""
    plan = bundle.container_plan(
        made.program,
        made.security,
        made.shared,
        root,
        list(mounts),
        list(made.covers),
        made.devices,
        cgroup,
    )
    return plan._replace(
        new_ns=Namespace.MOUNT, join_ns=made.shared.sandbox | Namespace.PID | Namespace.CGROUP
    )
