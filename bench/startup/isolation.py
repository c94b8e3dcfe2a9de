"""Namespaces that keep the run away from the machine: nothing is mounted, unmounted or plugged in
the machine's own. Needs a single-threaded process (setns)."""

import ctypes
import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_NEWNS, _NEWNET = 0x00020000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
# Where podman, crun and runc write whatever their options say.
_HIDDEN = {"/run": "755", "/dev/shm": "1777", "/var/lib": "755"}
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    _call("mount", *words, ctypes.c_ulong(flags), None if data is None else data.encode())


def mount_tmpfs(target: Path) -> None:
    """A tmpfs that only this run sees; it goes with the run's mount namespace."""
    _mount("bench", str(target), "tmpfs", 0, "mode=700")


def unmount(target: Path) -> None:
    """Takes a mount away, whatever still uses it. Raises OSError."""
    _call("umount2", str(target).encode(), _MNT_DETACH)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        flags = struct.unpack("16sH14x", answer)[1] | _IFF_UP
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags))


class CgroupMount(NamedTuple):
    """One cgroup mount; kind is cgroup or cgroup2."""

    point: str
    kind: str
    options: str


def cgroup_mounts() -> list[CgroupMount]:
    """The cgroup mounts that this process sees."""
    mounts = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        front, _, back = line.partition(" - ")
        kind, _, options = back.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            mounts.append(CgroupMount(front.split()[4], kind, options))
    return mounts


def _open_namespace(kind: str) -> int:
    return os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)


def _enter(descriptor: int, kind: int) -> None:
    """Only a process of one thread can; the engine has another until the kernel has freed a bridge
    that it took away, for 50 ms.
    """
    while len(os.listdir("/proc/self/task")) > 1:
        time.sleep(0.001)
    _call("setns", descriptor, kind)


class Isolation:
    """Two mount namespaces in one new network namespace: the run's, with the machine's cgroup
    mounts, and the peers', where their usual directories are empty and a hybrid host looks like
    v1."""

    def __init__(self) -> None:
        self._machine = [(_open_namespace("mnt"), _NEWNS), (_open_namespace("net"), _NEWNET)]
        self._mounts_before = cgroup_mounts()
        _call("unshare", _NEWNS | _NEWNET)
        _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
        _loopback_up()
        self._own = _open_namespace("mnt")
        self._peers = self._make_peers()

    def _make_peers(self) -> int:
        _call("unshare", _NEWNS)
        _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
        mounts = cgroup_mounts()
        if {mount.kind for mount in mounts} == {"cgroup", "cgroup2"}:  # crun refuses a hybrid host
            for mount in mounts:
                if mount.kind == "cgroup2":
                    _call("umount2", mount.point.encode(), 0)
        for path, mode in _HIDDEN.items():
            _mount("bench", path, "tmpfs", 0, f"mode={mode}")
        peers = _open_namespace("mnt")
        _enter(self._own, _NEWNS)
        return peers

    @contextmanager
    def peers(self) -> Iterator[None]:
        """Inside, this process and what it starts see the peers' mounts. setns moves the working
        directory to /, so all paths of a run are absolute."""
        _enter(self._peers, _NEWNS)
        try:
            yield
        finally:
            _enter(self._own, _NEWNS)

    def close(self) -> None:
        """Back to the machine's namespaces."""
        for descriptor, kind in self._machine:
            _enter(descriptor, kind)
            os.close(descriptor)
        os.close(self._own)
        os.close(self._peers)

    def left_cgroup_mounts_alone(self) -> bool:
        """After `close`: whether the machine's cgroup mounts are the ones from before."""
        return cgroup_mounts() == self._mounts_before
