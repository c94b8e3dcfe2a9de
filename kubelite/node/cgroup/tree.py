"""The cgroups of pods and containers: making them with their limits, entering, removing.

    <mount>/<parent>/[<class>/]pod<uid>/<name>        in every hierarchy in use

The class is that of :mod:`kubelite.node.cgroup.classes`; where a pod lies is found by looking.

Nothing outside <parent> is made, changed or removed, except that a v2 root is asked to hand
controllers down. Processes enter by themselves: here is only what they need for it. Everything
works relative to one open descriptor a hierarchy; it is on the path of every container start, so
that a hierarchy in which a group would limit and count nothing gets none.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from kubelite.node.cgroup.branch import (
    DIRECTORY,
    Branch,
    Refused,
    delegate,
    hand_down,
    open_control_file,
    open_tasks,
    read_text,
    subgroups,
    write_text,
)
from kubelite.node.cgroup.classes import (
    BEST_EFFORT,
    BURSTABLE,
    CLASSES,
    DIRECTLY,
    below,
    total_shares,
    total_weight,
)
from kubelite.node.cgroup.errors import CgroupError, GroupBusy, LimitRefused
from kubelite.node.cgroup.hierarchies import World
from kubelite.node.cgroup.limits import MIN_SHARES, PROGRAM, ControlWrite

_MEMORY_LIMITS = frozenset({"memory.max", "memory.limit_in_bytes"})
_SWAP_LIMITS = frozenset({"memory.swap.max", "memory.memsw.limit_in_bytes"})


class Membership(NamedTuple):
    """What a process needs to enter a container's groups.

    Descriptors, close-on-exec, the caller's to close.
    """

    tasks: tuple[int, ...]
    """v1: open for writing ``0`` into each."""
    directory: int
    """v2: a directory for CLONE_INTO_CGROUP, or -1."""
    refused: tuple[Refused, ...] = ()

    def close(self) -> None:
        for fd in self.tasks:
            os.close(fd)
        if self.directory >= 0:
            os.close(self.directory)


class CgroupTree:
    """All groups of one kubelite.

    Cheap to make; nothing is opened before the first use, nothing made before make_pod.
    """

    def __init__(self, world: World, parent: str) -> None:
        self.world = world
        self.parent = _checked(parent)
        self.branches = [Branch(hierarchy) for hierarchy in world.in_use]
        self._by_controller = {c: b for b in self.branches for c in b.hierarchy.controllers}
        self._classes: dict[str, str] = {}

    def __enter__(self) -> CgroupTree:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the descriptors; the groups stay."""
        for branch in self.branches:
            if branch.fd >= 0:
                os.close(branch.fd)
                branch.fd = -1

    # -- making --------------------------------------------------------------------------------

    def make_pod(
        self, uid: str, control_writes: Sequence[ControlWrite], qos: str = DIRECTLY
    ) -> list[Refused]:
        """Makes the pod's groups in those of its class, or sets the limits of those that are there.

        Returns the limits that could not be set. Raises LimitRefused for one of memory,
        CgroupError; then the pod has no groups.
        """
        name = _pod_group(uid)
        self._open(make=True)
        self._classes[uid] = qos
        pod = below(qos, name)
        try:
            try:
                refused = self._make_pod(pod, control_writes)
            except FileNotFoundError:
                # The first pod of its class; or another command has removed the empty parent after
                # it was opened here.
                self.close()
                self._open(make=True)
                self._make_class(qos)
                refused = self._make_pod(pod, control_writes)
        except FileNotFoundError as error:
            raise _cannot("make", f"{self.parent}/{pod}", error) from error
        if qos == BURSTABLE:
            self._share()
        return refused

    def _make_class(self, qos: str) -> None:
        if not qos:
            return
        for branch in self.branches:
            self._mkdir(branch, qos, [], exist_ok=True)
            if branch.delegated:
                delegate(branch, f"{qos}/")
        cpu = self._by_controller.get("cpu")
        if qos == BEST_EFFORT and cpu is not None:
            file, value = ("cpu.weight", 1) if cpu.v2 else ("cpu.shares", MIN_SHARES)
            with contextlib.suppress(OSError):
                write_text(f"{qos}/{file}", str(value), cpu.fd)

    def _share(self) -> None:
        """Gives the Burstable pods together what they were promised. Nothing depends on it but how
        idle CPUs are shared out, and the next pod of the class puts it right: no refusal is an
        error, and no lock is held."""
        branch = self._by_controller.get("cpu")
        if branch is None or branch.fd < 0:
            return
        file = "cpu.weight" if branch.v2 else "cpu.shares"
        values = []
        for pod in subgroups(branch.fd, BURSTABLE):
            with contextlib.suppress(OSError, ValueError):
                values.append(int(read_text(f"{BURSTABLE}/{pod}/{file}", branch.fd)))
        with contextlib.suppress(OSError):
            write_text(
                f"{BURSTABLE}/{file}",
                str(total_weight(values) if branch.v2 else total_shares(values)),
                branch.fd,
            )

    def _make_pod(self, pod: str, control_writes: Sequence[ControlWrite]) -> list[Refused]:
        refused: list[Refused] = []
        limited = {id(self._by_controller.get(write.controller)) for write in control_writes}
        created: list[Branch] = []
        try:
            for branch in self.branches:
                if branch.counts or id(branch) in limited:
                    self._mkdir(branch, pod, created, exist_ok=True)
                    if branch.delegated:
                        refused += delegate(branch, f"{pod}/")
            if any(write.controller == "hugetlb" for write in control_writes):
                self._hand_down_rarely("hugetlb", pod)
            refused += self._write(pod, control_writes)
        except BaseException:
            _remove_created(created, pod)
            raise
        return refused

    def _hand_down_rarely(self, controller: str, pod: str) -> None:
        """A v2 controller that few pods need, down to a pod's containers. A refusal shows where the
        limit is set.
        """
        branch = self._by_controller.get(controller)
        if branch is None or not branch.v2:
            return
        root = f"{branch.hierarchy.mount_point}/cgroup.subtree_control"
        hand_down(root, None, f"+{controller}")
        groups = ["", *(f"{'/'.join(pod.split('/')[: n + 1])}/" for n in range(pod.count("/") + 1))]
        for group in groups:
            hand_down(f"{group}cgroup.subtree_control", branch.fd, f"+{controller}")

    def make_container(
        self,
        uid: str,
        name: str,
        control_writes: Sequence[ControlWrite],
        *,
        all_devices: bool = False,
    ) -> Membership:
        """Makes the container's groups below the pod's and opens them.

        Where a hierarchy only limits and the container has no limit in it, the container enters the
        pod's group; with ``all_devices`` that of all pods in v1's hierarchy of devices, since a
        list of the pod's holds for all below it, and a wider one for what runs in it already.
        Raises LimitRefused, CgroupError; then the container has no groups.
        """
        self._open()
        pod = self.group(uid)
        group = f"{pod}/{_checked(name)}"
        limited = {id(self._by_controller.get(write.controller)) for write in control_writes}
        created: list[Branch] = []
        fds: list[int] = []
        directory = -1
        try:
            for branch in self.branches:
                own = branch.counts or id(branch) in limited
                if own and not branch.counts:
                    # The limit is this container's alone: the pod has made no group for it.
                    self._mkdir(branch, pod, [], exist_ok=True)
                if own:
                    self._mkdir(branch, group, created)
                if branch.v2:
                    directory = os.open(group, DIRECTORY, dir_fd=branch.fd)
                else:
                    is_open = all_devices and branch.hierarchy.controllers == {"devices"}
                    place = group if own else "." if is_open else pod
                    open_tasks(fds, branch, place, optional=not own)
            return Membership(tuple(fds), directory, tuple(self._write(group, control_writes)))
        except BaseException as error:
            Membership(tuple(fds), directory).close()
            _remove_created(created, group)
            if isinstance(error, OSError):
                raise _cannot("make", f"{self.parent}/{group}", error) from error
            raise

    def join(self, uid: str, name: str) -> Membership:
        """Opens the groups of a container that exists, for a further process in it.

        Raises CgroupError.
        """
        self._open()
        pod = self.group(uid)
        group = f"{pod}/{_checked(name)}"
        fds: list[int] = []
        directory = -1
        try:
            for branch in self.branches:
                if branch.fd < 0:
                    continue
                if branch.v2:
                    directory = os.open(group, DIRECTORY, dir_fd=branch.fd)
                elif not open_tasks(fds, branch, group, optional=not branch.counts):
                    open_tasks(fds, branch, pod, optional=True)
        except OSError as error:
            Membership(tuple(fds), directory).close()
            raise _cannot("enter", f"{self.parent}/{group}", error) from error
        return Membership(tuple(fds), directory)

    def limit(
        self, uid: str, name: str | None, control_writes: Sequence[ControlWrite]
    ) -> list[Refused]:
        """Sets limits of groups that are there, of a pod or of one container of it.

        Returns those that could not be set. Raises LimitRefused for one of memory.
        """
        self._open()
        pod = self.group(uid)
        refused = self._write(pod if name is None else f"{pod}/{_checked(name)}", control_writes)
        if name is None and self._classes.get(uid) == BURSTABLE:
            self._share()
        return refused

    def _mkdir(
        self, branch: Branch, group: str, created: list[Branch], exist_ok: bool = False
    ) -> None:
        try:
            os.mkdir(group, 0o755, dir_fd=branch.fd)
            created.append(branch)
        except FileNotFoundError:
            raise
        except OSError as error:
            if not (exist_ok and error.errno == errno.EEXIST):
                raise _cannot("make", self._path(branch, group), error) from error

    def _write(self, group: str, control_writes: Sequence[ControlWrite]) -> list[Refused]:
        """Writes the values in order; a run of values for one file shares one open file."""
        refused: list[Refused] = []
        last, fd = "", -1
        try:
            for controller, file, value in control_writes:
                if controller == PROGRAM:
                    self._attach_program(group, value.splitlines())
                    continue
                branch = self._by_controller.get(controller)
                try:
                    if file != last:
                        if fd >= 0:
                            os.close(fd)
                        last, fd = "", -1
                        fd = open_control_file(branch, f"{group}/{file}")
                        last = file
                    os.write(fd, value.encode())
                except OSError as error:
                    self._note(Refused(file, value, error.errno or errno.EIO), group, refused)
        finally:
            if fd >= 0:
                os.close(fd)
        return refused

    def _attach_program(self, group: str, rules: Sequence[str]) -> None:
        """Has the v2 group ask the allow-list about each device. A container without it could read
        the host's disks.
        """
        from kubelite.core import native
        from kubelite.core.errors import NativeError
        from kubelite.node.cgroup.devices import program

        branch = next(b for b in self.branches if b.v2)
        fd = os.open(group, DIRECTORY, dir_fd=branch.fd)
        try:
            native.device_filter(fd, program(rules))
        except NativeError as error:
            raise CgroupError(f"cgroup {self._path(branch, group)}: {error}") from error
        finally:
            os.close(fd)

    def _note(self, refusal: Refused, group: str, refused: list[Refused]) -> None:
        """Without swap accounting there is no file for it, and no swap to limit."""
        if refusal.file in _SWAP_LIMITS and refusal.error == errno.ENOENT:
            return
        if refusal.file in _MEMORY_LIMITS:
            raise LimitRefused(
                f"cgroup {self.parent}/{group}: {refusal}",
                hint="mount the memory controller (v1), or have the root group hand it down (v2)",
            )
        refused.append(refusal)

    # -- removing ------------------------------------------------------------------------------

    def remove_container(self, uid: str, name: str, timeout: float = 5.0) -> None:
        """Removes the container's groups and all below them; what is not there is fine.

        A killed process leaves its groups a moment after it is gone for everybody else: this waits
        up to ``timeout`` seconds. Raises GroupBusy, CgroupError.
        """
        self._open()
        self._remove(f"{self.group(uid)}/{_checked(name)}", timeout)

    def remove_pod(self, uid: str, timeout: float = 5.0) -> None:
        """Removes the pod's groups with those of its containers, as remove_container."""
        self._open()
        # A killed command may have left a part under each class.
        for qos in (DIRECTLY, *CLASSES):
            self._remove(below(qos, _pod_group(uid)), timeout)
        if self._classes.pop(uid, "") == BURSTABLE:
            self._share()

    def remove_parent(self) -> bool:
        """Removes the group of all pods where no pod has a group.

        Returns whether it is gone everywhere.
        """
        self.close()
        gone = True
        for branch in self.branches:
            for group in (*CLASSES, ""):
                try:
                    os.rmdir(self._path(branch, group))
                except FileNotFoundError:
                    pass
                except OSError as error:
                    if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                        raise _cannot("remove", self._path(branch, group), error) from error
                    gone = False
        return gone

    def _remove(self, group: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        for branch in self.branches:
            if branch.fd >= 0:
                self._remove_below(branch, group, deadline)

    def _remove_below(self, branch: Branch, group: str, deadline: float) -> None:
        """Children first.

        A list and no recursion: a container may have made groups as deep as it liked.
        """
        left, pause = [group], 0.0005
        while left:
            try:
                os.rmdir(left[-1], dir_fd=branch.fd)
                left.pop()
                continue
            except FileNotFoundError:
                left.pop()
                continue
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                    raise _cannot("remove", self._path(branch, left[-1]), error) from error
            below = [f"{left[-1]}/{name}" for name in subgroups(branch.fd, left[-1])]
            if below:
                left += below
                continue
            if time.monotonic() > deadline:
                raise GroupBusy(f"cgroup {self._path(branch, left[-1])} still has processes in it")
            time.sleep(pause)
            pause = min(pause * 2, 0.02)

    # -- looking -------------------------------------------------------------------------------

    def pods(self) -> set[str]:
        """The uids of all pods that have a group in any hierarchy."""
        self._open()
        children = {
            name
            for b in self.branches
            if b.fd >= 0
            for qos in (".", *CLASSES)
            for name in subgroups(b.fd, qos)
        }
        return {name[3:] for name in children if name.startswith("pod")}

    def containers(self, uid: str) -> set[str]:
        """The names of all containers of a pod that have a group in any hierarchy."""
        self._open()
        pod = self.group(uid)
        return {name for b in self.branches if b.fd >= 0 for name in subgroups(b.fd, pod)}

    def place(self, controller: str, uid: str, name: str | None) -> tuple[int, str] | None:
        """Where a pod's or a container's group of a controller is: a descriptor and a path from it.

        The controller "" means the v2 hierarchy, whatever its controllers are. None where there is
        no such hierarchy.
        """
        self._open()
        branch = self._by_controller.get(controller)
        if not controller:
            branch = next((b for b in self.branches if b.v2), None)
        if branch is None or branch.fd < 0:
            return None
        pod = self.group(uid)
        return branch.fd, pod if name is None else f"{pod}/{_checked(name)}"

    def group(self, uid: str) -> str:
        """The path of a pod's group below that of all pods. One that is not there would lie
        directly below.
        """
        name = _pod_group(uid)
        qos = self._classes.get(uid)
        if qos is None:
            self._open()
            qos = self._classes[uid] = self._find_class(name)
        return below(qos, name)

    def _find_class(self, name: str) -> str:
        for branch in self.branches:
            for qos in CLASSES:
                if branch.fd >= 0 and _exists(branch.fd, f"{qos}/{name}"):
                    return qos
        return DIRECTLY

    # -- the group of all pods -----------------------------------------------------------------

    def _open(self, make: bool = False) -> None:
        """Opens the parent in every hierarchy; where it is not there and not made, fd stays -1."""
        for branch in self.branches:
            if branch.fd >= 0:
                continue
            path = f"{branch.hierarchy.mount_point}/{self.parent}"
            try:
                branch.fd = os.open(path, DIRECTORY)
            except FileNotFoundError:
                if make:
                    self._make_parent(branch, path)

    def _make_parent(self, branch: Branch, path: str) -> None:
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            pass
        except OSError as error:
            raise _cannot("make", path, error) from error
        branch.fd = os.open(path, DIRECTORY)
        if branch.delegated:
            # The root's refusal shows where a limit is set: its file is missing then.
            hand_down(
                f"{branch.hierarchy.mount_point}/cgroup.subtree_control", None, branch.delegated
            )
            delegate(branch, "")

    def _path(self, branch: Branch, group: str) -> str:
        return f"{branch.hierarchy.mount_point}/{self.parent}/{group}".rstrip("/")


def _remove_created(created: list[Branch], group: str) -> None:
    """Removes what a failed start has made; nothing can have entered yet."""
    for branch in created:
        with contextlib.suppress(OSError):
            os.rmdir(group, dir_fd=branch.fd)


def _exists(dir_fd: int, group: str) -> bool:
    try:
        os.stat(group, dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    return True


def _pod_group(uid: str) -> str:
    return f"pod{_checked(uid)}"


def _checked(name: str) -> str:
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise CgroupError(f"{name!r} is no name for a cgroup")
    return name


def _cannot(verb: str, path: str, error: OSError) -> CgroupError:
    hint = "run as root" if error.errno in (errno.EACCES, errno.EPERM) else ""
    if error.errno == errno.EROFS:
        hint = "the cgroup file system is mounted read-only: remount it, or run privileged"
    return CgroupError(
        f"cannot {verb} cgroup {path}: {os.strerror(error.errno or errno.EIO)}", hint=hint
    )
