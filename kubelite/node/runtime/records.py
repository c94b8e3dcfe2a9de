"""What survives the process that wrote it: one small file per pod, sandbox and container. Pure:
shapes only.

Records of kernel objects lie in the run directory and die with the boot they name; the pod's own
record is durable. Changes are additive: a reader ignores fields that it does not know, a writer
never gives an old field a new meaning.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class PodStop(msgspec.Struct, kw_only=True):
    """All containers of a pod are to end. ``since`` is CLOCK_BOOTTIME of boot ``boot``; both it and
    ``grace`` are nanoseconds.
    """

    since: int
    boot: str
    grace: int


class Stop(msgspec.Struct, kw_only=True):
    """One attempt of a container is to end: since when (CLOCK_BOOTTIME), how much grace it has, and
    how far that has come.

    Times are nanoseconds; 0 where the step has not been taken. ``again`` starts it anew whatever
    its restart policy says.
    """

    since: int
    grace: int
    reason: str = ""
    again: bool = False
    hook: int = 0
    signalled: int = 0
    killed: int = 0


class PodRecord(msgspec.Struct, kw_only=True):
    """A pod that somebody asked for; on disk before anything of it exists. Times are nanoseconds
    since 1970.

    ``goal`` is what is wanted of it now, one of RUN, STOP and RESTART. ``reason`` and ``message``
    say why it has failed as a whole. ``started`` is CLOCK_BOOTTIME of boot ``boot`` when it was
    asked for. ``paused``: its processes are held still. ``swaps`` names containers that an update
    has changed, and the last attempt that is out of date; ``resize``: the limits in their cgroups
    are. ``anew``: the end of a container that restarted all of them last. ``removal_at``: when
    somebody asked that the pod goes, with ``removal_grace`` nanoseconds for its containers.
    """

    version: int = 1
    uid: str
    namespace: str
    name: str
    stage: str
    created_at: int
    up_at: int = 0
    pod: msgspec.Raw
    source: str = ""
    unsafe_sysctls: tuple[str, ...] = ()
    goal: str = "run"
    stop: PodStop | None = None
    reason: str = ""
    message: str = ""
    boot: str = ""
    started: int = 0
    paused: bool = False
    swaps: dict[str, int] = {}
    resize: bool = False
    anew: str = ""
    removal_at: int = 0
    removal_grace: int = 0


class SandboxRecord(msgspec.Struct, kw_only=True):
    """The kernel objects of a pod. ``pid`` and ``ticks`` name a process beyond doubt: field 22 of
    /proc/PID/stat.

    ``address`` is the pod's own, "" with the host's network; ``host_address`` is the one by which
    it reaches the host.
    """

    version: int = 1
    uid: str
    boot: str
    pause: str
    shim_pid: int = 0
    pause_pid: int = 0
    pause_ticks: int = 0
    started_at: int = 0
    address: str = ""
    host_address: str = ""
    gone: bool = False


class ContainerRecord(msgspec.Struct, kw_only=True):
    """One attempt of one container, and what another process needs to join it.

    ``sandbox`` is the pause it belongs to. ``backoff`` nanoseconds pass between its end and the
    next attempt, unless it ran long enough. ``hooked``, HOOK_*, is about postStart; ``startup_ok``
    and ``ready_ok`` are what its probes have found.
    """

    version: int = 1
    id: str
    name: str
    init: bool
    attempt: int
    image: str
    image_id: str
    created_at: int
    env: tuple[str, ...]
    cwd: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    caps: tuple[int, ...]
    no_new_privs: bool
    tty: bool
    stdin: bool
    oom_score_adj: int
    seccomp: str = ""
    labels: tuple[tuple[int, str], ...] = ()
    rlimits: tuple[tuple[int, int, int], ...] = ()
    own_users: bool = False
    pid: int = 0
    ticks: int = 0
    started_at: int = 0
    oom_killed: bool = False
    sandbox: str = ""
    backoff: int = 0
    hooked: int = 0
    startup_ok: bool = False
    ready_ok: bool = False
    stop: Stop | None = None


class PastRecord(msgspec.Struct, kw_only=True):
    """An attempt that is over: all that stays of it when the boot is over too.

    ``started_at`` and ``finished_at`` count from 1970. No new attempt begins before ``until``,
    CLOCK_BOOTTIME of boot ``boot``; ``wait`` is the back-off that led to it; ``again`` starts one
    whatever the restart policy says. Nanoseconds.
    """

    id: str
    name: str
    init: bool
    attempt: int
    sandbox: str
    image: str
    image_id: str
    code: int
    signal: int
    reason: str
    message: str
    created_at: int
    started_at: int
    finished_at: int
    boot: str
    until: int
    wait: int
    again: bool = False


class HistoryRecord(msgspec.Struct, kw_only=True):
    """The last attempts of one container that are over, oldest first."""

    version: int = 1
    past: tuple[PastRecord, ...] = ()


class ConditionsRecord(msgspec.Struct, kw_only=True):
    """Since when each of a pod's conditions is what it is: type to status and nanoseconds since
    1970.
    """

    version: int = 1
    since: dict[str, tuple[str, int]] = {}


class ExitRecord(msgspec.Struct, kw_only=True):
    """How a process ended; the shim writes it. ``code`` is 128 + signal when a signal ended it."""

    version: int = 1
    id: str
    role: int
    pid: int
    code: int
    signal: int
    started_at: int
    finished_at: int


class Seen(NamedTuple):
    """The last attempt of one container. Without ``exit`` and not ``running`` nobody was left to
    record its end.

    ``past`` is the durable note of its end, ``before`` that of the attempt before it. ``lost``
    lines of its log a full disk has swallowed, and still does.
    """

    record: ContainerRecord
    running: bool
    exit: ExitRecord | None
    past: PastRecord | None = None
    before: PastRecord | None = None
    lost: int = 0


class Observed(NamedTuple):
    """A pod at one moment: ``up`` says whether pause runs; the last attempt of each container, in
    the order of their making.
    """

    pod: PodRecord
    sandbox: SandboxRecord | None
    up: bool
    containers: tuple[Seen, ...]
    conditions: ConditionsRecord = ConditionsRecord()


class Storage(NamedTuple):
    """Bytes on disk. ``containers`` are writable layers of every attempt and logs by name,
    ``volumes`` emptyDir volumes by name, ``files`` what kubelite keeps for the pod, such as
    /etc/hosts."""

    containers: dict[str, int]
    volumes: dict[str, int]
    files: int

    @property
    def total(self) -> int:
        """All of it; volumes in memory are not among these."""
        return sum(self.containers.values()) + sum(self.volumes.values()) + self.files


CREATING, CREATED, REMOVING = "creating", "created", "removing"
RUN, STOP, RESTART = "run", "stop", "restart"
HOOK_NONE, HOOK_BEGUN, HOOK_OVER = 0, 1, 2
