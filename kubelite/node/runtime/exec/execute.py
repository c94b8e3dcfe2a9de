"""Starts a further process in a running container, with the caller's streams."""

from __future__ import annotations

import os
from collections.abc import Sequence

from kubelite.core.errors import NativeError
from kubelite.core.plan import Caps, Module, Rlimit, encode
from kubelite.core.protocol import Role, Started, StartFlag
from kubelite.core.shim import Shim
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.runtime import launch_plan, sandbox
from kubelite.node.runtime.container import cgroup_descriptors, cgroup_name, start_failure
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.exec.session import Session
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.identity import User
from kubelite.node.runtime.launch_plan import Program, Security
from kubelite.node.runtime.records import ContainerRecord
from kubelite.node.runtime.seccomp import filters


def execute(
    home: Home,
    tree: CgroupTree,
    uid: str,
    container: ContainerRecord,
    args: Sequence[str],
    *,
    stdin: bool,
    tty: bool,
    rows: int,
    columns: int,
) -> Session:
    """Starts ``args`` with the container's own user, environment and limits; the caller closes the
    session. Raises CannotStart, RuntimeFailure for arguments that no process can be given,
    CgroupError, ShimGone.
    """
    flags = StartFlag.ATTACH | (StartFlag.STDIN if stdin else StartFlag.NONE)
    return Session(
        begin(home, tree, uid, container, args, flags, tty=tty, rows=rows, columns=columns)[0]
    )


def begin(
    home: Home,
    tree: CgroupTree,
    uid: str,
    container: ContainerRecord,
    args: Sequence[str],
    flags: StartFlag,
    *,
    tty: bool = False,
    rows: int = 0,
    columns: int = 0,
    timeout: float = 60,
) -> tuple[Shim, Started]:
    """Starts ``args`` over a new connection to the shim, which the caller closes. Raises what
    :func:`execute` does, TimeoutError.
    """
    shim = sandbox.connect(home, uid)
    try:
        membership = tree.join(uid, cgroup_name(container.name, container.attempt))
        try:
            fds, cgroup = cgroup_descriptors(membership)
            program, security = _program(container, args, tty), _security(home, container)
            plan = launch_plan.exec_plan(program, security, cgroup, own_userns=container.own_userns)
            seq = shim.ask_start(
                sandbox.new_id(),
                Role.EXEC,
                encode(plan),
                fds,
                flags=flags,
                target=container.id,
                rows=rows,
                columns=columns,
            )
        finally:
            membership.close()
        started, extra = shim.started(seq, timeout=timeout)
        for fd in extra:
            os.close(fd)
    except BaseException as error:
        shim.close()
        if isinstance(error, NativeError):
            raise start_failure(container.name, error) from error
        if isinstance(error, ValueError):
            raise RuntimeFailure(f"the command cannot be executed: {error}") from error
        raise
    return shim, started


def _program(container: ContainerRecord, args: Sequence[str], tty: bool) -> Program:
    env = container.env
    if tty and not any(pair.startswith("TERM=") for pair in env):
        env = (*env, "TERM=xterm")
    return Program(tuple(args), env, container.cwd, tty)


def _security(home: Home, container: ContainerRecord) -> Security:
    return Security(
        User(container.uid, container.gid, container.groups, ""),
        Caps(*container.caps),
        no_new_privs=container.no_new_privs,
        privileged=False,
        readonly_root=False,
        unmasked=False,
        oom_score_adj=container.oom_score_adj,
        rlimits=tuple(Rlimit(*limit) for limit in container.rlimits),
        filter=filters.stored(home, container.seccomp),
        labels=tuple((Module(module), value) for module, value in container.labels),
    )
