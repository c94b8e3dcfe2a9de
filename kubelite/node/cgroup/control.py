"""Acts on all processes of a pod or container at once: kill, freeze, thaw; are there any?

A v2 group does it in one write (cgroup.kill since Linux 5.14). Without one the processes are held
still by the freezer while each is killed by its number, so that no fork escapes and no number is
used again meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable

from kubelite.node.cgroup.branch import READ, read_text, subgroups, write_text
from kubelite.node.cgroup.errors import CgroupError, GroupBusy
from kubelite.node.cgroup.tree import CgroupTree

_ROUNDS = 100


def kill(tree: CgroupTree, uid: str, name: str | None = None) -> None:
    """Sends SIGKILL to every process of a pod, or of one container.

    None is fine. Raises GroupBusy, CgroupError.
    """
    place = tree.place("", uid, name)
    if place is not None:
        try:
            write_text(f"{place[1]}/cgroup.kill", "1", place[0])
            return
        except OSError:
            # An older kernel, a group of threads, or no group at all.
            if _names(*place) is None:
                return
    _kill_each(tree, uid, name)


def populated(tree: CgroupTree, uid: str, name: str | None = None) -> bool:
    """Whether any process, or zombie that nobody has reaped on v1, is in the group or below it."""
    place = tree.place("", uid, name)
    if place is None:
        return bool(processes(tree, uid, name))
    try:
        return _event(read_text(f"{place[1]}/cgroup.events", place[0]), "populated")
    except FileNotFoundError:
        return False


def wait_empty(tree: CgroupTree, uid: str, name: str | None = None, timeout: float = 5.0) -> bool:
    """Waits until no process is in the group.

    Returns whether that came within ``timeout`` seconds.
    """
    place = tree.place("", uid, name)
    if place is not None:
        return _wait_event(*place, "populated", False, timeout)
    return _poll(lambda: not processes(tree, uid, name), timeout)


def freeze(tree: CgroupTree, uid: str, name: str | None = None, timeout: float = 5.0) -> None:
    """Stops every process of the group where it is, and waits until they are.

    Raises GroupBusy, CgroupError.
    """
    place = tree.place("", uid, name)
    if place is not None:
        _order(place, "cgroup.freeze", "1")
        done = _wait_event(*place, "frozen", True, timeout)
    else:
        old = _freezer(tree, uid, name)
        _order(old, "freezer.state", "FROZEN")
        done = _poll(
            lambda: read_text(f"{old[1]}/freezer.state", old[0]).strip() == "FROZEN", timeout
        )
    if not done:
        thaw(tree, uid, name)
        raise GroupBusy(f"the processes of pod {uid} did not stop within {timeout:g} s")


def thaw(tree: CgroupTree, uid: str, name: str | None = None) -> None:
    """Lets the processes of the group go on. Raises CgroupError."""
    place = tree.place("", uid, name)
    if place is not None:
        _order(place, "cgroup.freeze", "0")
    else:
        _order(_freezer(tree, uid, name), "freezer.state", "THAWED")


def _kill_each(tree: CgroupTree, uid: str, name: str | None) -> None:
    from signal import SIGKILL  # half a millisecond, which the usual way does not need

    for _ in range(_ROUNDS):
        if not processes(tree, uid, name):
            return
        with contextlib.suppress(CgroupError):
            freeze(tree, uid, name, timeout=1.0)
        for pid in processes(tree, uid, name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)
        with contextlib.suppress(CgroupError):
            thaw(tree, uid, name)
        if wait_empty(tree, uid, name, timeout=0.1):
            return
    raise GroupBusy(f"processes of pod {uid} are still there after {_ROUNDS} rounds of SIGKILL")


def _freezer(tree: CgroupTree, uid: str, name: str | None) -> tuple[int, str]:
    place = tree.place("freezer", uid, name)
    if place is None:
        raise CgroupError("this machine has neither a v2 cgroup hierarchy nor the freezer of v1")
    return place


def processes(tree: CgroupTree, uid: str, name: str | None) -> set[int]:
    """The pids in a pod or container and below it, from the first hierarchy in which its group
    exists.
    """
    for controller in ("", "freezer", "memory", "cpu"):
        place = tree.place(controller, uid, name)
        if place is None or (groups := _names(*place)) is None:
            continue
        pids: set[int] = set()
        for group in groups:
            with contextlib.suppress(FileNotFoundError):
                pids.update(map(int, read_text(f"{group}/cgroup.procs", place[0]).split()))
        # A process of a pid namespace that this one does not see has the number 0, which kill would
        # take for ourselves.
        return pids - {0}
    return set()


def _names(dir_fd: int, group: str) -> list[str] | None:
    """The group and all groups below it; None where it does not exist."""
    try:
        os.stat(group, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
    groups = [group]
    for name in groups:
        groups += [f"{name}/{child}" for child in subgroups(dir_fd, name)]
    return groups


def _order(place: tuple[int, str], file: str, value: str) -> None:
    try:
        write_text(f"{place[1]}/{file}", value, place[0])
    except OSError as error:
        raise CgroupError(
            f"cgroup {place[1]}: cannot set {file}: {os.strerror(error.errno or 0)}"
        ) from error


def _wait_event(dir_fd: int, group: str, key: str, expected: bool, timeout: float) -> bool:
    """A change of cgroup.events wakes a poller (cgroups(7)). A group that is gone is empty."""
    try:
        fd = os.open(f"{group}/cgroup.events", READ, dir_fd=dir_fd)
    except FileNotFoundError:
        return not expected
    try:
        poller = select.poll()
        poller.register(fd, select.POLLPRI)
        deadline = time.monotonic() + timeout
        while True:
            try:
                text = os.pread(fd, 512, 0).decode()
            except OSError:
                # ENODEV: the group was removed while it was open.
                return not expected
            if _event(text, key) == expected:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            poller.poll(left * 1000)
    finally:
        os.close(fd)


def _poll(done: Callable[[], bool], timeout: float) -> bool:
    deadline, pause = time.monotonic() + timeout, 0.0005
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    return True


def _event(text: str, key: str) -> bool:
    return f"{key} 1" in text.splitlines()
