"""Which events can make a pod schedulable that certain filters rejected: Kubernetes' queueing
hints. Pure.

Each hint answers for one plug-in: given what it rejected the pod for, can this event have changed
its mind? A hint may say yes in vain, which costs an attempt; it never says no when the answer is
yes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from kubelite.control.scheduler.facts import traits
from kubelite.control.scheduler.facts.fields import Field, named
from kubelite.control.scheduler.facts.taints import UNSCHEDULABLE, is_repelled, is_tolerated
from kubelite.control.scheduler.facts.traits import Traits
from kubelite.control.scheduler.plugins.filters import wanted_nodes
from kubelite.control.scheduler.snapshot import nodes
from kubelite.control.scheduler.snapshot.world import World

Object = Mapping[str, Any]


class Event(NamedTuple):
    """A change in the cluster: ``old`` is None for an object that is new, ``new`` for one that is
    gone.
    """

    kind: str
    old: Object | None
    new: Object | None


Hint = Callable[[Event, Traits, World], bool]


class Hints:
    """The hints of a cluster; ``read`` gives the traits of a pod."""

    def __init__(self, read: Callable[[Object], Traits], world: World) -> None:
        self._read = read
        self._world = world

    def __call__(self, event: Event, pod: Object, plugins: Iterable[str]) -> bool:
        """Whether an event can help a pod that these plug-ins rejected."""
        if event.kind == "Pod" and _same(event, pod):
            return True
        names = [name for name in plugins if may_help(event, name)]
        if any(name not in _HINTS for name in names):
            return True
        read = self._read(pod) if names else None
        return read is not None and any(_HINTS[name](event, read, self._world) for name in names)


def may_help(event: Event, plugin: str) -> bool:
    """Whether events of this kind ever help a plug-in. Plug-ins that are not known here, own ones,
    hope for everything.
    """
    if plugin not in _HINTS or event.kind not in ("Pod", "Node"):
        return True
    if event.kind == "Node":
        return event.new is not None or plugin == "PodTopologySpread"
    return event.new is None or plugin in ("InterPodAffinity", "PodTopologySpread")


def _same(event: Event, pod: Object) -> bool:
    """An update of the pod itself: labels, tolerations, gates and sizes may have changed."""
    return event.new is not None and _identity(event.new) == _identity(pod)


def _identity(obj: Object) -> tuple[Any, Any]:
    meta = obj.get("metadata") or {}
    return meta.get("namespace"), meta.get("name")


def _node(event: Event) -> nodes.Node | None:
    """The node that is new or has changed."""
    return (
        nodes.read(named(event.new, "Node"))
        if event.kind == "Node" and event.new is not None
        else None
    )


def _old_node(event: Event) -> nodes.Node | None:
    return nodes.read(named(event.old, "Node")) if event.old is not None else None


def _labels_changed(event: Event) -> bool:
    node, old = _node(event), _old_node(event)
    return node is not None and (old is None or old.labels != node.labels)


def _pod_left(event: Event) -> bool:
    return (
        event.kind == "Pod" and event.new is None and bool(_spec(event.old).at("nodeName").text())
    )


def _spec(obj: Object | None) -> Field:
    return Field(obj, "Pod").at("spec")


def _unschedulable(event: Event, pod: Traits, world: World) -> bool:
    node = _node(event)
    return node is not None and (
        not node.unschedulable or is_tolerated(UNSCHEDULABLE, pod.tolerations)
    )


def _node_name(event: Event, pod: Traits, world: World) -> bool:
    node = _node(event)
    return node is not None and event.old is None


def _taints(event: Event, pod: Traits, world: World) -> bool:
    node, old = _node(event), _old_node(event)
    changed = node is not None and (old is None or old.taints != node.taints)
    return changed and node is not None and not is_repelled(node.taints, pod.tolerations)


def _node_affinity(event: Event, pod: Traits, world: World) -> bool:
    node = _node(event)
    return (
        node is not None and _labels_changed(event) and bool(wanted_nodes(pod, nodes.Nodes([node])))
    )


def _resources(event: Event, pod: Traits, world: World) -> bool:
    """A pod that left, a new node, or one that gives more of something the pod asks for."""
    node, old = _node(event), _old_node(event)
    if node is None:
        return _pod_left(event)
    requested = ("pods", *(name for name, _ in pod.requests.amounts))
    return old is None or any(
        node.allocatable.get(name, 0) > old.allocatable.get(name, 0) for name in requested
    )


def _ports(event: Event, pod: Traits, world: World) -> bool:
    if _node_name(event, pod, world):
        return True
    if not _pod_left(event):
        return False
    held = traits.read(named(event.old, "Pod")).ports
    return any((a.protocol, a.port) == (b.protocol, b.port) for a in held for b in pod.ports)


def _spread(event: Event, pod: Traits, world: World) -> bool:
    keys = [constraint.key for constraint in pod.spread]
    node, old = _node(event), _old_node(event) if event.kind == "Node" else None
    if event.kind == "Node":
        have = [labels and all(key in labels for key in keys) for labels in (_of(node), _of(old))]
        return any(have) and (node is None or old is None or node.labels != old.labels)
    return any(
        constraint.selector.matches(other.labels_map) and other.namespace == pod.namespace
        for constraint in pod.spread
        for other in _pods(event)
    )


def _of(node: nodes.Node | None) -> dict[str, str]:
    return node.labels if node else {}


class _Other(NamedTuple):
    namespace: str
    labels_map: dict[str, str]
    traits: Traits


def _pods(event: Event) -> list[_Other]:
    """The pods of a pod event, before and after."""
    read = [
        traits.read(named(obj, "Pod"))
        for obj in (event.old, event.new)
        if obj and event.kind == "Pod"
    ]
    return [
        _Other(traits_of_pod.namespace, dict(traits_of_pod.labels), traits_of_pod)
        for traits_of_pod in read
    ]


def _pod_affinity(event: Event, pod: Traits, world: World) -> bool:
    terms = (*pod.affinity, *pod.anti_affinity)
    if event.kind == "Node":
        node = _node(event)
        return (
            node is not None
            and _labels_changed(event)
            and all(term.key in node.labels for term in pod.affinity)
        )
    labels = dict(pod.labels)
    for other in _pods(event):
        if any(world.admits(term, other.namespace, other.labels_map) for term in terms):
            return True
        if any(world.admits(term, pod.namespace, labels) for term in other.traits.anti_affinity):
            return True
    return False


def _volumes(event: Event, pod: Traits, world: World) -> bool:
    """The pod's own claims; any other storage object; nodes whose labels say where they are."""
    if event.kind == "PersistentVolumeClaim":
        name = (event.new or event.old or {}).get("metadata", {}).get("name")
        return name in (*pod.claims, *pod.ephemeral_claims)
    storage = ("PersistentVolume", "StorageClass", "CSINode", "CSIDriver", "CSIStorageCapacity")
    return event.kind in storage or _labels_changed(event)


def _restrictions(event: Event, pod: Traits, world: World) -> bool:
    if event.kind == "PersistentVolumeClaim":
        return _volumes(event, pod, world)
    gone = traits.read(named(event.old, "Pod")) if _pod_left(event) else None
    shared = gone is not None and bool(
        set(gone.claims) & set(pod.claims) or (gone.disks and pod.disks)
    )
    return shared or _node_name(event, pod, world)


def _limits(event: Event, pod: Traits, world: World) -> bool:
    gone = traits.read(named(event.old, "Pod")) if _pod_left(event) else None
    return (
        bool(gone and (gone.claims or gone.ephemeral_claims))
        or event.kind == "CSINode"
        or _node_name(event, pod, world)
    )


_HINTS: dict[str, Hint] = {
    "NodeUnschedulable": _unschedulable,
    "NodeName": _node_name,
    "TaintToleration": _taints,
    "NodeAffinity": _node_affinity,
    "NodePorts": _ports,
    "NodeResourcesFit": _resources,
    "VolumeRestrictions": _restrictions,
    "NodeVolumeLimits": _limits,
    "VolumeBinding": _volumes,
    "VolumeZone": _volumes,
    "PodTopologySpread": _spread,
    "InterPodAffinity": _pod_affinity,
    "DefaultPreemption": lambda event, pod, world: False,
}
