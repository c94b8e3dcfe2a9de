"""What survives the process that wrote it: one small file per pod, sandbox and container. Pure: shapes only.

Records of kernel objects lie in the run directory and die with the boot they name; the pod's own record is durable. Changes
are additive: a reader ignores fields that it does not know, a writer never gives an old field a new meaning.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class PodRecord(msgspec.Struct, kw_only=True):
    """A pod that somebody asked for; on disk before anything of it exists. Times are nanoseconds since 1970."""

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


class SandboxRecord(msgspec.Struct, kw_only=True):
    """The kernel objects of a pod. ``pid`` and ``ticks`` name a process beyond doubt: field 22 of /proc/PID/stat.

    ``address`` is the pod's own, "" with the host's network; ``host_address`` is the one by which it reaches the host.
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
    """One attempt of one container, and what another process needs to join it."""

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
    rlimits: tuple[tuple[int, int, int], ...] = ()
    own_users: bool = False
    pid: int = 0
    ticks: int = 0
    started_at: int = 0
    oom_killed: bool = False


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
    """One container. Without ``exit`` and not ``running`` nobody was left to record its end."""

    record: ContainerRecord
    running: bool
    exit: ExitRecord | None


class Observed(NamedTuple):
    """A pod at one moment: ``up`` says whether pause runs; the last attempt of each container, in the order of their making."""

    pod: PodRecord
    sandbox: SandboxRecord | None
    up: bool
    containers: tuple[Seen, ...]


class Storage(NamedTuple):
    """Bytes on disk. ``containers`` are writable layers of every attempt and logs by name, ``volumes`` emptyDir volumes by
    name, ``files`` what kubelite keeps for the pod, such as /etc/hosts."""

    containers: dict[str, int]
    volumes: dict[str, int]
    files: int

    @property
    def total(self) -> int:
        """All of it; volumes in memory are not among these."""
        return sum(self.containers.values()) + sum(self.volumes.values()) + self.files


CREATING, CREATED, REMOVING = "creating", "created", "removing"
