"""Seeds for the fuzz targets, made by Python's encoders:   make_seeds.py FOLDER   fills FOLDER/plan
and FOLDER/message.
"""

from __future__ import annotations

import os
import sys

from kubelite.core import protocol
from kubelite.core.plan import (
    Attr,
    Caps,
    Device,
    Flag,
    IdMap,
    Module,
    Mount,
    MountFlag,
    MountKind,
    Namespace,
    Plan,
    Rlimit,
    Root,
    encode,
)
from kubelite.core.protocol import Message, Role, StartFlag

MOUNTS = (
    Mount(MountKind.PROC, "/proc", attr=Attr.NOSUID),
    Mount(MountKind.TMPFS, "/dev/shm", options="size=64m,mode=1777"),
    Mount(
        MountKind.BIND,
        "/srv",
        "/data",
        "below",
        Attr.RDONLY,
        MountFlag.SUBPATH | MountFlag.RECURSIVE,
        "volume data",
    ),
    Mount(MountKind.HUGETLBFS, "/huge", options="pagesize=2097152,mode=0755"),
    Mount(MountKind.LAYERS, "/models", "/layers", "lowerdir=b:a", Attr.RDONLY),
    Mount(MountKind.BIND_FD, "/etc/hosts", 2, flags=MountFlag.FILE),
)
PLANS = (
    Plan(),
    Plan(
        args=("sh", "-c", "true"), env=("A=b",), cwd="/", uid=1, gid=2, groups=(3, 4), mounts=MOUNTS
    ),
    Plan(
        args=("x",),
        flags=Flag.CAPS | Flag.SECCOMP | Flag.TERMINAL,
        new_ns=Namespace.MOUNT | Namespace.USER,
        join_ns=Namespace.NET,
        root=Root.OVERLAY,
        root_base="/base",
        root_options="lowerdir=a:b,upperdir=c,workdir=d",
        hostname="pod",
        domainname="local",
        caps=Caps(1, 2, 3, 4, 5),
        masked=("/proc/kcore",),
        readonly=("/proc/sys",),
        devices=(Device("/dev/fuse", 0o020666, 10, 229),),
        rlimits=(Rlimit(7, 1024, 4096),),
        sysctls=(("net/core/somaxconn", "7"),),
        uid_map=(IdMap(0, 1000, 5),),
        gid_map=(IdMap(0, 1000, 5),),
        cgroups=(0, 1),
        seccomp=bytes(16),
    ),
    Plan(
        args=("x",),
        flags=Flag.SECCOMP | Flag.SECCOMP_LOG | Flag.SECCOMP_SPEC,
        new_ns=Namespace.MOUNT | Namespace.PID,
        join_ns=Namespace.NET | Namespace.USER,
        root=Root.IDMAPPED,
        root_base="/base",
        root_options="../a:../b,root/c/0",
        seccomp=bytes(8),
        labels=((Module.APPARMOR, "exec strict"), (Module.SELINUX, "u:r:t:s0")),
    ),
)
ID = "0123456789abcdef" * 4
FLAGS = StartFlag.LOG | StartFlag.STDIN
MESSAGES = (
    protocol.pack(Message.HELLO, 1, protocol.hello()),
    protocol.pack(
        Message.START, 2, protocol.start(ID, Role.CONTAINER, FLAGS, attempt=3, rows=24, columns=80)
    ),
    protocol.pack(Message.START, 3, protocol.start(ID, Role.EXEC, StartFlag.ATTACH, target=ID)),
    protocol.pack(Message.SIGNAL, 4, protocol.signal(ID, 15)),
    protocol.pack(Message.WAIT, 5, protocol.identity(ID)),
    protocol.pack(Message.ACK, 6, protocol.identity(ID)),
    protocol.pack(Message.ATTACH, 7, protocol.attach(ID, 7)),
    protocol.pack(Message.DATA, 8, b"input"),
    protocol.pack(Message.RESIZE, 9, protocol.window(24, 80)),
    *(
        protocol.pack(type, 10)
        for type in (Message.STATE, Message.END, Message.DETACH, Message.SHUTDOWN)
    ),
)


def main(folder: str) -> None:
    """One file a seed; a plan's first byte is for the target, see fuzz_plan.c."""
    for kind, seeds in (
        ("plan", [b"\x86" + encode(plan) for plan in PLANS]),
        ("message", MESSAGES),
    ):
        os.makedirs(f"{folder}/{kind}", exist_ok=True)
        for number, seed in enumerate(seeds):
            with open(f"{folder}/{kind}/seed-{number}", "wb") as file:
                file.write(seed)


if __name__ == "__main__":
    main(sys.argv[1])
