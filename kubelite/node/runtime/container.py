"""One attempt of one container: its directories, cgroup, plan and record; asking the shim for it and hearing how it went."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from kubelite.core.errors import NativeError
from kubelite.core.plan import Device, Mount, Plan, encode
from kubelite.core.protocol import Role, StartFlag
from kubelite.core.shim import Shim
from kubelite.node.cgroup.errors import GroupBusy
from kubelite.node.cgroup.limits import Knob
from kubelite.node.cgroup.tree import CgroupTree, Membership
from kubelite.node.runtime import bundle
from kubelite.node.runtime.bundle import Bind, Cgroup, Program, RootFs, Security, Shared
from kubelite.node.runtime.errors import CannotStart, RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import ContainerRecord, PodRecord
from kubelite.node.runtime.sandbox import new_id

_NOT_FOUND = (errno.ENOENT, errno.ENOTDIR)


class Blueprint(NamedTuple):
    """What was decided about a container, before anything of it exists. ``layers`` are lower directories, lowest first;
    ``message`` is the path inside at which it may leave its last message, "" for none."""

    name: str
    init: bool
    image: str
    image_id: str
    layers: tuple[str, ...]
    program: Program
    security: Security
    shared: Shared
    mounts: tuple[Mount, ...]
    covers: tuple[str, ...]
    devices: tuple[Device, ...]
    knobs: tuple[Knob, ...]
    stdin: bool
    stdin_once: bool
    message: str = ""


class Asked(NamedTuple):
    """A container whose start has been asked for."""

    record: ContainerRecord
    seq: int


class Containers:
    """Starts the containers of one pod over one connection to its shim."""

    def __init__(
        self, home: Home, ledger: Ledger, tree: CgroupTree, pod: PodRecord, trace: Callable[[str], None]
    ) -> None:
        self._home = home
        self._ledger = ledger
        self._tree = tree
        self._pod = pod
        self._trace = trace

    def ask(self, shim: Shim, made: Blueprint, attempt: int, *, sandbox: str = "", backoff: int = 0) -> Asked:
        """Makes what the container needs and asks for its start. The record is on disk before the shim is asked.

        ``sandbox`` and ``backoff`` go on record. Raises RuntimeFailure, CgroupError, OSError, ShimGone.
        """
        record = _record(made, attempt, sandbox, backoff)
        self._trace(f"record container {made.name}")
        self._ledger.save_container(self._pod.uid, record)
        return self._send(shim, made, record, self._make_group)

    def resume(self, shim: Shim, made: Blueprint, record: ContainerRecord) -> Asked:
        """Asks again for a start on record, under its id: where the shim has heard of it, nothing is started twice.

        Raises what :meth:`ask` does.
        """
        self._trace(f"resume start of {made.name}")
        return self._send(shim, made, record, self._remake_group)

    def _send(
        self, shim: Shim, made: Blueprint, record: ContainerRecord, enter: Callable[[Blueprint, str], Membership]
    ) -> Asked:
        base, attempt = self._home.pod(self._pod.uid), record.attempt
        root = _make_root(base, made, attempt)
        message = _make_message(base, made.name, attempt) if made.message else ""
        logs = self._open_logs(made.name)
        try:
            self._trace(f"make cgroup of {made.name}")
            member = enter(made, group(record))
            try:
                fds, cgroup = entrance(member)
                plan = _plan(made, root, cgroup, message)
                self._trace(f"start container {made.name}")
                seq = shim.ask_start(
                    record.id,
                    Role.CONTAINER,
                    _encoded(plan, made.name),
                    [*fds, logs],
                    flags=_flags(made),
                    attempt=attempt,
                )
            finally:
                member.close()
        finally:
            os.close(logs)
        return Asked(record, seq)

    def _make_group(self, made: Blueprint, name: str) -> Membership:
        return self._tree.make_container(self._pod.uid, name, made.knobs)

    def _remake_group(self, made: Blueprint, name: str) -> Membership:
        """Anew, since its limits may be incomplete; unless a process is in it: then its start was heard."""
        try:
            self._tree.remove_container(self._pod.uid, name, timeout=0.1)
        except GroupBusy:
            return self._tree.join(self._pod.uid, name)
        return self._make_group(made, name)

    def settle(self, shim: Shim, asked: Asked) -> ContainerRecord:
        """Waits until the program was executed, and records its process. Raises CannotStart, RuntimeFailure, ShimGone."""
        record = asked.record
        try:
            started, fds = shim.started(asked.seq, timeout=60)
        except NativeError as error:
            raise cannot_start(record.name, error) from error
        for fd in fds:
            os.close(fd)
        record.pid, record.ticks = started.pid, started.start_ticks
        record.started_at = started.started_at
        self._ledger.save_container(self._pod.uid, record)
        return record

    def _open_logs(self, name: str) -> int:
        pod = self._pod
        path = f"{self._home.pod_logs(pod.namespace, pod.name, pod.uid)}/{name}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def group(record: ContainerRecord) -> str:
    """The name of a container's cgroup below the pod's: one for each attempt, since the last one's may still be emptying."""
    return f"{record.name}-{record.attempt}"


def entrance(member: Membership) -> tuple[list[int], Cgroup]:
    """The descriptors to send along so that a process enters its cgroups, and the plan's numbers for them."""
    tasks = len(member.tasks)
    if member.directory < 0:
        return list(member.tasks), Cgroup(tuple(range(tasks)))
    return [*member.tasks, member.directory], Cgroup(tuple(range(tasks)), tasks)


def message_file(base: str, name: str, attempt: int) -> str:
    """Where an attempt's last message is written; ``base`` is the pod's directory."""
    return f"{base}/messages/{name}-{attempt}"


def _make_message(base: str, name: str, attempt: int) -> str:
    """The empty file for a container's last message, which any user in the container may write."""
    path = message_file(base, name, attempt)
    try:
        os.mkdir(f"{base}/messages", 0o700)
    except FileExistsError:
        pass
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
    os.chmod(path, 0o666)
    return path


def _record(made: Blueprint, attempt: int, sandbox: str, backoff: int) -> ContainerRecord:
    user, caps = made.security.user, made.security.caps
    return ContainerRecord(
        id=new_id(),
        name=made.name,
        init=made.init,
        attempt=attempt,
        image=made.image,
        image_id=made.image_id,
        created_at=time.time_ns(),
        env=made.program.env,
        cwd=made.program.cwd,
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        caps=tuple(caps),
        no_new_privs=made.security.no_new_privs,
        tty=made.program.tty,
        stdin=made.stdin,
        oom_score_adj=made.security.oom_score_adj,
        sandbox=sandbox,
        backoff=backoff,
    )


def _make_root(base: str, made: Blueprint, attempt: int) -> RootFs:
    """The directories of the writable layer. All paths are relative to ``base``: short, and free of the characters that
    overlay's options are split at."""
    place = f"root/{made.name}/{attempt}"
    os.makedirs(f"{base}/{place}/work", 0o700, exist_ok=True)
    os.makedirs(f"{base}/{place}/upper", exist_ok=True)
    os.chmod(f"{base}/{place}/upper", 0o755)  # it is the container's "/": the caller's umask must have no say
    lower = tuple("/" if layer == "/" else os.path.relpath(layer, base) for layer in reversed(made.layers))
    return RootFs(base, lower, f"{place}/upper", f"{place}/work")


def _plan(made: Blueprint, root: RootFs, cgroup: Cgroup, message: str) -> Plan:
    mounts = list(made.mounts)
    if message:
        mounts.append(bundle.bind_mount(Bind(message, made.message, False, False, True, name="termination message")))
    return bundle.container_plan(
        made.program, made.security, made.shared, root, mounts, list(made.covers), made.devices, cgroup
    )


def _encoded(plan: Plan, name: str) -> bytes:
    try:
        return encode(plan)
    except ValueError as error:
        raise RuntimeFailure(f'container "{name}" cannot be started: {error}') from error


def _flags(made: Blueprint) -> StartFlag:
    flags = StartFlag.LOG
    if made.stdin:
        flags |= StartFlag.STDIN
    if made.stdin_once:
        flags |= StartFlag.STDIN_ONCE
    return flags


def _exit_code(error: NativeError) -> int:
    """What a shell would give for a program that could not be executed: 127 not found, 126 not executable, 128 the rest."""
    if error.step != "exec":
        return 128
    return 127 if error.errno in _NOT_FOUND else 126


def cannot_start(name: str, error: NativeError) -> CannotStart:
    """The sentence for a start that failed in C, and its exit code."""
    where = f'container "{name}"'
    if error.step == "exec":
        hint = "is it in the image, and does `command` name it as a list of words?"
        return CannotStart(f"{where}: {error}", exit_code=_exit_code(error), hint=hint)
    return CannotStart(f"{where}: {error}")
