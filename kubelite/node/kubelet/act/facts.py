"""Facts about this machine, looked up at each call."""

from __future__ import annotations

import os
import socket

from kubelite.node.network.resolver import HostFiles, is_loopback, parse

_NO_ROUTE = "127.0.0.1"
_SIOCGIFADDR = 0x8915
_UPSTREAM_RESOLVERS = "/run/systemd/resolve/resolv.conf"


def node_name() -> str:
    """The machine's host name in lower case, as the kubelet registers a node."""
    return os.uname().nodename.lower() or "localhost"


def node_address() -> str:
    """The IPv4 address of the interface of the default route, or that of loopback."""
    import fcntl
    import struct

    interface = _default_interface()
    if not interface:
        return _NO_ROUTE
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, _SIOCGIFADDR, struct.pack("256s", interface.encode()))
        except OSError:
            return _NO_ROUTE
    return socket.inet_ntoa(answer[20:24])


def _default_interface() -> str:
    with open("/proc/self/net/route", encoding="utf-8") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if len(fields) > 7 and fields[1] == fields[7] == "00000000":
                return fields[0]
    return ""


def memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def capabilities() -> int:
    """The capabilities that this process can grant, as a bit mask."""
    return int(process_status("CapPrm") or "0", 16) & int(process_status("CapBnd") or "0", 16)


def security_modules() -> frozenset[str]:
    """The active security modules that label programs: AppArmor, SELinux."""
    try:
        with open("/sys/module/apparmor/parameters/enabled", encoding="utf-8") as file:
            armor = file.read().strip() == "Y"
    except OSError:
        armor = False
    selinux = os.path.exists("/sys/fs/selinux/enforce")
    return frozenset(name for name, runs in (("AppArmor", armor), ("SELinux", selinux)) if runs)


def pids_limit() -> int:
    """The maximum number of tasks of one pod: half of the machine's pids, so that a fork bomb
    leaves the rest usable.
    """
    return _number("/proc/sys/kernel/pid_max") // 2


def max_tasks() -> int:
    """How many tasks this machine can have: its pids or its threads, whichever are fewer."""
    return min(_number("/proc/sys/kernel/pid_max"), _number("/proc/sys/kernel/threads-max"))


def _number(path: str) -> int:
    with open(path, encoding="utf-8") as file:
        return int(file.read())


def huge_pages() -> tuple[int, ...]:
    """The sizes in bytes of the huge pages that this machine has reserved."""
    base = "/sys/kernel/mm/hugepages"
    sizes = []
    for name in os.listdir(base) if os.path.isdir(base) else ():
        with open(f"{base}/{name}/nr_hugepages", encoding="utf-8") as file:
            if file.read() != "0\n":
                sizes.append(int(name.removeprefix("hugepages-").removesuffix("kB")) << 10)
    return tuple(sorted(sizes))


def process_status(key: str) -> str:
    """A line of /proc/self/status, "" where the kernel has none of that name."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == key:
                return value.strip()
    return ""


def read_host_files() -> HostFiles:
    """The host's own files that pods inherit; missing ones are empty."""
    resolv = _text("/etc/resolv.conf")
    stub = any(map(is_loopback, parse(resolv).servers))
    return HostFiles(
        _text("/etc/hosts"), resolv, _text(_UPSTREAM_RESOLVERS) if stub else "", os.uname().nodename
    )


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
