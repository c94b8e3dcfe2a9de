"""What this machine is and offers: looked up when asked, kept by nobody."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

from kubelite.node.runtime.home import Home

_NO_ROUTE = "127.0.0.1"
_SIOCGIFADDR = 0x8915


def node_name() -> str:
    """The machine's name, lower case, as the kubelet registers a node."""
    return os.uname().nodename.lower() or "localhost"


def node_address() -> str:
    """The address of the interface that the default route leaves by, or that of loopback."""
    import fcntl
    import struct

    interface = _default_interface()
    if not interface:
        return _NO_ROUTE
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            answer = fcntl.ioctl(asked, _SIOCGIFADDR, struct.pack("256s", interface.encode()))
        except OSError:
            return _NO_ROUTE
    return socket.inet_ntoa(answer[20:24])


def _default_interface() -> str:
    with open("/proc/self/net/route", encoding="ascii") as file:
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
    """The capabilities that this process can hand on, as a bit mask."""
    return int(_status("CapPrm") or "0", 16) & int(_status("CapBnd") or "0", 16)


def security_modules() -> frozenset[str]:
    """The kernel's modules that label programs, of those that run: AppArmor, SELinux."""
    try:
        with open("/sys/module/apparmor/parameters/enabled", encoding="ascii") as file:
            armor = file.read().strip() == "Y"
    except OSError:
        armor = False
    selinux = os.path.exists("/sys/fs/selinux/enforce")
    return frozenset(name for name, runs in (("AppArmor", armor), ("SELinux", selinux)) if runs)


def pids_limit() -> int:
    """Tasks that one pod may have: half of what the machine has numbers for, so that a fork bomb
    leaves the rest alone.
    """
    with open("/proc/sys/kernel/pid_max", encoding="ascii") as file:
        return int(file.read()) // 2


def huge_pages() -> tuple[int, ...]:
    """The sizes in bytes of huge pages that this machine has set aside."""
    base = "/sys/kernel/mm/hugepages"
    found = []
    for name in os.listdir(base) if os.path.isdir(base) else ():
        with open(f"{base}/{name}/nr_hugepages", encoding="ascii") as file:
            if file.read() != "0\n":
                found.append(int(name.removeprefix("hugepages-").removesuffix("kB")) << 10)
    return tuple(sorted(found))


def _status(key: str) -> str:
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == key:
                return value.strip()
    return ""


def info(home: Home) -> dict[str, Any]:
    """What ``system info`` shows of this machine and this home, as nested plain values."""
    return {
        "root": home.root,
        "run": home.run,
        "node": node_name(),
        "address": node_address(),
        "kernel": os.uname().release,
        "architecture": os.uname().machine,
        "cpus": cpus(),
        "memory": memory(),
        "agent": _agent(home),
        "cgroups": _cgroups(),
        "features": _features(),
        "refused": _refused(),
    }


def _agent(home: Home) -> dict[str, Any] | None:
    """The node agent of this home, if one runs."""
    from kubelite.node.kubelet.agent import agent_control
    from kubelite.node.kubelet.decide.container_status import rfc3339

    found = agent_control.running(home)
    return None if found is None else {"pid": found.pid, "started": rfc3339(found.started_at)}


def _cgroups() -> dict[str, Any]:
    from kubelite.node.cgroup.detect import read_world
    from kubelite.node.cgroup.errors import CgroupError

    try:
        world = read_world()
    except CgroupError as error:
        return {"kind": "none", "why": error.message}
    return {
        "kind": world.kind,
        **{
            h.mount_point: ("v2: " if h.v2 else "v1: ")
            + (", ".join(sorted(h.controllers)) or "no controllers")
            for h in world.in_use
        },
    }


def _features() -> dict[str, Any]:
    return {
        "overlay": _has_filesystem("overlay"),
        "firewall": _firewall(),
        "user namespaces": _most_user_namespaces() > 0,
        "seccomp": bool(_status("Seccomp")),
        "security modules": sorted(security_modules()),
        "huge pages": [f"{size >> 10}kB" for size in huge_pages()],
        "tasks of a pod": pids_limit(),
    }


def _missing_controllers() -> Iterator[str]:
    from kubelite.node.cgroup.detect import read_world
    from kubelite.node.cgroup.errors import CgroupError

    try:
        world = read_world()
    except CgroupError as error:
        yield error.message
        return
    for name, effect in _WITHOUT.items():
        if world.hierarchy_of(name) is None:
            yield f"no cgroup hierarchy has the {name} controller: {effect}"


def _firewall() -> bool | str:
    """Whether host ports and the way to the outside can be had, or why not."""
    from kubelite.node.network import nftables
    from kubelite.node.network.errors import NetworkError

    try:
        nftables.run("list tables")
    except NetworkError as error:
        return error.message
    return True


def _has_filesystem(name: str) -> bool:
    with open("/proc/filesystems", encoding="ascii") as file:
        return any(line.split()[-1] == name for line in file)


def _most_user_namespaces() -> int:
    try:
        with open("/proc/sys/user/max_user_namespaces", encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return 0


_WITHOUT = {
    "cpu": "cpu requests and limits have no effect",
    "memory": "memory limits cannot be kept: pods that have one are refused",
    "pids": "a fork bomb in a pod is a fork bomb on the machine",
    "hugetlb": "huge pages cannot be limited",
    "devices": "devices are kept from containers by CAP_MKNOD and /dev alone",
}


def _refused() -> list[str]:
    """What this kernel will not do for us, and what follows."""
    effective = int(_status("CapEff") or "0", 16)
    found = [*_missing_controllers()]
    if not _most_user_namespaces():
        found.append(
            "user namespaces are switched off (user.max_user_namespaces): no pod with hostUsers: false"
        )
    if not security_modules():
        found.append("neither AppArmor nor SELinux runs: profiles and labels of theirs are refused")
    if not effective >> 24 & 1:
        found.append(
            "CAP_SYS_RESOURCE is missing: oom_score_adj cannot be lowered, hard limits cannot be raised"
        )
    if not effective >> 21 & 1:
        found.append("CAP_SYS_ADMIN is missing: no pod can be started")
    return found
