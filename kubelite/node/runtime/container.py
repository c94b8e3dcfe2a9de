"""One attempt of one container: its directories, cgroup, plan and record; asking the shim for it
and hearing how it went.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kubelite.core.errors import NativeError
from kubelite.core.plan import Device, Mount, Plan, encode
from kubelite.core.protocol import Role, StartFlag
from kubelite.core.shim import Shim
from kubelite.node.cgroup.errors import CgroupError, GroupBusy
from kubelite.node.cgroup.limits import Knob
from kubelite.node.cgroup.tree import CgroupTree, Membership
from kubelite.node.runtime import bundle
from kubelite.node.runtime.bundle import Bind, Cgroup, Program, RootFs, Security, Shared
from kubelite.node.runtime.errors import CannotStart, RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import ContainerRecord, PodRecord
from kubelite.node.runtime.sandbox import new_id
from kubelite.node.volume.mounts import ETC
from kubelite.node.volume.removal import remove_tree

_NOT_FOUND = (errno.ENOENT, errno.ENOTDIR)


class Blueprint(NamedTuple):
    """What was decided about a container, before anything of it exists. ``layers`` are lower
    directories, lowest first; ``message`` is the path inside at which it may leave its last
    message, "" for none."""

    name: str
    init: bool
    image: str
    image_id: str
    layers: tuple[str, ...]
    program: Program
    security: Security
    shared: Shared
    covers: tuple[str, ...]
    devices: tuple[Device, ...]
    knobs: tuple[Knob, ...]
    stdin: bool
    stdin_once: bool
    message: str = ""


class Ready(NamedTuple):
    """One attempt of a container that only has to be started: writable layer, file for its last
    message, cgroups, log directory. Whoever has it closes it."""

    made: Blueprint
    attempt: int
    root: RootFs
    message: str
    member: Membership
    logs: int

    def close(self) -> None:
        """Lets go of the descriptors; what was made stays."""
        self.member.close()
        os.close(self.logs)


class Asked(NamedTuple):
    """A container whose start has been asked for."""

    record: ContainerRecord
    seq: int


class Containers:
    """Starts the containers of one pod over one connection to its shim."""

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

    def prepare(self, made: Blueprint, attempt: int) -> Ready:
        """Makes all that a container needs before it can be started, anew where somebody who was
        killed had begun.

        Raises CgroupError, OSError.
        """
        base = self._home.pod(self._pod.uid)
        self._trace(f"make place of {made.name}")
        root = make_root(base, mount_points(self._home), made, attempt)
        message = _make_message(base, made.name, attempt) if made.message else ""
        logs = self._open_logs(made.name)
        try:
            self._trace(f"make cgroup of {made.name}")
            member = self._make_group(made, group(made.name, attempt))
        except BaseException:
            os.close(logs)
            raise
        return Ready(made, attempt, root, message, member, logs)

    def _make_group(self, made: Blueprint, name: str) -> Membership:
        """Anew, since the limits of one that is there may be incomplete; unless a process is in it,
        that was started unheard.
        """
        uid = self._pod.uid
        try:
            return self._tree.make_container(uid, name, made.knobs)
        except CgroupError:
            if name not in self._tree.containers(uid):
                raise
        try:
            self._tree.remove_container(uid, name, timeout=0.1)
        except GroupBusy:
            return self._tree.join(uid, name)
        return self._tree.make_container(uid, name, made.knobs)

    def ask(
        self,
        shim: Shim,
        ready: Ready,
        mounts: Sequence[Mount],
        *,
        sandbox: str = "",
        backoff: int = 0,
    ) -> Asked:
        """Asks for the start. The record, ``sandbox`` and ``backoff`` in it, is on disk before the
        shim is asked.

        Raises RuntimeFailure, OSError, ShimGone.
        """
        record = _record(ready.made, ready.attempt, sandbox, backoff)
        self._trace(f"record container {ready.made.name}")
        self._ledger.save_container(self._pod.uid, record)
        return self.resume(shim, ready, mounts, record)

    def resume(
        self, shim: Shim, ready: Ready, mounts: Sequence[Mount], record: ContainerRecord
    ) -> Asked:
        """Asks for a start on record, under its id: where the shim has heard of it, nothing is
        started twice.

        Raises what :meth:`ask` does.
        """
        made = ready.made
        fds, cgroup = entrance(ready.member)
        plan = _encoded(_plan(ready, mounts, cgroup), made.name)
        self._trace(f"start container {made.name}")
        seq = shim.ask_start(
            record.id,
            Role.CONTAINER,
            plan,
            [*fds, ready.logs],
            flags=_flags(made),
            attempt=ready.attempt,
        )
        return Asked(record, seq)

    def overheard(self, shim: Shim, record: ContainerRecord, before: int) -> Asked | None:
        """Asks how a start went that the shim has heard of, from somebody who was killed; None
        where it has not.

        Nothing may be made for such a start a second time: its process may be on its way into the
        cgroups just now. That somebody may have sent ``before`` messages that are still unread; the
        shim reads one of each caller at a time.
        """
        for _ in range(before + 2):
            if any(process.id == record.id for process in shim.processes()):
                self._trace(f"ask for start of {record.name}")
                return Asked(record, shim.ask_start(record.id, Role.CONTAINER, b""))
        return None

    def settle(self, shim: Shim, asked: Asked) -> ContainerRecord:
        """Waits until the program was executed, and records its process. Raises CannotStart,
        RuntimeFailure, ShimGone.
        """
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


def group(name: str, attempt: int) -> str:
    """The name of a container's cgroup below the pod's: one for each attempt, since the last one's
    may still be emptying.
    """
    return f"{name}-{attempt}"


def entrance(member: Membership) -> tuple[list[int], Cgroup]:
    """The descriptors to send along so that a process enters its cgroups, and the plan's numbers
    for them.
    """
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
        seccomp=made.security.filter.key,
        labels=tuple((int(module), value) for module, value in made.security.labels),
        rlimits=tuple((each.resource, each.soft, each.hard) for each in made.security.rlimits),
        own_users=made.shared.own_users,
        sandbox=sandbox,
        backoff=backoff,
    )


def make_root(base: str, points: str, made: Blueprint, attempt: int) -> RootFs:
    """The directories of the writable layer. All paths are relative to ``base``: short, and free of
    the characters that overlay's options are split at."""
    place = f"root/{made.name}/{attempt}"
    os.makedirs(f"{base}/{place}/work", 0o700, exist_ok=True)
    os.makedirs(f"{base}/{place}/upper", exist_ok=True)
    os.chmod(
        f"{base}/{place}/upper", 0o755
    )  # it is the container's "/": the caller's umask must have no say
    if made.layers == ("/",):
        return RootFs(base, made.layers, f"{place}/upper", f"{place}/work")
    lower = tuple(os.path.relpath(layer, base) for layer in (*reversed(made.layers), points))
    return RootFs(base, lower, f"{place}/upper", f"{place}/work")


def mount_points(home: Home) -> str:
    """A layer below those of every image, made once: the files that the pod's own are mounted on.

    An image that has them hides these. Without them the kernel would copy /etc up into each
    container's writable layer.
    """
    place = f"{home.images}/points"
    if not os.path.isdir(place):
        new = f"{place}.{os.urandom(4).hex()}"
        os.makedirs(f"{new}/etc")
        for path in (new, f"{new}/etc"):
            os.chmod(path, 0o755)
        for name in ETC:
            os.close(os.open(f"{new}/etc/{name}", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        try:
            os.rename(new, place)
        except OSError:  # another command was faster
            remove_tree(new)
    return place


def _plan(ready: Ready, mounts: Sequence[Mount], cgroup: Cgroup) -> Plan:
    made, found = ready.made, list(mounts)
    if ready.message:
        message = Bind(
            ready.message,
            made.message,
            recursive=False,
            file=True,
            name="termination message",
            own=True,
        )
        found.append(bundle.bind_mount(message))
    return bundle.container_plan(
        made.program,
        made.security,
        made.shared,
        ready.root,
        found,
        list(made.covers),
        made.devices,
        cgroup,
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
    """What a shell would give for a program that could not be executed: 127 not found, 126 not
    executable, 128 the rest.
    """
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
