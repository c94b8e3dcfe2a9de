"""The records that survive the process that wrote them, and what is observed of a pod. Pure.

One small file per pod, sandbox and container. Records of kernel objects lie in the run directory
and are void after the boot that they name; the pod's own record is durable. Changes are additive: a
reader ignores fields that it does not know, and a field keeps its name on disk for ever (which is
why some have another ``name`` there).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from kubelite.node.network.cni import Directories


class PodStop(msgspec.Struct, kw_only=True):
    """All containers of a pod are to stop. ``since`` is CLOCK_BOOTTIME of boot ``boot``; it and
    ``grace`` are nanoseconds.
    """

    since: int
    boot: str
    grace: int


class Stop(msgspec.Struct, kw_only=True):
    """One attempt of a container is to stop: since when (CLOCK_BOOTTIME), with how much grace, and
    which steps have been taken.

    Times are nanoseconds, 0 for a step not taken yet. ``hook`` is HOOK_* of preStop. ``restart``:
    the container is started again afterwards, whatever its restart policy says.
    """

    since: int
    grace: int
    reason: str = ""
    restart: bool = msgspec.field(default=False, name="again")
    hook: int = 0
    signalled: int = 0
    killed: int = 0


class ClaimedVolume(msgspec.Struct, frozen=True):
    """Where the volume of a pod's claim lies. ``kind`` is "host" (with the ``type`` of a hostPath),
    "local", "block" for a block device, "provisioned" for a directory that this node makes itself,
    or "csi"; what a CSI driver publishes has the name of the PersistentVolume as its ``type``.
    """

    kind: str
    path: str
    type: str = ""
    read_only: bool = False


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """Why a pod cannot be started for now, in the words of ``state.waiting``: which of its images
    is missing, or ("") what is wrong with its configuration. Without a ``reason`` nothing is wrong:
    its image is on its way.
    """

    reason: str
    message: str
    image: str = ""


class PendingResize(msgspec.Struct, frozen=True, kw_only=True):
    """A resize that was asked for and is not allocated: ``reason`` is Deferred or Infeasible,
    ``since`` nanoseconds since 1970, ``generation`` the pod's of which it was last said.
    """

    reason: str
    message: str
    since: int
    generation: int = 0


class ResizeInProgress(msgspec.Struct, frozen=True, kw_only=True):
    """An allocated resize whose limits are not set yet, since when (nanoseconds since 1970) and of
    which generation. ``former`` are the limits and requests that running containers still have,
    by name. ``error``: why the last try has failed; the next one is at ``retry_at`` of
    CLOCK_BOOTTIME.
    """

    since: int
    generation: int = 0
    former: dict[str, dict[str, dict[str, str]]] = {}
    error: str = ""
    retry_at: int = 0


class PodRecord(msgspec.Struct, kw_only=True):
    """A pod that was requested; on disk before anything of it exists. Times are nanoseconds since
    1970.

    ``stage`` is CREATING, CREATED or REMOVING; ``goal`` is RUN, STOP or RESTART. ``reason`` and
    ``message`` say why the pod as a whole has failed; ``disrupted``: because of its node, not by a
    fault of its own. ``started`` is CLOCK_BOOTTIME of boot
    ``boot`` when the pod was requested. ``documents`` are the ConfigMaps and Secrets that came with
    the manifest; ``origin`` is API for a pod that an API server has bound to this node. ``source``
    is the digest of its manifest. ``paused``: its cgroup is frozen. ``stale_attempts``: containers
    that an update has changed, with the last attempt started from the old definition. ``resize``:
    the cgroup limits are out of date, more of which is in ``resizing``; ``pending_resize``: what
    ``pod`` does not have of what was asked for. ``restart_reason``: which container's exit
    restarted all of them last. ``removal_at``: when the removal was requested, with
    ``removal_grace`` nanoseconds for the containers. ``claimed`` are the volumes of its claims by
    their names in the pod, once they are known: a bound claim keeps its volume. ``blocked`` says
    why its sandbox could not be made. ``cni``: the plug-ins that it gets its network from, where
    whoever requested it has named them.
    """

    version: int = 1
    uid: str
    namespace: str
    name: str
    stage: str
    created_at: int
    up_at: int = 0
    pod: msgspec.Raw
    documents: msgspec.Raw = msgspec.Raw(b"[]")
    origin: str = ""
    source: str = ""
    unsafe_sysctls: tuple[str, ...] = ()
    goal: str = "run"
    stop: PodStop | None = None
    reason: str = ""
    message: str = ""
    disrupted: bool = False
    boot: str = ""
    started: int = 0
    paused: bool = False
    stale_attempts: dict[str, int] = msgspec.field(default_factory=dict, name="swaps")
    resize: bool = False
    resizing: ResizeInProgress | None = None
    pending_resize: PendingResize | None = None
    restart_reason: str = msgspec.field(default="", name="anew")
    removal_at: int = 0
    removal_grace: int = 0
    claimed: dict[str, ClaimedVolume] = {}
    blocked: Blocked | None = None
    cni: Directories | None = None


class SandboxRecord(msgspec.Struct, kw_only=True):
    """The kernel objects that a pod's containers share. ``pause`` is the id of the pause process;
    a pid together with its ticks (field 22 of /proc/PID/stat) identifies a process.

    ``address`` is the pod's own, "" with the host's network, ``ipv6`` the one beside it, "" where
    it has none; ``host_address`` is the one by which it reaches the host. ``gone``: the sandbox has
    died and its kernel objects are given back.
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
    ipv6: str = ""
    host_address: str = ""
    gone: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """The pod's own addresses, IPv4 first."""
        return tuple(filter(None, (self.address, self.ipv6)))


class ContainerRecord(msgspec.Struct, kw_only=True):
    """One attempt of one container, and what another process needs to join it.

    ``pid`` is 0 until the start was answered, -1 for an attempt that never had a process or was
    started in another boot; ``ticks`` identifies the process together with it. ``sandbox`` is the
    id of the pause process it belongs to. ``backoff``: nanoseconds between its exit and the next
    attempt, unless it ran long enough. ``restarts``: attempts before it that were created.
    ``post_start_hook`` is HOOK_*; ``startup_ok`` and
    ``ready_ok`` are the verdicts of its probes. ``caps`` are the fields of
    :class:`kubelite.core.plan.Caps`. ``stop_signal`` is the image's, by number, 0 for none.
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
    own_userns: bool = msgspec.field(default=False, name="own_users")
    pid: int = 0
    ticks: int = 0
    started_at: int = 0
    oom_killed: bool = False
    sandbox: str = ""
    backoff: int = 0
    restarts: int = 0
    post_start_hook: int = msgspec.field(default=0, name="hooked")
    startup_ok: bool = False
    ready_ok: bool = False
    stop: Stop | None = None
    stop_signal: int = 0


def without_process(
    record_id: str,
    name: str,
    attempt: int,
    *,
    init: bool = False,
    image: str = "",
    created_at: int = 0,
    sandbox: str = "",
    backoff: int = 0,
    restarts: int = 0,
) -> ContainerRecord:
    """The record of an attempt that has no process and will not have one."""
    return ContainerRecord(
        id=record_id,
        name=name,
        init=init,
        attempt=attempt,
        image=image,
        image_id="",
        created_at=created_at,
        env=(),
        cwd="/",
        uid=0,
        gid=0,
        groups=(),
        caps=(),
        no_new_privs=False,
        tty=False,
        stdin=False,
        oom_score_adj=0,
        pid=-1,
        sandbox=sandbox,
        backoff=backoff,
        restarts=restarts,
    )


CREATION_FAILURES = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
)
"""The kubelet's reasons for a container that could not be created."""


class FinishedAttempt(msgspec.Struct, kw_only=True):
    """An attempt that has ended: what is kept of it across boots.

    ``started_at`` and ``finished_at`` count from 1970. No new attempt begins before ``not_before``,
    CLOCK_BOOTTIME of boot ``boot``; ``backoff`` is the delay that led to it. ``force_restart``:
    a new attempt is started whatever the restart policy says. Nanoseconds.
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
    not_before: int = msgspec.field(name="until")
    backoff: int = msgspec.field(name="wait")
    force_restart: bool = msgspec.field(default=False, name="again")
    restarts: int = 0

    @property
    def never_created(self) -> bool:
        """Whether there was no container yet that could have started."""
        return self.reason in CREATION_FAILURES


class HistoryRecord(msgspec.Struct, kw_only=True):
    """The last finished attempts of one container, oldest first."""

    version: int = 1
    attempts: tuple[FinishedAttempt, ...] = msgspec.field(default=(), name="past")


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


class ObservedContainer(NamedTuple):
    """The last attempt of one container. Neither ``exit`` nor ``running``: its exit was not
    recorded, since the shim was gone.

    ``last_exit`` is the durable record of its end, ``previous_exit`` that of the attempt before it.
    ``lost``: lines of its log that did not fit on a disk which is still full.
    """

    record: ContainerRecord
    running: bool
    exit: ExitRecord | None
    last_exit: FinishedAttempt | None = None
    previous_exit: FinishedAttempt | None = None
    lost: int = 0


class ObservedPod(NamedTuple):
    """A pod at one moment. ``up``: its pause process runs. ``containers``: the last attempt of each
    container, in the order of their creation.
    """

    pod: PodRecord
    sandbox: SandboxRecord | None
    up: bool
    containers: tuple[ObservedContainer, ...]
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
API = "api"
RUN, STOP, RESTART = "run", "stop", "restart"
HOOK_NONE, HOOK_BEGUN, HOOK_OVER = 0, 1, 2
