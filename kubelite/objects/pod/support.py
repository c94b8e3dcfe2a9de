"""What this version makes of each field of a pod: honoured, without effect, or refused, and why.
Pure.

Every field is in the table below, so that nothing of a manifest is dropped in silence. A row speaks
for all that lies under its path unless a longer one does. Later versions turn rows into honoured
ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.objects.facts import quantity
from kubelite.objects.facts.names import ip_address
from kubelite.objects.rules.cause import INVALID, Path

if TYPE_CHECKING:
    from kubelite.lib.json import Object


class Level(IntEnum):
    """How bad it is. ``pod check`` reports every level from QUIET on, ``pod up`` from LOUD on.
    REFUSED stops ``pod up`` unless it runs with ``--lenient``, which leaves the field out; FATAL
    always does.
    """

    HONOURED = 0
    QUIET = 1
    LOUD = 2
    REFUSED = 3
    FATAL = 4


class Row(NamedTuple):
    """What becomes of a field of a local pod. ``when`` limits the row to some values; others are
    honoured. ``in_cluster``: pods of a cluster have it honoured.
    """

    level: Level
    reason: str = ""
    when: Callable[[Any], bool] | None = None
    in_cluster: bool = False


class Finding(NamedTuple):
    """A field that is set and not honoured, or a value that is odd. ``reason`` is UNSUPPORTED,
    NO_EFFECT or INVALID.
    """

    level: Level
    path: Path
    message: str
    reason: str


MAX_MILLI_CPUS = (1 << 44) // 100
"""The kernel's largest CPU quota is 2**44 microseconds in a period of 100 ms (sched/core.c)."""
UNSUPPORTED = "Unsupported"
NO_EFFECT = "NoEffect"
_HOST_IMAGE = "host"


def _is(*values: object) -> Callable[[Any], bool]:
    return lambda value: value in values


def _is_unknown_signal(name: Any) -> bool:
    from kubelite.objects.rules.pods.probes import SIGNALS  # few containers name one

    return name not in SIGNALS["linux"]


def _is_relative(path: Any) -> bool:
    return bool(path) and not path.startswith("/")


def _is_root(path: Any) -> bool:
    return bool(path) and not path.strip("/.")


def _is_too_many_cpus(limit: Any) -> bool:
    return quantity.milli(str(limit)) > MAX_MILLI_CPUS


_HUGE = "hugepages-"
_YES = Row(Level.HONOURED)
_SET_BY_SERVER = Row(Level.QUIET, "kubelite sets it itself")
_ONE_NODE = Row(
    Level.QUIET, "a local pod runs on this machine, no scheduler is asked", in_cluster=True
)
_NO_ACCOUNTS = Row(
    Level.QUIET, "a local pod has no API server to identify itself to", in_cluster=True
)
_NO_VOLUME = "volumes of this kind cannot be served yet"
_NEEDS_CLUSTER = Row(Level.REFUSED, "it needs a cluster: `kubelite up` starts one", in_cluster=True)
_NO_CERTIFICATES = Row(Level.REFUSED, "certificates of a cluster cannot be served yet")
_NO_DEVICES = Row(Level.REFUSED, "this machine hands out no such resource")
_APP_ARMOR = {
    "type": Row(
        Level.LOUD,
        "kubelite has no AppArmor profile of its own: Localhost ones are applied",
        _is("RuntimeDefault"),
    ),
    "localhostProfile": _YES,
}
_SECCOMP = {"type": _YES, "localhostProfile": _YES}

_METADATA = {
    "metadata.name": _YES,
    "metadata.namespace": _YES,
    "metadata.labels": _YES,
    "metadata.annotations": _YES,
    "metadata.generateName": _YES,
    "metadata.ownerReferences": Row(Level.QUIET, "no controller owns a local pod"),
    "metadata.finalizers": Row(Level.QUIET, "no controller takes part in removing a local pod"),
    **dict.fromkeys(
        (
            "metadata.uid",
            "metadata.resourceVersion",
            "metadata.generation",
            "metadata.creationTimestamp",
            "metadata.deletionTimestamp",
            "metadata.deletionGracePeriodSeconds",
            "metadata.selfLink",
            "metadata.managedFields",
            "status",
        ),
        _SET_BY_SERVER,
    ),
}

_SPEC = {
    **dict.fromkeys(
        (
            "apiVersion",
            "kind",
            "spec.restartPolicy",
            "spec.dnsPolicy",
            "spec.dnsConfig",
            "spec.hostNetwork",
            "spec.hostPID",
            "spec.hostIPC",
            "spec.shareProcessNamespace",
            "spec.hostname",
            "spec.subdomain",
            "spec.hostnameOverride",
            "spec.setHostnameAsFQDN",
            "spec.hostAliases",
            "spec.overhead",
        ),
        _YES,
    ),
    **dict.fromkeys(
        (
            "spec.nodeSelector",
            "spec.nodeName",
            "spec.affinity",
            "spec.schedulerName",
            "spec.tolerations",
            "spec.topologySpreadConstraints",
            "spec.priorityClassName",
            "spec.priority",
            "spec.preemptionPolicy",
            "spec.schedulingGroup",
        ),
        _ONE_NODE,
    ),
    "spec.terminationGracePeriodSeconds": Row(
        Level.LOUD, "a negative one is taken for one second", lambda seconds: seconds < 0
    ),
    "spec.serviceAccountName": _NO_ACCOUNTS,
    "spec.serviceAccount": _NO_ACCOUNTS,
    "spec.automountServiceAccountToken": _NO_ACCOUNTS,
    "spec.enableServiceLinks": Row(Level.QUIET, "a local pod sees no Services", in_cluster=True),
    "spec.imagePullSecrets": Row(
        Level.QUIET, "images are pulled with this machine's registry credentials", in_cluster=True
    ),
    "spec.activeDeadlineSeconds": _YES,
    "spec.ephemeralContainers": Row(
        Level.REFUSED,
        "they are added to running pods of a cluster; beside local ones `pod debug` runs tools",
        in_cluster=True,
    ),
    "spec.readinessGates": Row(
        Level.REFUSED,
        "nothing here sets such conditions: the pod would never be ready",
        in_cluster=True,
    ),
    "spec.schedulingGates": Row(
        Level.REFUSED,
        "nothing here removes gates: the pod would wait forever",
        in_cluster=True,
    ),
    "spec.resourceClaims": _NO_DEVICES,
    "spec.runtimeClassName": Row(Level.REFUSED, "kubelite is the only runtime here"),
    "spec.os.name": Row(Level.FATAL, "this machine runs Linux", _is("windows")),
    "spec.hostUsers": _YES,
    "spec.resources.limits.cpu": _YES,
    "spec.resources.limits.memory": _YES,
    f"spec.resources.limits.{_HUGE}*": _YES,
    "spec.resources.limits.*": _NO_DEVICES,
    "spec.resources.requests.cpu": _YES,
    "spec.resources.requests.memory": _YES,
    f"spec.resources.requests.{_HUGE}*": _YES,
    "spec.resources.requests.*": _NO_DEVICES,
    "spec.resources.claims": _NO_DEVICES,
}

_POD_SECURITY = {
    **dict.fromkeys(
        (
            "spec.securityContext.runAsUser",
            "spec.securityContext.runAsGroup",
            "spec.securityContext.runAsNonRoot",
            "spec.securityContext.supplementalGroups",
            "spec.securityContext.fsGroup",
            "spec.securityContext.fsGroupChangePolicy",
            "spec.securityContext.sysctls",
        ),
        _YES,
    ),
    "spec.securityContext.supplementalGroupsPolicy": _YES,
    "spec.securityContext.seLinuxOptions": _YES,
    "spec.securityContext.seLinuxChangePolicy": Row(
        Level.QUIET, "programs are labelled, the files of volumes are not"
    ),
    "spec.securityContext.windowsOptions": Row(Level.QUIET, "this machine runs Linux"),
    **{f"spec.securityContext.seccompProfile.{name}": row for name, row in _SECCOMP.items()},
    **{f"spec.securityContext.appArmorProfile.{name}": row for name, row in _APP_ARMOR.items()},
}

# ``container`` stands for each container and init container, ``volume`` for each volume.
_CONTAINER = {
    **dict.fromkeys(
        (
            "container.name",
            "container.image",
            "container.imagePullPolicy",
            "container.command",
            "container.args",
            "container.ports[].name",
            "container.ports[].containerPort",
            "container.ports[].hostPort",
            "container.ports[].protocol",
            "container.env[].name",
            "container.env[].value",
            "container.env[].valueFrom.fieldRef",
            "container.env[].valueFrom.resourceFieldRef",
            "container.env[].valueFrom.configMapKeyRef",
            "container.env[].valueFrom.secretKeyRef",
            "container.envFrom",
            "container.resources.limits.memory",
            f"container.resources.limits.{_HUGE}*",
            "container.resources.requests.cpu",
            "container.resources.requests.memory",
            f"container.resources.requests.{_HUGE}*",
            "container.volumeMounts[].name",
            "container.volumeMounts[].readOnly",
            "container.volumeMounts[].subPath",
            "container.volumeMounts[].subPathExpr",
            "container.stdin",
            "container.stdinOnce",
            "container.tty",
        ),
        _YES,
    ),
    "container.workingDir": Row(
        Level.FATAL, "it must be an absolute path", _is_relative, in_cluster=True
    ),
    "container.volumeMounts[].mountPath": Row(
        Level.FATAL, "the volume would hide the whole image", _is_root, in_cluster=True
    ),
    "container.resources.limits.cpu": Row(
        Level.FATAL,
        "these are more CPUs than the kernel can account for: was memory meant?",
        _is_too_many_cpus,
        in_cluster=True,
    ),
    "container.ports[].hostIP": Row(
        Level.FATAL, "it must be an IP address", lambda text: bool(text and ip_address(text))
    ),
    "container.env[].valueFrom.fileKeyRef": _YES,
    "container.resources.limits.ephemeral-storage": _YES,
    "container.resources.requests.ephemeral-storage": _ONE_NODE,
    "container.resources.limits.*": _NO_DEVICES,
    "container.resources.requests.*": _NO_DEVICES,
    "container.resources.claims": _NO_DEVICES,
    "container.resizePolicy": _YES,
    "container.restartPolicy": _YES,
    "container.restartPolicyRules[].exitCodes": _YES,
    "container.restartPolicyRules[].action": _YES,
    "container.volumeMounts[].mountPropagation": _YES,
    "container.volumeMounts[].recursiveReadOnly": _YES,
    "container.volumeDevices": _NEEDS_CLUSTER,
    "container.livenessProbe": _YES,
    "container.readinessProbe": _YES,
    "container.startupProbe": _YES,
    "container.lifecycle.postStart": _YES,
    "container.lifecycle.preStop": _YES,
    "container.lifecycle.stopSignal": Row(
        Level.LOUD, "it is no signal of Linux: the image's is sent", _is_unknown_signal
    ),
    "container.terminationMessagePath": _YES,
    "container.terminationMessagePolicy": _YES,
}

_CONTAINER_SECURITY = {
    **dict.fromkeys(
        (
            "container.securityContext.runAsUser",
            "container.securityContext.runAsGroup",
            "container.securityContext.runAsNonRoot",
            "container.securityContext.capabilities",
            "container.securityContext.privileged",
            "container.securityContext.readOnlyRootFilesystem",
            "container.securityContext.allowPrivilegeEscalation",
            "container.securityContext.procMount",
        ),
        _YES,
    ),
    "container.securityContext.seLinuxOptions": _YES,
    "container.securityContext.windowsOptions": Row(Level.QUIET, "this machine runs Linux"),
    **{f"container.securityContext.seccompProfile.{name}": row for name, row in _SECCOMP.items()},
    **{
        f"container.securityContext.appArmorProfile.{name}": row for name, row in _APP_ARMOR.items()
    },
}

_VOLUME = {
    "volume.name": _YES,
    "volume.hostPath": _YES,
    "volume.emptyDir.medium": Row(
        Level.REFUSED,
        "no other medium than Memory and HugePages is known",
        lambda medium: medium not in ("", "Memory") and medium.partition("-")[0] != "HugePages",
    ),
    "volume.emptyDir.sizeLimit": _YES,
    "volume.configMap": _YES,
    "volume.secret": _YES,
    "volume.downwardAPI": _YES,
    "volume.persistentVolumeClaim": _YES,
    "volume.ephemeral": _YES,
    "volume.image": _YES,
    "volume.projected.defaultMode": _YES,
    "volume.projected.sources[].configMap": _YES,
    "volume.projected.sources[].secret": _YES,
    "volume.projected.sources[].downwardAPI": _YES,
    "volume.projected.sources[].serviceAccountToken": _NEEDS_CLUSTER,
    "volume.projected.sources[].clusterTrustBundle": _NO_CERTIFICATES,
    "volume.projected.sources[].podCertificate": _NO_CERTIFICATES,
    "volume.iscsi": Row(Level.REFUSED, "disks of a storage network cannot be attached yet"),
    "volume.fc": Row(Level.REFUSED, "disks of a storage network cannot be attached yet"),
    "volume.nfs": Row(Level.REFUSED, "file systems of a network cannot be mounted yet"),
    "volume.csi": _NEEDS_CLUSTER,
    **dict.fromkeys(
        (
            "volume.awsElasticBlockStore",
            "volume.azureDisk",
            "volume.azureFile",
            "volume.cephfs",
            "volume.cinder",
            "volume.flexVolume",
            "volume.flocker",
            "volume.gcePersistentDisk",
            "volume.gitRepo",
            "volume.glusterfs",
            "volume.photonPersistentDisk",
            "volume.portworxVolume",
            "volume.quobyte",
            "volume.rbd",
            "volume.scaleIO",
            "volume.storageos",
            "volume.vsphereVolume",
        ),
        Row(Level.REFUSED, "it is of a storage system that kubelite has no driver for"),
    ),
    "volume.*": Row(Level.REFUSED, _NO_VOLUME),
}

TABLE: dict[str, Row] = {
    **_METADATA,
    **_SPEC,
    **_POD_SECURITY,
    **_CONTAINER,
    **_CONTAINER_SECURITY,
    **_VOLUME,
}
"""Every field of a pod, by its path; ``[]`` stands for each item of a list, ``*`` for each name
that has no row itself.
"""

ROOTS = {
    "spec.containers[]": "container",
    "spec.initContainers[]": "container",
    "spec.volumes[]": "volume",
}
"""Where a path begins anew in the table."""


def check(pod: Object) -> list[Finding]:
    """What of the document of a pod, as it was written, this version does not honour."""
    return [*_walk(pod, "", ()), *_together(pod)]


def without_refused(pod: Object, findings: list[Finding]) -> None:
    """Takes the fields that were refused out of the document. A volume that has lost its source
    becomes an empty directory, a variable that has lost its source is not set, and a projected
    volume has no files from a source that it has lost.
    """
    for finding in findings:
        if finding.level is Level.REFUSED:
            *above, last = finding.path
            holder: Any = pod
            for step in above:
                holder = holder[step]
            holder.pop(last, None)


def row_of(parent: str, key: str) -> Row | None:
    """The row for a field of ``parent``, or that for whatever has none of its own there."""
    row = TABLE.get(
        f"{parent}.{_HUGE}*" if key.startswith(_HUGE) else f"{parent}.{key}" if parent else key
    )
    return TABLE.get(f"{parent}.*") if row is None else row


def _walk(value: Any, pattern: str, path: Path) -> Iterator[Finding]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _one(inner, pattern, key, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _walk(inner, ROOTS.get(f"{pattern}[]", f"{pattern}[]"), (*path, index))


def _one(value: Any, parent: str, key: str, path: Path) -> Iterator[Finding]:
    pattern = f"{parent}.{key}" if parent else key
    if pattern in _PREFIXES:
        yield from _walk(value, pattern, path)
        return
    row = row_of(parent, key)
    if (
        row is not None
        and row.level is not Level.HONOURED
        and (row.when is None or row.when(value))
    ):
        yield _finding(row, path)


def _prefixes() -> frozenset[str]:
    """The paths that have rows below them."""
    prefixes = set()
    for pattern in (*TABLE, *ROOTS):
        words = pattern.split(".")
        prefixes |= {".".join(words[:end]).removesuffix("[]") for end in range(1, len(words))}
    prefixes |= {root.removesuffix("[]") for root in ROOTS}
    return frozenset(prefixes)


_PREFIXES = _prefixes()


def _finding(row: Row, path: Path) -> Finding:
    words = [step for step in path if isinstance(step, str)]
    name = ".".join(words[-2:]) if words[-1] in ("name", "type") else words[-1]
    if row.level >= Level.REFUSED:
        message = f"{name} is not supported: {row.reason}"
        return Finding(row.level, path, message, UNSUPPORTED)
    return Finding(row.level, path, f"{name} has no effect: {row.reason}", NO_EFFECT)


def _together(pod: Object) -> Iterator[Finding]:
    """What the name of a field alone does not show."""
    spec = pod.get("spec") or {}
    for group in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(group) or ()):
            yield from _container(container, ("spec", group, index))


def _container(container: Object, path: Path) -> Iterator[Finding]:
    if container.get("image") == _HOST_IMAGE and container.get("imagePullPolicy") == "Always":
        row = Row(Level.QUIET, "the image host is this machine's own files, nothing is pulled")
        yield _finding(row, (*path, "imagePullPolicy"))
    for side in ("limits", "requests"):
        text = ((container.get("resources") or {}).get(side) or {}).get("memory", "0")
        if quantity.parse(text).nano % quantity.NANO:
            message = (
                f"memory: {text} is no whole number of bytes: m stands for thousandths, "
                "M and Mi for megabytes"
            )
            here = (*path, "resources", side, "memory")
            yield Finding(Level.LOUD, here, message, INVALID)
