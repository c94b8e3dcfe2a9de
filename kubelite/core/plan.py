"""The launch plan: everything one process start needs, as data, and its encoding to the flat bytes
that C decodes. Pure.

The layout is that of ``csrc/plan.h``; C checks all of it again before it acts.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import NamedTuple

MAGIC = 0x504C424B
VERSION = 1
NO_FD = 0xFFFFFFFF
_HEAD = struct.Struct("<IHH IIII III i II II III I 5Q 30I")


class Namespace(IntFlag):
    """The kernel's CLONE_NEW* bits, clone(2)."""

    MOUNT = 0x00020000
    CGROUP = 0x02000000
    UTS = 0x04000000
    IPC = 0x08000000
    USER = 0x10000000
    PID = 0x20000000
    NET = 0x40000000


class Flag(IntFlag):
    """Options of a plan, ``enum plan_flag``."""

    NONE = 0
    NO_NEW_PRIVS = 1
    READONLY_ROOT = 2
    TERMINAL = 4
    OOM_SCORE = 8
    CAPS = 16
    SECCOMP = 32
    SECCOMP_LOG = 64
    SECCOMP_SPEC = 128


class Root(IntEnum):
    """The source of the root file system, ``enum plan_root``."""

    KEEP = 0
    EMPTY = 1
    OVERLAY = 2
    FD = 3
    IDMAPPED = 4


class MountKind(IntEnum):
    """``enum plan_mount_kind``."""

    BIND = 0
    BIND_FD = 1
    PROC = 2
    SYSFS = 3
    TMPFS = 4
    MQUEUE = 5
    DEV = 6
    CGROUP2 = 7
    LAYERS = 8
    HUGETLBFS = 9


class MountFlag(IntFlag):
    """Options of a mount, ``enum plan_mount_flag``."""

    NONE = 0
    RECURSIVE = 1
    FILE = 2
    SUBPATH = 4
    OWN = 8
    ATTR_BELOW = 16
    SLAVE = 32
    SHARED = 64


class Attr(IntFlag):
    """The kernel's MOUNT_ATTR_* bits, mount_setattr(2)."""

    NONE = 0
    RDONLY = 1
    NOSUID = 2
    NODEV = 4
    NOEXEC = 8
    NOATIME = 16


class Module(IntEnum):
    """The kernel's security modules that label programs."""

    APPARMOR = 0
    SELINUX = 1


class Mount(NamedTuple):
    """One mount, made in the order of the plan. ``source`` is a path, or the index of a
    descriptor for BIND_FD; for LAYERS the directory that the layers in ``options`` are relative to.
    """

    kind: MountKind
    target: str
    source: str | int = ""
    options: str = ""
    attr: Attr = Attr.NONE
    flags: MountFlag = MountFlag.NONE
    name: str = ""


class Device(NamedTuple):
    """A device node beyond the default ones; ``mode`` holds type and permission bits."""

    path: str
    mode: int
    major: int
    minor: int
    uid: int = 0
    gid: int = 0


class IdMap(NamedTuple):
    """Maps ``size`` ids from ``inside`` on to ids from ``outside`` on of the host."""

    inside: int
    outside: int
    size: int


class Rlimit(NamedTuple):
    """One resource limit, setrlimit(2)."""

    resource: int
    soft: int
    hard: int


class Caps(NamedTuple):
    """The five capability sets as bit masks, capabilities(7)."""

    bounding: int = 0
    effective: int = 0
    permitted: int = 0
    inheritable: int = 0
    ambient: int = 0


class Plan(NamedTuple):
    """Everything that one start needs. Descriptor fields are indices into the descriptors that are
    sent with the plan.
    """

    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    cwd: str = ""
    flags: Flag = Flag.NONE
    new_ns: Namespace = Namespace(0)
    join_ns: Namespace = Namespace(0)
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    umask: int = 0o022
    oom_score_adj: int = 0
    root: Root = Root.KEEP
    root_fd: int = NO_FD
    root_base: str = ""
    root_options: str = ""
    hostname: str = ""
    domainname: str = ""
    cgroup_fd: int = NO_FD
    caps: Caps = Caps()
    mounts: tuple[Mount, ...] = ()
    masked: tuple[str, ...] = ()
    readonly: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    rlimits: tuple[Rlimit, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    uid_map: tuple[IdMap, ...] = ()
    gid_map: tuple[IdMap, ...] = ()
    cgroups: tuple[int, ...] = ()
    seccomp: bytes = b""
    labels: tuple[tuple[Module, str], ...] = ()


class _Strings:
    """The string table: each string once, the empty one at offset 0."""

    def __init__(self) -> None:
        self.blob = bytearray(1)
        self._offsets = {"": 0}

    def add(self, text: str) -> int:
        offset = self._offsets.get(text)
        if offset is None:
            data = text.encode("utf-8", "surrogateescape")
            if b"\0" in data:
                raise ValueError(f"a NUL character in {text!r}")
            offset = self._offsets[text] = len(self.blob)
            self.blob += data
            self.blob.append(0)
        return offset


def _pack_numbers(numbers: list[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def _pack_mounts(mounts: tuple[Mount, ...], strings: _Strings) -> bytes:
    numbers: list[int] = []
    add = strings.add
    for item in mounts:
        source = item.source if isinstance(item.source, int) else add(item.source)
        numbers += (
            item.kind,
            item.flags,
            item.attr,
            source,
            add(item.target),
            add(item.options),
            add(item.name),
        )
    return _pack_numbers(numbers)


def _sections(plan: Plan, strings: _Strings) -> list[tuple[int, bytes]]:
    """(count, bytes) of every section in the order of ``enum plan_section``; fills the string
    table.
    """
    add = strings.add
    devices = [n for d in plan.devices for n in (add(d.path), *d[1:])]
    sysctls = [n for pair in plan.sysctls for n in (add(pair[0]), add(pair[1]))]
    labels = [n for module, value in plan.labels for n in (module, add(value))]
    rlimits = b"".join(struct.pack("<IIQQ", r.resource, 0, r.soft, r.hard) for r in plan.rlimits)
    return [
        (len(plan.args), _pack_numbers([add(a) for a in plan.args])),
        (len(plan.env), _pack_numbers([add(e) for e in plan.env])),
        (len(plan.groups), _pack_numbers(list(plan.groups))),
        (len(plan.uid_map), _pack_numbers([n for m in plan.uid_map for n in m])),
        (len(plan.gid_map), _pack_numbers([n for m in plan.gid_map for n in m])),
        (len(plan.mounts), _pack_mounts(plan.mounts, strings)),
        (len(plan.masked), _pack_numbers([add(p) for p in plan.masked])),
        (len(plan.readonly), _pack_numbers([add(p) for p in plan.readonly])),
        (len(plan.devices), _pack_numbers(devices)),
        (len(plan.rlimits), rlimits),
        (len(plan.sysctls), _pack_numbers(sysctls)),
        (len(plan.cgroups), _pack_numbers(list(plan.cgroups))),
        (len(plan.seccomp), plan.seccomp),
        (len(plan.labels), _pack_numbers(labels)),
    ]


def encode(plan: Plan) -> bytes:
    """The encoded plan.

    Raises ValueError for a text with a NUL character, struct.error for a number that does not fit
    its field.
    """
    strings = _Strings()
    scalars = [
        strings.add(t)
        for t in (plan.root_base, plan.root_options, plan.cwd, plan.hostname, plan.domainname)
    ]
    sections = _sections(plan, strings)
    sections.insert(0, (len(strings.blob), bytes(strings.blob)))
    body = bytearray()
    table: list[int] = []
    for count, data in sections:
        table += (_HEAD.size + len(body), count)
        body += data
        body += bytes(-len(body) % 8)
    head = _HEAD.pack(
        MAGIC,
        VERSION,
        _HEAD.size,
        _HEAD.size + len(body),
        plan.flags,
        plan.new_ns,
        plan.join_ns,
        plan.uid,
        plan.gid,
        plan.umask,
        plan.oom_score_adj,
        plan.root,
        plan.root_fd,
        scalars[0],
        scalars[1],
        *scalars[2:],
        plan.cgroup_fd,
        *plan.caps,
        *table,
    )
    return head + bytes(body)
