"""Node pressure: which thresholds are met, which conditions follow, which pod goes first. Pure.

Signals, defaults, order and words are the kubelet's (documentation, "Node-pressure Eviction").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from kubelite.node.kubelet.decide.node_config import NodeConfig, seconds
from kubelite.objects.facts import quantity
from kubelite.objects.facts.priorities import SYSTEM_CRITICAL
from kubelite.objects.facts.quantity import NANO, Quantity
from kubelite.objects.pod import qos
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods.qos_class import BEST_EFFORT

MEMORY, DISK, PIDS = "MemoryPressure", "DiskPressure", "PIDPressure"
HARD_GRACE = 1
"""Seconds that a pod has to end which a hard threshold evicts."""
"""Pods of this priority and above are never evicted (``system-cluster-critical``)."""
MEMORY_TAINT = "node.kubernetes.io/memory-pressure"
_DISK_RESOURCE = "ephemeral-storage"


class Kind(NamedTuple):
    """What a signal is about: the node's condition, and the resource that pods used too much of."""

    condition: str
    resource: str


SIGNALS = {
    "memory.available": Kind(MEMORY, "memory"),
    "nodefs.available": Kind(DISK, _DISK_RESOURCE),
    "nodefs.inodesFree": Kind(DISK, "inodes"),
    "imagefs.available": Kind(DISK, _DISK_RESOURCE),
    "imagefs.inodesFree": Kind(DISK, "inodes"),
    "pid.available": Kind(PIDS, "pids"),
}
"""In the order in which they are relieved."""


class Amount(NamedTuple):
    """What is left of a capacity: bytes, inodes or tasks."""

    available: int
    capacity: int


class Threshold(NamedTuple):
    """How much of a signal has to be left (``value``, a quantity or a share), and for how many
    seconds it has to be met before a pod goes. ``reclaim`` is how much more than that ends it.
    """

    signal: str
    value: str
    is_soft: bool = False
    wait: float = 0.0
    reclaim: str = "0"


class Met(NamedTuple):
    """A threshold that the node has fallen below, as an amount."""

    of: Threshold
    threshold: int
    available: int

    @property
    def kind(self) -> Kind:
        """What it is about."""
        return SIGNALS[self.of.signal]


class Used(NamedTuple):
    """What one container uses of the resource that is short."""

    container: str
    used: int


class Candidate(NamedTuple):
    """A pod that may be evicted, and what it uses of the resource that is short: as a whole, and
    its containers where that is known.
    """

    uid: str
    pod: Pod
    used: int
    containers: Sequence[Used] = ()


def threshold(text: str, capacity: int) -> int:
    """A threshold as an amount: a quantity, or a share in percent. Raises ValueError."""
    if text.endswith("%"):
        return int(capacity * float(text[:-1]) / 100)
    return quantity.value(text)


def thresholds(config: NodeConfig) -> list[Threshold]:
    """The thresholds of a node, in the order in which they are relieved; unknown signals have
    none.
    """
    result = []
    for signal in SIGNALS:
        reclaim = config.eviction_minimum_reclaim.get(signal, "0")
        if signal in config.eviction_hard:
            result.append(Threshold(signal, config.eviction_hard[signal], reclaim=reclaim))
        if signal in config.eviction_soft:
            wait = seconds(config.eviction_soft_grace_period[signal])
            value = config.eviction_soft[signal]
            result.append(Threshold(signal, value, is_soft=True, wait=wait, reclaim=reclaim))
    return result


def met(
    thresholds: Iterable[Threshold],
    amounts: Mapping[str, Amount],
    since: Collection[Threshold] = (),
) -> list[Met]:
    """The thresholds that are met, the most urgent first. Those that were met ``since`` before are
    until so much is left that they will not be met again soon. File systems that count no inodes
    have none.
    """
    result = []
    for of in thresholds:
        amount = amounts.get(of.signal)
        if amount is not None and amount.capacity:
            minimum = threshold(of.value, amount.capacity)
            reclaim = threshold(of.reclaim, amount.capacity) if of in since else 0
            if amount.available < minimum + reclaim:
                result.append(Met(of, minimum, amount.available))
    return result


def met_since(
    before: Mapping[Threshold, float], now_met: Iterable[Met], now: float
) -> dict[Threshold, float]:
    """Since when each threshold has been met without a pause; ``now`` is in seconds."""
    return {reason.of: before.get(reason.of, now) for reason in now_met}


def due(now_met: Iterable[Met], since: Mapping[Threshold, float], now: float) -> list[Met]:
    """The thresholds that have been met for so long that a pod goes."""
    return [reason for reason in now_met if now - since[reason.of] >= reason.of.wait]


def grace(reason: Met, pod: Pod, config: NodeConfig) -> int:
    """How many seconds an evicted pod has to end: the least of its own and the node's where the
    threshold is soft.
    """
    if not reason.of.is_soft:
        return HARD_GRACE
    own = pod.spec.termination_grace_period_seconds
    longest = config.eviction_max_pod_grace_period
    return max(min(longest, own) if own is not None else longest, HARD_GRACE)


def last_met(before: Mapping[str, float], now_met: Iterable[Met], now: float) -> dict[str, float]:
    """When each condition's thresholds were last met; ``now`` is in seconds."""
    return {**before, **{reason.kind.condition: now for reason in now_met}}


def conditions(last: Mapping[str, float], now: float, transition: float) -> frozenset[str]:
    """The conditions that hold: those that were met in the last ``transition`` seconds."""
    return frozenset(kind for kind, moment in last.items() if now - moment <= transition)


def is_critical(pod: Pod) -> bool:
    """Whether nothing but its owner may end the pod."""
    return (pod.spec.priority or 0) >= SYSTEM_CRITICAL


def ranked(candidates: Iterable[Candidate], resource: str) -> list[Candidate]:
    """The candidates, who goes first at the front: those that use more than they requested, then by
    priority, then by how much they use beyond their requests.
    """

    def key(candidate: Candidate) -> tuple[bool, int, int]:
        requested = requests(candidate.pod).get(resource, 0)
        within = resource in ("memory", _DISK_RESOURCE) and candidate.used <= requested
        return within, candidate.pod.spec.priority or 0, requested - candidate.used

    return sorted(filter(lambda candidate: not is_critical(candidate.pod), candidates), key=key)


def requests(pod: Pod) -> qos.Amounts:
    """What the pod as a whole has requested."""
    return qos.pod_requests(pod)


def message(reason: Met, candidate: Candidate) -> str:
    """The message of an eviction."""
    resource = reason.kind.resource
    text = (
        f"The node was low on resource: {resource}. Threshold quantity: "
        f"{_shown(reason.threshold, resource)}, available: {_shown(reason.available, resource)}. "
    )
    requested = {
        container.name: qos.requests(container) for container in candidate.pod.spec.containers
    }
    for container, used in candidate.containers:
        request = requested.get(container, {}).get(resource, 0)
        if used > request:
            text += (
                f"Container {container} was using {_shown(used, resource)}, request is "
                f"{_shown(request, resource)}, has larger consumption of {resource}. "
            )
    return text


def refusal(pod: Pod, pressures: frozenset[str]) -> str:
    """Why a new pod may not start on a node under pressure, "" where it may: memory keeps out those
    without any request, unless they tolerate it; everything else keeps out all.
    """
    if not pressures or is_critical(pod):
        return ""
    tolerated = any(
        toleration.key in (None, "", MEMORY_TAINT) and toleration.effect in (None, "", "NoSchedule")
        for toleration in pod.spec.tolerations
    )
    if pressures == {MEMORY} and (qos.qos_class(pod) != BEST_EFFORT or tolerated):
        return ""
    return f"The node had condition: [{', '.join(sorted(pressures))}]. "


def _shown(amount: int, resource: str) -> str:
    in_bytes = resource in ("memory", _DISK_RESOURCE)
    if in_bytes and amount % 1024 == 0:
        return str(Quantity(amount * NANO, "binary"))
    return str(amount)
