"""What ``system info`` shows: this machine, what it offers, and what is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.errors import CgroupError
from kubelite.node.kubelet.act import facts
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.decide.container_status import rfc3339
from kubelite.node.network import nftables
from kubelite.node.network.errors import NetworkError
from kubelite.node.runtime.home import Home


def info(home: Home) -> dict[str, Any]:
    """What ``system info`` shows of this machine and this state root, as nested plain values."""
    return {
        "root": home.root,
        "run": home.run,
        "node": facts.node_name(),
        "address": facts.node_address(),
        "kernel": os.uname().release,
        "architecture": os.uname().machine,
        "cpus": facts.cpus(),
        "memory": facts.memory(),
        "agent": _agent(home),
        "cgroups": _cgroups(),
        "features": _features(),
        "refused": _refused(),
    }


def _agent(home: Home) -> dict[str, Any] | None:
    record = agent_control.running(home)
    return None if record is None else {"pid": record.pid, "started": rfc3339(record.started_at)}


def _cgroups() -> dict[str, Any]:
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
        "user namespaces": _max_user_namespaces() > 0,
        "seccomp": bool(facts.process_status("Seccomp")),
        "security modules": sorted(facts.security_modules()),
        "huge pages": [f"{size >> 10}kB" for size in facts.huge_pages()],
        "tasks of a pod": facts.pids_limit(),
    }


def _missing_controllers() -> Iterator[str]:
    try:
        world = read_world()
    except CgroupError as error:
        yield error.message
        return
    for name, effect in _WITHOUT.items():
        if world.hierarchy_of(name) is None:
            yield f"no cgroup hierarchy has the {name} controller: {effect}"


def _firewall() -> bool | str:
    """True where nftables works, which host ports and outgoing connections need; else why not."""
    try:
        nftables.run("list tables")
    except NetworkError as error:
        return error.message
    return True


def _has_filesystem(name: str) -> bool:
    with open("/proc/filesystems", encoding="ascii") as file:
        return any(line.split()[-1] == name for line in file)


def _max_user_namespaces() -> int:
    try:
        with open("/proc/sys/user/max_user_namespaces", encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return 0


_WITHOUT = {
    "cpu": "cpu requests and limits have no effect",
    "memory": "memory limits cannot be enforced: pods that have one are refused",
    "pids": "a fork bomb in a pod exhausts the machine",
    "hugetlb": "huge pages cannot be limited",
    "devices": "only CAP_MKNOD and the contents of /dev keep containers from devices",
}


def _refused() -> list[str]:
    """What this kernel or its configuration does not allow, and what follows from it."""
    effective = int(facts.process_status("CapEff") or "0", 16)
    sentences = [*_missing_controllers()]
    if not _max_user_namespaces():
        sentences.append(
            "user namespaces are switched off (user.max_user_namespaces): "
            "no pod with hostUsers: false"
        )
    if not facts.security_modules():
        sentences.append(
            "neither AppArmor nor SELinux is active: "
            "AppArmor profiles are refused, SELinux labels have no effect"
        )
    if not effective >> 24 & 1:
        sentences.append(
            "CAP_SYS_RESOURCE is missing: "
            "oom_score_adj cannot be lowered, hard limits cannot be raised"
        )
    if not effective >> 21 & 1:
        sentences.append("CAP_SYS_ADMIN is missing: no pod can be started")
    return sentences
