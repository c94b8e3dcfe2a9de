"""The settings of the node with their defaults: fields, units and values are KubeletConfiguration's
(kubelet.config.k8s.io/v1beta1), but for ``dualStack``: pods get IPv6 addresses too, and
``cniConfDir`` with ``cniBinDir``: pods get their network from CNI plug-ins. Pure.

:mod:`kubelite.node.kubelet.act.config_file` reads them; ``/configz`` shows them with those that
cannot be set (:mod:`kubelite.node.kubelet.cluster.configuration`).
"""

from __future__ import annotations

import re

import msgspec

from kubelite.core.protocol import LogRotation
from kubelite.node.kubelet.decide.restart_policy import MAX_BACKOFF, SECOND
from kubelite.node.network.cni import DEFAULT_BIN, Directories
from kubelite.objects.facts import quantity

DEFAULT_THRESHOLDS = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}
_PERIOD = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")


NEVER_VERIFY, ALWAYS_VERIFY = "NeverVerify", "AlwaysVerify"
NEVER_VERIFY_PRELOADED = "NeverVerifyPreloadedImages"
NEVER_VERIFY_LISTED = "NeverVerifyAllowlistedImages"
POLICIES = (NEVER_VERIFY, NEVER_VERIFY_PRELOADED, NEVER_VERIFY_LISTED, ALWAYS_VERIFY)
"""Which images a pod has to have credentials for although they are there (Kubernetes 1.33)."""


class CrashLoopBackOff(msgspec.Struct, rename="camel"):
    """KubeletConfiguration's crashLoopBackOff; the period is ``60s`` or ``5m``."""

    max_container_restart_period: str = "5m"


class NodeConfig(msgspec.Struct, rename="camel"):
    """The settings; unknown fields are ignored. Decoding raises msgspec.ValidationError, also for
    a size that is no quantity, an unknown policy, a soft threshold without its period, and parallel
    pulls of a node that pulls serially.
    """

    crash_loop_back_off: CrashLoopBackOff = msgspec.field(default_factory=CrashLoopBackOff)
    container_log_max_size: str = "10Mi"
    container_log_max_files: int = 5
    pod_pids_limit: int = -1
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    eviction_hard: dict[str, str] = msgspec.field(default_factory=lambda: dict(DEFAULT_THRESHOLDS))
    eviction_soft: dict[str, str] = msgspec.field(default_factory=dict)
    eviction_soft_grace_period: dict[str, str] = msgspec.field(default_factory=dict)
    eviction_max_pod_grace_period: int = 0
    eviction_minimum_reclaim: dict[str, str] = msgspec.field(default_factory=dict)
    eviction_pressure_transition_period: str = "5m"
    image_pull_credentials_verification_policy: str = NEVER_VERIFY_PRELOADED
    preloaded_images_verification_allowlist: tuple[str, ...] = ()
    serialize_image_pulls: bool = True
    max_parallel_image_pulls: int | None = None
    image_gc_high_threshold_percent: int = msgspec.field(
        default=85, name="imageGCHighThresholdPercent"
    )
    image_gc_low_threshold_percent: int = msgspec.field(
        default=80, name="imageGCLowThresholdPercent"
    )
    dual_stack: bool = False
    cni_conf_dir: str = ""
    cni_bin_dir: str = DEFAULT_BIN

    def __post_init__(self) -> None:
        quantity.parse(self.container_log_max_size)
        if missing := self.eviction_soft.keys() - self.eviction_soft_grace_period.keys():
            raise ValueError(f"evictionSoftGracePeriod lacks {', '.join(sorted(missing))}")
        if self.image_pull_credentials_verification_policy not in POLICIES:
            raise ValueError(f"imagePullCredentialsVerificationPolicy must be one of {POLICIES}")
        most = self.max_parallel_image_pulls
        if most is not None and most < 1:
            raise ValueError("maxParallelImagePulls must be at least 1")
        if self.serialize_image_pulls and most not in (None, 1):
            raise ValueError("maxParallelImagePulls needs serializeImagePulls: false")

    @property
    def pulls_at_once(self) -> int | None:
        """How many images may be pulled at the same time; None for any number."""
        return 1 if self.serialize_image_pulls else self.max_parallel_image_pulls

    @property
    def cni(self) -> Directories | None:
        """Where CNI plug-ins and their configuration lie; None where pods get our own network."""
        return Directories(self.cni_conf_dir, self.cni_bin_dir) if self.cni_conf_dir else None

    @property
    def pids_limit(self) -> int:
        """The maximum number of tasks that a pod may have; 0 where the node does not limit it."""
        return max(self.pod_pids_limit, 0)

    @property
    def max_backoff(self) -> int:
        """The longest wait before a restart, in nanoseconds between 1 s and 5 min."""
        period = seconds(self.crash_loop_back_off.max_container_restart_period) * SECOND
        return min(period, MAX_BACKOFF) if period >= SECOND else MAX_BACKOFF

    @property
    def log_rotation(self) -> LogRotation:
        """When a container's log file is rotated, and how many are kept: the kubelet wants two."""
        size = quantity.value(self.container_log_max_size)
        return LogRotation(max(size, 1), max(self.container_log_max_files, 2))


def seconds(period: str) -> int:
    """``90s``, ``5m`` or ``1m30s`` in seconds; 0 for what is none."""
    match = _PERIOD.fullmatch(period)
    hours, minutes, rest = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    return hours * 3600 + minutes * 60 + rest
