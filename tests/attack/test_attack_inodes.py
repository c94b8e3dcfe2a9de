"""No inode of the host is reachable writable from a pod: everything that a container can reach by
path, by descriptor or through /proc/PID is compared with the host's file systems by device and
inode.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.attack.arena import Arena, pod
from tests.attack.test_attack_inside import KINDS

LOOK = r"""
import json, os

reached = {}

def note(path):
    try:
        info = os.stat(path)
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return
    except OSError:
        return
    key = f"{os.major(info.st_dev)}:{os.minor(info.st_dev)} {info.st_ino}"
    reached.setdefault(key, path)

def walk(point):
    note(point)
    device = os.stat(point).st_dev
    for folder, directories, files in os.walk(point):
        directories[:] = [
            name for name in directories if os.lstat(os.path.join(folder, name)).st_dev == device
        ]
        for name in directories + files:
            note(os.path.join(folder, name))

for line in open("/proc/self/mountinfo"):
    fields = line.split()
    point, options, kind = fields[4], fields[5].split(","), fields[fields.index("-") + 1]
    if kind == "overlay":
        note(point)
    elif kind != "proc" and "ro" not in options:
        walk(point)
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("cwd", "root", "exe"):
        note(f"/proc/{pid}/{name}")
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        continue
    for number in numbers:
        note(f"/proc/{pid}/fd/{number}")
print(json.dumps(reached))
"""
SPOIL = (
    "for p in /proc/keys /proc/timer_list; do "
    "chmod 1666 $p; chown 12345 $p; touch -d @1 $p; done 2>/dev/null; true"
)
FURTHER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "own users and processes": ({"hostUsers": False, "shareProcessNamespace": True}, {}),
    "read-only root": ({}, {"readOnlyRootFilesystem": True}),
    "another user": ({}, {"runAsUser": 54321, "runAsGroup": 54321}),
}
SHARED = {"host pids and ipc": "/dev/shm"}
"""What a kind shares by its very meaning, with all that is in it: the memory of hostIPC."""


def devices_of_the_host() -> set[str]:
    """The devices of the file systems that the host has mounted."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line.split()[2] for line in lines}


def inodes_below(*folders: str) -> set[str]:
    """What kubelite made for the pod itself: its files for /etc, its volumes."""
    inodes = set()
    for folder in folders:
        for parent, directories, files in os.walk(folder):
            for name in [*directories, *files]:
                info = os.lstat(os.path.join(parent, name))
                device = f"{os.major(info.st_dev)}:{os.minor(info.st_dev)}"
                inodes.add(f"{device} {info.st_ino}")
    return inodes


def processes_without_capabilities() -> set[str]:
    """Folders in /proc of processes that have given up their capabilities, a browser's for example:
    whoever shares the host's processes and its user may look into these (ptrace(2)).
    """
    folders = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if "CapPrm:\t0000000000000000" in status.read_text():
                folders.add(str(status.parent))
    return folders


def reachable(arena: Arena, spec: dict[str, Any], context: dict[str, Any]) -> list[str]:
    """Paths in a container, tried by its program and by an exec, that lead to inodes of the
    host.
    """
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
    ]
    mounts = [{"name": v["name"], "mountPath": f"/mnt/{v['name']}"} for v in volumes]
    made = pod(spec={**spec, "volumes": volumes}, securityContext=context, volumeMounts=mounts)
    arena.up(made)
    try:
        reached = json.loads(arena.exec(["python3", "-c", LOOK]))
        assert len(reached) > 10
        own = inodes_below(arena.home.root, arena.home.run)
    finally:
        arena.down()
    host = devices_of_the_host()
    return [path for key, path in reached.items() if key.split()[0] in host and key not in own]


@pytest.mark.parametrize("kind", [*KINDS, *FURTHER])
def test_no_inode_of_the_host_is_reachable(arena: Arena, kind: str) -> None:
    spec, context = {**KINDS, **FURTHER}[kind]
    # Looked for before and after the pod, so that none of its own is among them.
    open_to_all = processes_without_capabilities()
    paths = reachable(arena, spec, context)
    if spec.get("hostPID"):
        open_to_all |= processes_without_capabilities()
        paths = [path for path in paths if "/".join(path.split("/")[:3]) not in open_to_all]
    if context.get("privileged"):  # it may write to its own groups
        paths = [path for path in paths if not path.startswith("/sys/fs/cgroup/")]
    if shared := SHARED.get(kind):
        assert shared in paths
        paths = [path for path in paths if path != shared and not path.startswith(f"{shared}/")]
    assert paths == []


def test_an_inode_of_the_host_would_be_noticed(arena: Arena) -> None:
    with arena.without("nodes"):
        assert "/proc/keys" in reachable(arena, {}, {})
    with arena.without("pause_stdio"):
        assert "/proc/1/fd/0" in reachable(arena, {"shareProcessNamespace": True}, {})


def test_a_cover_cannot_be_changed_and_is_not_the_hosts(arena: Arena) -> None:
    before = os.stat("/dev/null")
    arena.up(pod())
    arena.exec(SPOIL)
    assert arena.exec("stat -c '%a %u %t:%T' /proc/keys").split() == ["666", "0", "1:3"]
    after = os.stat("/dev/null")
    assert (after.st_mode, after.st_uid, after.st_mtime) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime,
    )
