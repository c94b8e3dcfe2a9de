"""One attempt of one container: its directories, cgroup, plan and record, and the start requested
from the shim.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from kubelite.core.errors import NativeError
from kubelite.core.plan import Mount, Plan, encode
from kubelite.core.protocol import Role, StartFlag
from kubelite.core.shim import Shim
from kubelite.node.cgroup.errors import CgroupError, GroupBusy
from kubelite.node.cgroup.tree import CgroupTree, Membership
from kubelite.node.runtime import launch_plan
from kubelite.node.runtime.errors import CannotStart, RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.launch_plan import (
    Cgroup,
    RootFs,
    StartInputs,
)
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import ContainerRecord, PodRecord
from kubelite.node.runtime.sandbox import new_id
from kubelite.node.volume.mounts import ETC, ContainerMount

_NOT_FOUND = (errno.ENOENT, errno.ENOTDIR)
START_SECONDS = 60


class PreparedAttempt(NamedTuple):
    """One attempt of a container that only has to be started: writable layer, file for its
    termination message, cgroups, log directory. The owner closes it."""

    inputs: StartInputs
    attempt: int
    root: RootFs
    message_file: str
    membership: Membership
    logs: int

    def close(self) -> None:
        """Closes the descriptors; files and cgroups stay."""
        self.membership.close()
        os.close(self.logs)


class PendingStart(NamedTuple):
    """A requested start; ``seq`` numbers the request on the shim's connection."""

    record: ContainerRecord
    seq: int


class Containers:
    """Starts the containers of one pod over a connection to its shim."""

    def __init__(
        self,
        home: Home,
        ledger: Ledger,
        tree: CgroupTree,
        pod: PodRecord,
        trace: Callable[[str], None],
    ) -> None:
        self._home = home
        self._ledger = ledger
        self._tree = tree
        self._pod = pod
        self._trace = trace

    def prepare(self, inputs: StartInputs, attempt: int) -> PreparedAttempt:
        """Creates all that an attempt needs before its start, over what a killed process may have
        left of it. Raises CgroupError, OSError.
        """
        base = self._home.pod(self._pod.uid)
        self._trace(f"make directories of {inputs.name}")
        root = make_root(base, mount_points(self._home), inputs.name, inputs.layers, attempt)
        message_file = _make_message_file(base, inputs, attempt)
        logs = self._open_logs(inputs.name)
        try:
            self._trace(f"make cgroup of {inputs.name}")
            membership = self._make_cgroup(inputs, cgroup_name(inputs.name, attempt))
        except BaseException:
            os.close(logs)
            raise
        return PreparedAttempt(inputs, attempt, root, message_file, membership, logs)

    def _make_cgroup(self, inputs: StartInputs, name: str) -> Membership:
        """Recreates the cgroup because existing limits may be incomplete. Keeps it if it already
        holds a process from a start we never got an answer for.
        """
        uid = self._pod.uid
        make = partial(
            self._tree.make_container,
            uid,
            name,
            inputs.control_writes,
            all_devices=inputs.all_devices,
        )
        try:
            return make()
        except CgroupError:
            if name not in self._tree.containers(uid):
                raise
        try:
            self._tree.remove_container(uid, name, timeout=0.1)
        except GroupBusy:
            return self._tree.join(uid, name)
        return make()

    def request_start(
        self,
        shim: Shim,
        prepared: PreparedAttempt,
        mounts: Sequence[Mount],
        *,
        sandbox: str = "",
        backoff: int = 0,
        restarts: int = 0,
    ) -> PendingStart:
        """Requests the start. The record, with what the keywords say, is on disk before the shim
        hears of it. Raises RuntimeFailure, OSError, ShimGone.
        """
        inputs = prepared.inputs
        record = _new_record(inputs, prepared.attempt, sandbox, backoff, restarts)
        self._trace(f"record container {inputs.name}")
        self._ledger.save_container(self._pod.uid, record)
        return self.resume_start(shim, prepared, mounts, record)

    def resume_start(
        self,
        shim: Shim,
        prepared: PreparedAttempt,
        mounts: Sequence[Mount],
        record: ContainerRecord,
    ) -> PendingStart:
        """Requests a recorded start under its id, so that the shim starts nothing twice. Raises
        what :meth:`request_start` does.
        """
        inputs = prepared.inputs
        fds, cgroup = cgroup_descriptors(prepared.membership)
        with _opened_mounts(mounts, len(fds)) as (mounts, shared):
            plan = _encoded(_plan(prepared, mounts, cgroup), inputs.name)
            self._trace(f"start container {inputs.name}")
            seq = shim.ask_start(
                record.id,
                Role.CONTAINER,
                plan,
                [*fds, *shared, prepared.logs],
                flags=_flags(inputs),
                target=inputs.target,
                attempt=prepared.attempt,
                log=inputs.log,
            )
        return PendingStart(record, seq)

    def find_start(
        self, shim: Shim, record: ContainerRecord, unread_messages: int
    ) -> PendingStart | None:
        """The start that a killed process requested, None where the shim does not know of it.

        Nothing may be prepared again for a start that the shim knows: its process may be on its way
        into the cgroups just now. The killed process may have left up to ``unread_messages``
        requests in its socket; the shim reads one message of each connection per round, so that
        after as many questions of ours it has read them all.
        """
        for _ in range(unread_messages + 2):
            if any(process.id == record.id for process in shim.processes()):
                self._trace(f"find start of {record.name}")
                return PendingStart(record, shim.ask_start(record.id, Role.CONTAINER, b""))
        return None

    def await_start(self, shim: Shim, pending: PendingStart) -> ContainerRecord:
        """Waits until the program was executed; returns the record with its process, which the
        caller writes. Raises CannotStart, ShimGone.
        """
        record = pending.record
        try:
            started, fds = shim.started(pending.seq, timeout=START_SECONDS)
        except NativeError as error:
            raise start_failure(record.name, error) from error
        for fd in fds:
            os.close(fd)
        record.pid, record.ticks = started.pid, started.start_ticks
        record.started_at = started.started_at
        return record

    def _open_logs(self, name: str) -> int:
        pod = self._pod
        path = f"{self._home.pod_logs(pod.namespace, pod.name, pod.uid)}/{name}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def cgroup_name(name: str, attempt: int) -> str:
    """The name of a container's cgroup below the pod's. Each attempt has its own, since that of the
    one before may not be empty yet.
    """
    return f"{name}-{attempt}"


def cgroup_descriptors(membership: Membership) -> tuple[list[int], Cgroup]:
    """The descriptors that a process needs to enter its cgroups, and their indices for the plan."""
    tasks = len(membership.tasks)
    if membership.directory < 0:
        return list(membership.tasks), Cgroup(tuple(range(tasks)))
    return [*membership.tasks, membership.directory], Cgroup(tuple(range(tasks)), tasks)


@contextlib.contextmanager
def _opened_mounts(
    mounts: Sequence[Mount], first: int
) -> Iterator[tuple[Sequence[Mount], list[int]]]:
    """The mounts of a plan with those that the container shares with the host as descriptors, which
    are numbered from ``first`` on. Raises HostPathError.
    """
    opened: list[int] = []
    try:
        yield [_opened_mount(mount, first, opened) for mount in mounts], opened
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _opened_mount(mount: Mount, first: int, opened: list[int]) -> Mount:
    if not launch_plan.is_shared_with_host(mount):
        return mount
    from kubelite.node.volume.shared_host_paths import shared_mounts  # few pods have one

    opened.append(shared_mounts(str(mount.source), mount.options))
    return launch_plan.from_descriptor(mount, first + len(opened) - 1)


def message_file(base: str, name: str, attempt: int) -> str:
    """Where an attempt's termination message is written; ``base`` is the pod's directory."""
    return f"{base}/messages/{name}-{attempt}"


def _make_message_file(base: str, inputs: StartInputs, attempt: int) -> str:
    """The empty file for the termination message, writable by any user of the container; "" where
    the container has none.
    """
    if not inputs.message_path:
        return ""
    path = message_file(base, inputs.name, attempt)
    try:
        os.mkdir(f"{base}/messages", 0o700)
    except FileExistsError:
        pass
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
    os.chmod(path, 0o666)
    return path


def _new_record(
    inputs: StartInputs, attempt: int, sandbox: str, backoff: int, restarts: int
) -> ContainerRecord:
    security = inputs.security
    user = security.user
    return ContainerRecord(
        id=new_id(),
        name=inputs.name,
        init=inputs.init,
        attempt=attempt,
        image=inputs.image,
        image_id=inputs.image_id,
        created_at=time.time_ns(),
        env=inputs.program.env,
        cwd=inputs.program.cwd,
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        caps=tuple(security.caps),
        no_new_privs=security.no_new_privs,
        tty=inputs.program.tty,
        stdin=inputs.stdin,
        oom_score_adj=security.oom_score_adj,
        seccomp=security.filter.key,
        labels=tuple((int(module), value) for module, value in security.labels),
        rlimits=tuple((limit.resource, limit.soft, limit.hard) for limit in security.rlimits),
        own_userns=inputs.shared.own_userns,
        sandbox=sandbox,
        backoff=backoff,
        restarts=restarts,
        stop_signal=inputs.stop_signal,
    )


def make_root(base: str, points: str, name: str, layers: Sequence[str], attempt: int) -> RootFs:
    """The directories of the writable layer below ``base``, the pod's. An overlay's paths are short
    and relative, so that many layers fit into the page that its options have, and free of the
    characters at which it splits them."""
    directory = f"root/{name}/{attempt}"
    os.makedirs(f"{base}/{directory}/work", 0o700, exist_ok=True)
    os.makedirs(f"{base}/{directory}/upper", exist_ok=True)
    # It becomes the container's "/", so the caller's umask must not shape its mode.
    os.chmod(f"{base}/{directory}/upper", 0o755)
    if layers[0] == "/":
        # Layers lie below "/", and the kernel does not stack what overlaps: a build's step on the
        # machine's own files begins with a copy of what the steps before it have changed.
        if layers[1:]:
            _copy(layers[1:], f"{base}/{directory}/upper")
        return RootFs(base, ("/",), f"{directory}/upper", f"{directory}/work")
    place = os.path.dirname(layers[-1])
    lower = tuple(os.path.relpath(layer, place) for layer in (*reversed(layers), points))
    writable = f"{os.path.relpath(base, place)}/{directory}"
    return RootFs(place, lower, f"{writable}/upper", f"{writable}/work")


def _copy(layers: Sequence[str], directory: str) -> None:
    import subprocess  # importing it takes as long as a container's start, and few need it

    for layer in layers:
        subprocess.run(["cp", "-a", f"{layer}/.", directory], check=True)


def mount_points(home: Home) -> str:
    """A layer below those of every image, made once: what the kernel's file systems and the pod's
    own files in /etc are mounted on.

    An image that has them hides these. Without the layer they would be made in each container's
    writable layer, as if the container had written them.
    """
    path = f"{home.images}/points"
    if not os.path.isdir(path):
        new = f"{path}.{os.urandom(4).hex()}"
        for directory in (new, *(f"{new}/{name}" for name in ("etc", "dev", "proc", "sys"))):
            os.mkdir(directory)
            os.chmod(directory, 0o755)
        for name in ETC:
            os.close(os.open(f"{new}/etc/{name}", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        try:
            os.rename(new, path)
        except OSError:  # another command was faster
            from kubelite.node.volume.removal import remove_tree

            remove_tree(new)
    return path


def _plan(prepared: PreparedAttempt, mounts: Sequence[Mount], cgroup: Cgroup) -> Plan:
    inputs, all_mounts = prepared.inputs, list(mounts)
    if prepared.message_file:
        message = ContainerMount(
            prepared.message_file,
            inputs.message_path,
            recursive=False,
            file=True,
            name="termination message",
            own=True,
        )
        all_mounts.append(launch_plan.bind_mount(message))
    return launch_plan.container_plan(
        inputs.program,
        inputs.security,
        inputs.shared,
        prepared.root,
        all_mounts,
        list(inputs.covers),
        inputs.devices,
        cgroup,
        joins_container=bool(inputs.target),
    )


def _encoded(plan: Plan, name: str) -> bytes:
    try:
        return encode(plan)
    except ValueError as error:
        raise RuntimeFailure(f'container "{name}" cannot be started: {error}') from error


def _flags(inputs: StartInputs) -> StartFlag:
    flags = StartFlag.LOG
    if inputs.stdin:
        flags |= StartFlag.STDIN
    if inputs.stdin_once:
        flags |= StartFlag.STDIN_ONCE
    if inputs.target:
        flags |= StartFlag.TARGET
    return flags


def _exit_code(error: NativeError) -> int:
    """The exit code of a shell for a program that it cannot execute: 127 not found, 126 not
    executable; 128 for any other failure.
    """
    if error.step != "exec":
        return 128
    return 127 if error.errno in _NOT_FOUND else 126


def start_failure(name: str, error: NativeError) -> CannotStart:
    """The error for a start that failed in C."""
    message = f'container "{name}": {error}'
    if error.step == "exec":
        hint = (
            "one argument or variable has at most 128 KiB, all together a quarter of `ulimit -s`"
            if error.errno == errno.E2BIG
            else "is it in the image, and does `command` name it as a list of words?"
        )
        return CannotStart(message, exit_code=_exit_code(error), hint=hint)
    return CannotStart(message)
