"""What is to be found inside: nothing of the host, and exactly the defaults of the OCI runtime
specification.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.runtime.launch_plan import MASKED, READONLY
from tests.attack.arena import Arena, pod

FULL = int(
    next(
        line.split()[1]
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapPrm")
    ),
    16,
)
DEFAULT = 0xA80425FB
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": ({}, {}),
    "host network": ({"hostNetwork": True}, {}),
    "host pids and ipc": ({"hostPID": True, "hostIPC": True}, {}),
    "shared processes": ({"shareProcessNamespace": True}, {}),
    "privileged": ({}, {"privileged": True}),
    "unconfined": ({}, {"seccompProfile": {"type": "Unconfined"}}),
    "own users": ({"hostUsers": False}, {}),
}
SHARED = {
    "host network": {"net", "uts", "user"},
    "host pids and ipc": {"pid", "ipc", "user"},
    "own users": set(),
}
"""Which namespaces of the host a kind is in; any other only in its users."""

LOOK = """
import ctypes, json, os, stat
libc = ctypes.CDLL(None, use_errno=True)

def link(path):
    try:
        return os.readlink(path)
    except OSError as error:
        return "!" + error.strerror

def descriptors(pid):
    mine = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        target = link(f"/proc/{pid}/fd/{name}")
        if not target.startswith(f"/proc/{os.getpid()}/fd") and not target.startswith("!"):
            mine[name] = target
    return mine

def keys():
    ring = libc.syscall(250, 0, -3, 0)
    room = ctypes.create_string_buffer(4096)
    size = libc.syscall(250, 11, -3, room, 4096)
    found = libc.syscall(250, 10, -3, b"user", b"kubelite-host-key", 0)
    return {"ring": ring, "held": size // 4 if size > 0 else 0, "found": found}

def device(path):
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        return os.readlink(path)
    kind = "c" if stat.S_ISCHR(info.st_mode) else "d" if stat.S_ISDIR(info.st_mode) else "-"
    number = f" {os.major(info.st_rdev)}:{os.minor(info.st_rdev)}" if kind == "c" else ""
    return f"{kind}{stat.S_IMODE(info.st_mode):o}{number}"

def cover(path):
    if not os.path.exists(path):
        return "absent"
    info = os.stat(path)
    if stat.S_ISDIR(info.st_mode):
        return "open" if os.listdir(path) else "empty"
    is_null = stat.S_ISCHR(info.st_mode) and info.st_rdev == os.makedev(1, 3)
    return "null" if is_null else "open"

pids = ("self", "1") if ALONE else ("self",)
print(json.dumps({
    "fds": {pid: descriptors(pid) for pid in pids},
    "cwd": {pid: link(f"/proc/{pid}/cwd") for pid in pids},
    "root": [os.stat("/proc/self/root/").st_ino == os.stat("/").st_ino, os.stat("/").st_dev],
    "namespaces": {name: link(f"/proc/self/ns/{name}") for name in NAMESPACES},
    "mounts": [line.split() for line in open("/proc/self/mountinfo")],
    "keys": keys(),
    "env": dict(os.environ),
    "status": {key: value.split() for key, _, value in
               (line.partition(":") for line in open("/proc/self/status"))},
    "devices": {name: device("/dev/" + name) for name in os.listdir("/dev")},
    "masked": {path: cover(path) for path in MASKED},
    "limits": open("/proc/self/limits").read(),
}))
"""


@pytest.fixture
def key() -> int:
    """A key in a session keyring of this test's own."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(250, 1, None)
    made = int(libc.syscall(248, b"user", b"kubelite-host-key", b"x", 1, -3))
    assert made > 0
    return made


def look(arena: Arena, kind: str, how: str) -> dict[str, Any]:
    """What a program finds that is the container's own, or that is executed in it."""
    spec, context = KINDS[kind]
    alone = kind not in ("host pids and ipc", "shared processes")  # whose pid 1 is another's
    program = [
        "python3",
        "-c",
        f"ALONE, NAMESPACES, MASKED = {alone}, {NAMESPACES}, {MASKED}\n{LOOK}",
    ]
    if how == "run":
        return json.loads(arena.output(program, spec=spec, securityContext=context))  # type: ignore[no-any-return]
    arena.up(pod(spec=spec, securityContext=context))
    return json.loads(arena.exec(program))  # type: ignore[no-any-return]


# -- nothing of the host ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["run", "exec"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_host_is_found(
    arena: Arena, key: int, kind: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBELITE_OF_THE_HOST", "1")
    found = look(arena, kind, how)
    for descriptors in found["fds"].values():
        assert set(descriptors) <= {"0", "1", "2"}
        assert all(
            target == "/dev/null" or target.startswith("pipe:") for target in descriptors.values()
        )
    assert set(found["cwd"].values()) == {"/"}
    assert "KUBELITE_OF_THE_HOST" not in found["env"]
    assert found["root"][0]
    assert found["root"][1] != os.stat("/").st_dev
    # Namespaces: only those that were asked for.
    same = {
        name
        for name in NAMESPACES
        if found["namespaces"][name] == os.readlink(f"/proc/self/ns/{name}")
    }
    assert same == SHARED.get(kind, {"user"})
    # Keys: the session's are the container's own, and empty.
    assert found["keys"]["held"] == 0
    assert found["keys"]["found"] != key
    # Mounts: the root, what every container has, files of the pod's, covers; each of the host's is
    # none of them.
    host = {
        line.split()[2]
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if " - overlay " not in line
    }
    assert_mounts(found["mounts"], host, kind == "privileged")


@pytest.mark.parametrize("how", ["run", "exec"])
def test_what_is_left_open_or_kept_would_be_found(arena: Arena, key: int, how: str) -> None:
    with arena.without("descriptors"):
        assert look(arena, "default", how)["fds"]["self"]["77"] == "/"
    if how == "exec":
        arena.down()
    with arena.without("keyring"):
        assert look(arena, "unconfined", how)["keys"]["found"] == key


def assert_mounts(mounts: list[list[str]], host: set[str], privileged: bool) -> None:
    """Every mount is one that is known; those from a file system of the host show a file of the
    pod's.
    """
    own = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log", "/dev/shm"}
    for row in mounts:
        number, root, point, kind = row[2], row[3], row[4], row[row.index("-") + 1]
        assert not row[6].startswith("shared"), (
            "what is mounted inside stays inside, and the other way round"
        )
        if kind in ("proc", "sysfs", "devpts", "mqueue", "overlay", "cgroup2"):
            continue
        if point in own:
            continue
        if kind == "cgroup" and root == "/" and (privileged or row[5].startswith("ro")):
            continue  # its own group, seen from its own cgroup namespace
        if point == "/sys/fs/cgroup" and kind == "tmpfs" and number not in host:
            continue  # holds the mount points of these, and has room for nothing else
        if kind in ("tmpfs", "devtmpfs") and (
            root == "/null" or row[5].startswith("ro") or point == "/dev"
        ):
            continue
        if point.startswith("/dev/") and number not in host:
            continue  # in a user namespace fresh nodes are bound
        pytest.fail(
            f"{point} shows {root} of {number} ({kind}), "
            f"which is {'' if number in host else 'not '}the host's"
        )


# -- the defaults of the OCI runtime specification -------------------------------------------------

NODES = {
    "null": "c666 1:3",
    "zero": "c666 1:5",
    "full": "c666 1:7",
    "random": "c666 1:8",
    "urandom": "c666 1:9",
    "tty": "c666 5:0",
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
    "pts": "d755",
    "shm": "d1777",
    "mqueue": "d1777",
    "termination-log": "-666",
}
OPTIONS = {
    "/proc": {"proc", "rw", "nosuid", "nodev", "noexec"},
    "/dev": {"tmpfs", "rw", "nosuid"},
    "/dev/pts": {"devpts", "rw", "nosuid", "noexec"},
    "/dev/mqueue": {"mqueue", "rw", "nosuid", "nodev", "noexec"},
    "/dev/shm": {"tmpfs", "rw", "nosuid", "nodev", "noexec"},
    "/sys": {"sysfs", "ro", "nosuid", "nodev", "noexec"},
}
STATUS = {"CapInh": 0, "CapPrm": DEFAULT, "CapEff": DEFAULT, "CapBnd": DEFAULT, "CapAmb": 0}


@pytest.mark.parametrize("how", ["run", "exec"])
@pytest.mark.parametrize("kind", ["default", "privileged", "own users"])
def test_a_container_is_what_the_tables_say(arena: Arena, kind: str, how: str) -> None:
    found = look(arena, kind, how)
    bare = kind == "privileged"
    status = found["status"]
    sets = {name: int(status[name][0], 16) for name in STATUS}
    assert sets == ({**dict.fromkeys(STATUS, FULL), "CapInh": 0, "CapAmb": 0} if bare else STATUS)
    assert status["Uid"] == status["Gid"] == ["0"] * 4
    assert status["Groups"] == ["0"]
    assert status["NoNewPrivs"] == ["0"]
    assert status["Seccomp"] == ["0" if bare else "2"]
    assert status["Umask"] == ["0022"]
    assert int(status["SigBlk"][0], 16) == 0
    # Devices.
    nodes = dict(NODES)
    devices = found["devices"]
    assert {name: devices.get(name) for name in nodes} == nodes
    assert bare or set(devices) == set(nodes)
    # Mounts.
    mounts = {
        row[4]: {row[row.index("-") + 1], *row[5].split(",")} - {"relatime", "idmapped"}
        for row in found["mounts"]
    }
    expected = {**OPTIONS, "/sys": OPTIONS["/sys"] - {"ro"} | {"rw"}} if bare else OPTIONS
    assert {point: mounts[point] for point in expected} == expected
    # Masked and read-only paths.
    there = {path: said for path, said in found["masked"].items() if said != "absent"}
    assert {"/proc/keys", "/proc/timer_list"} <= set(there)
    assert set(there.values()) <= ({"open", "empty"} if bare else {"null", "empty"})
    for path in READONLY:
        if Path(path).exists():
            assert ("ro" in mounts.get(path, set())) == (not bare), path
