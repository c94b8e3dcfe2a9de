"""Builds launch plans for sandboxes, containers and further processes. Pure.

Mounts, masked and read-only paths and their order are those of the OCI runtime specification and of
the CRI runtimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kubelite.core.plan import (
    NO_FD,
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
)
from kubelite.core.protocol import LogRotation
from kubelite.node.cgroup.limits import ControlWrite
from kubelite.node.runtime.identity import User
from kubelite.node.volume.mounts import ContainerMount, PodMount, Propagation

MASKED = (
    "/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list "
    "/proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap"
).split()
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
SHM_BYTES = 64 << 20
IDS = 65536
"""The number of user and group ids of a pod with a user namespace: from 0 on inside, contiguous
outside.
"""
_PROPAGATION: dict[Propagation, MountFlag] = {
    "": MountFlag.NONE,
    "slave": MountFlag.SLAVE,
    "shared": MountFlag.SHARED,
}
_KERNEL = Attr.NOSUID | Attr.NODEV | Attr.NOEXEC


class SharedNamespaces(NamedTuple):
    """Which namespaces the containers of a pod share with each other or with the host."""

    host_network: bool
    host_pid: bool
    host_ipc: bool
    share_pid: bool
    own_userns: bool = False

    @property
    def sandbox(self) -> Namespace:
        """The new namespaces of pause. As in the kubelet, a pod on the host's network has the
        host's name as well.
        """
        spaces = Namespace(0)
        if not self.host_network:
            spaces |= Namespace.NET | Namespace.UTS
        if not self.host_ipc:
            spaces |= Namespace.IPC
        if self.share_pid:
            spaces |= Namespace.PID
        if self.own_userns:
            spaces |= Namespace.USER
        return spaces


class SeccompFilter(NamedTuple):
    """A compiled seccomp filter; ``key`` is the name under which it is stored, "" for no filter."""

    key: str = ""
    program: bytes = b""
    flags: Flag = Flag.NONE


class Security(NamedTuple):
    """The decided security settings of a container. ``seccomp`` names its profile: "" none,
    "default", "localhost/PATH"; ``filter`` is that profile compiled, ``labels`` are for the
    kernel's security modules."""

    user: User
    caps: Caps
    no_new_privs: bool
    privileged: bool
    readonly_root: bool
    unmasked: bool
    oom_score_adj: int
    seccomp: str = ""
    rlimits: tuple[Rlimit, ...] = ()
    filter: SeccompFilter = SeccompFilter()
    labels: tuple[tuple[Module, str], ...] = ()


class Program(NamedTuple):
    """What is executed."""

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    tty: bool


class StartInputs(NamedTuple):
    """What was decided about a container, before anything of it exists.

    ``layers`` are the directories of the image, lowest first; ``variables`` are those that the
    manifest declares, for ``$(VAR)`` in mounts; ``covers`` are paths of the host hidden from it;
    ``message_path`` is the path inside of its termination message, "" for none; ``stop_signal``
    the image's, by number, 0 for none; ``target`` is the id of the container whose processes it
    sees, "" where it has a pid namespace of its own or the pod's; ``all_devices``: it may open
    devices that the pod as a whole may not.
    """

    name: str
    init: bool
    image: str
    image_id: str
    layers: tuple[str, ...]
    program: Program
    variables: Mapping[str, str]
    security: Security
    shared: SharedNamespaces
    covers: tuple[str, ...]
    devices: tuple[Device, ...]
    control_writes: tuple[ControlWrite, ...]
    stdin: bool
    stdin_once: bool
    log: LogRotation
    message_path: str = ""
    stop_signal: int = 0
    target: str = ""
    all_devices: bool = False


class RootFs(NamedTuple):
    """An overlay: ``base`` the directory that all other paths are relative to, ``lower`` highest
    layer first.
    """

    base: str
    lower: tuple[str, ...]
    upper: str
    work: str


class Cgroup(NamedTuple):
    """Indices into the plan's descriptors: v1 ``tasks`` files, and the v2 directory where there is
    one.
    """

    tasks: tuple[int, ...]
    directory: int = NO_FD


def overlay_options(root: RootFs) -> str:
    """Index, metacopy and redirect_dir are off: what they write into an upper directory would be
    wrong over another lower one.
    """
    return (
        f"lowerdir={':'.join(root.lower)},upperdir={root.upper},workdir={root.work},"
        "index=off,metacopy=off,redirect_dir=off"
    )


def mapped_layers(root: RootFs) -> str:
    """The layers of an overlay whose ids C maps one by one; ``upper`` and ``work`` lie in one
    directory.
    """
    return f"{':'.join(root.lower)},{root.upper.rpartition('/')[0]}"


def system_mounts(privileged: bool, shm: str, cgroup2: bool) -> list[Mount]:
    """/proc, /dev with pts, mqueue and shm, and /sys of every container. ``shm`` is the pod's
    shared memory directory.
    """
    read_only = Attr.NONE if privileged else Attr.RDONLY
    mounts = [
        Mount(MountKind.PROC, "/proc", attr=_KERNEL),
        Mount(MountKind.DEV, "/dev", options="mode=0755,size=64k", attr=Attr.NOSUID),
        Mount(MountKind.MQUEUE, "/dev/mqueue", attr=_KERNEL),
        Mount(MountKind.BIND, "/dev/shm", source=shm, attr=_KERNEL, flags=MountFlag.OWN),
        Mount(MountKind.SYSFS, "/sys", attr=_KERNEL | read_only),
    ]
    if cgroup2:
        mounts.append(Mount(MountKind.CGROUP2, "/sys/fs/cgroup", attr=_KERNEL | read_only))
    return mounts


def own_cgroups(groups: Mapping[str, str], privileged: bool) -> list[Mount]:
    """The container's own cgroups below /sys/fs/cgroup on v1 and hybrid machines, where there is no
    mount of a whole tree as on v2. ``groups`` are directories of the host by controller.

    The tmpfs has room for the mount points and nothing else: no file can be created in it.
    """
    if not groups:
        return []
    attr = _KERNEL | (Attr.NONE if privileged else Attr.RDONLY)
    options = f"mode=0755,size=4k,nr_inodes={len(groups) + 1}"
    return [
        Mount(MountKind.TMPFS, "/sys/fs/cgroup", options=options, attr=_KERNEL),
        *(
            Mount(MountKind.BIND, f"/sys/fs/cgroup/{name}", groups[name], attr=attr)
            for name in sorted(groups)
        ),
    ]


def bind_mount(bind: ContainerMount) -> Mount:
    """A bind as the plan has it. The files of an image are only read, and none is executed (KEP
    4639); an overlay without a writable layer needs two others.
    """
    if bind.layers:
        attr = Attr.RDONLY | Attr.NOEXEC
        if len(bind.layers) == 1:
            source = f"{bind.source}/{bind.layers[0]}"
            return Mount(MountKind.BIND, bind.target, source, attr=attr, name=bind.name)
        options = f"lowerdir={':'.join(bind.layers[::-1])}"
        return Mount(MountKind.LAYERS, bind.target, bind.source, options, attr, name=bind.name)
    flags = MountFlag.NONE
    if bind.recursive:
        flags |= MountFlag.RECURSIVE
    if bind.file:
        flags |= MountFlag.FILE
    if bind.own:
        flags |= MountFlag.OWN
    if bind.subpath:
        flags |= MountFlag.SUBPATH
    if bind.read_only_below:
        flags |= MountFlag.ATTR_BELOW
    flags |= _PROPAGATION[bind.propagation]
    attr = Attr.RDONLY if bind.read_only else Attr.NONE
    return Mount(MountKind.BIND, bind.target, bind.source, bind.subpath, attr, flags, bind.name)


def is_shared_with_host(mount: Mount) -> bool:
    """Whether what is mounted below it in the container is to be seen on the host."""
    return MountFlag.SHARED in mount.flags and MountFlag.OWN not in mount.flags


def from_descriptor(mount: Mount, index: int) -> Mount:
    """The mount with its source, or the subPath of it, opened before."""
    return mount._replace(
        kind=MountKind.BIND_FD,
        source=index,
        options="",
        flags=mount.flags & ~MountFlag.SUBPATH,
    )


def pod_mount(mount: PodMount) -> Mount:
    """A mount of the pod as the plan of its sandbox has it."""
    name = f'volume "{mount.name}"'
    flags = MountFlag.SHARED if mount.shared else MountFlag.NONE
    if mount.is_bind:
        return Mount(MountKind.BIND, mount.target, mount.target, flags=flags, name=name)
    kind = MountKind.HUGETLBFS if mount.is_huge else MountKind.TMPFS
    return Mount(kind, mount.target, options=mount.options, flags=flags, name=name)


def sandbox_plan(
    shared: SharedNamespaces,
    hostname: str,
    domainname: str,
    sysctls: tuple[tuple[str, str], ...],
    tmpfs: tuple[Mount, ...],
    oom_score_adj: int,
    first_id: int = 0,
) -> Plan:
    """The plan of pause. ``tmpfs`` are the pod's own mounts, which the shim makes in the pod's
    mount namespace; ``first_id`` is where the ids of a pod with users of its own begin."""
    own_name = not shared.host_network
    ids = (IdMap(0, first_id, IDS),) if shared.own_userns else ()
    return Plan(
        flags=Flag.CAPS | Flag.NO_NEW_PRIVS | Flag.OOM_SCORE,
        new_ns=shared.sandbox | Namespace.MOUNT,
        root=Root.EMPTY,
        hostname=hostname if own_name else "",
        domainname=domainname if own_name else "",
        sysctls=sysctls,
        mounts=tmpfs,
        uid_map=ids,
        gid_map=ids,
        oom_score_adj=oom_score_adj,
    )


def container_plan(
    program: Program,
    security: Security,
    shared: SharedNamespaces,
    root: RootFs,
    mounts: list[Mount],
    covers: list[str],
    devices: tuple[Device, ...],
    cgroup: Cgroup,
    *,
    joins_container: bool = False,
) -> Plan:
    """The plan of a container. ``covers`` are paths hidden whatever the security settings say;
    ``joins_container``: it sees the processes of the container that its start names.
    """
    new_ns, join_ns = Namespace.MOUNT | Namespace.CGROUP, shared.sandbox
    if joins_container:
        join_ns |= Namespace.PID
    elif not shared.share_pid and not shared.host_pid:
        new_ns |= Namespace.PID
    bare = security.privileged or security.unmasked
    return Plan(
        args=program.args,
        env=program.env,
        cwd=program.cwd,
        flags=_flags(security, program.tty),
        new_ns=new_ns,
        join_ns=join_ns,
        uid=security.user.uid,
        gid=security.user.gid,
        groups=security.user.groups,
        oom_score_adj=security.oom_score_adj,
        root=Root.IDMAPPED if shared.own_userns else Root.OVERLAY,
        root_base=root.base,
        root_options=mapped_layers(root) if shared.own_userns else overlay_options(root),
        caps=security.caps,
        mounts=tuple(mounts),
        masked=tuple(covers if bare else [*MASKED, *covers]),
        readonly=() if bare else tuple(READONLY),
        devices=devices,
        cgroups=cgroup.tasks,
        cgroup_fd=cgroup.directory,
        rlimits=security.rlimits,
        seccomp=security.filter.program,
        labels=security.labels,
    )


def exec_plan(program: Program, security: Security, cgroup: Cgroup, *, own_userns: bool) -> Plan:
    """The plan of a further process in a running container, whose pod may have users of its own."""
    spaces = Namespace.NET | Namespace.IPC | Namespace.UTS | Namespace.PID | Namespace.MOUNT
    return Plan(
        args=program.args,
        env=program.env,
        cwd=program.cwd,
        flags=_flags(security, program.tty) & ~Flag.READONLY_ROOT,
        join_ns=spaces | Namespace.CGROUP | (Namespace.USER if own_userns else Namespace(0)),
        uid=security.user.uid,
        gid=security.user.gid,
        groups=security.user.groups,
        oom_score_adj=security.oom_score_adj,
        caps=security.caps,
        cgroups=cgroup.tasks,
        cgroup_fd=cgroup.directory,
        rlimits=security.rlimits,
        seccomp=security.filter.program,
        labels=security.labels,
    )


def _flags(security: Security, tty: bool) -> Flag:
    flags = Flag.CAPS | Flag.OOM_SCORE | security.filter.flags
    if security.no_new_privs:
        flags |= Flag.NO_NEW_PRIVS
    if security.readonly_root:
        flags |= Flag.READONLY_ROOT
    if tty:
        flags |= Flag.TERMINAL
    return flags
