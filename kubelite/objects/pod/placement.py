"""Where a pod may run: affinity, tolerations, spread (core/v1). Pure."""

from kubelite.objects.pod.base import Int32, Int64, Object
from kubelite.objects.pod.meta import LabelSelector

__all__ = [
    "Affinity",
    "NodeAffinity",
    "NodeSelector",
    "NodeSelectorRequirement",
    "NodeSelectorTerm",
    "PodAffinity",
    "PodAffinityTerm",
    "PodAntiAffinity",
    "PodSchedulingGate",
    "PodSchedulingGroup",
    "PreferredSchedulingTerm",
    "Toleration",
    "TopologySpreadConstraint",
    "WeightedPodAffinityTerm",
]


class NodeSelectorRequirement(Object, kw_only=True, frozen=True):
    """A condition on a label or field of a node."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class NodeSelectorTerm(Object, kw_only=True, frozen=True):
    """Conditions that hold together; one without any matches no node."""

    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


class NodeSelector(Object, kw_only=True, frozen=True):
    """Terms of which one has to match."""

    node_selector_terms: tuple[NodeSelectorTerm, ...]


class PreferredSchedulingTerm(Object, kw_only=True, frozen=True):
    """A term that makes a node better by ``weight``, 1 to 100."""

    weight: Int32
    preference: NodeSelectorTerm


class NodeAffinity(Object, kw_only=True, frozen=True):
    """Which nodes the pod needs or likes."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredSchedulingTerm, ...] = ()


class PodAffinityTerm(Object, kw_only=True, frozen=True):
    """Other pods, and the extent (a label of nodes) within which they count."""

    topology_key: str
    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


class WeightedPodAffinityTerm(Object, kw_only=True, frozen=True):
    """A term that makes a node better or worse by ``weight``, 1 to 100."""

    weight: Int32
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Object, kw_only=True, frozen=True):
    """Which pods it wants to be near."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()


class PodAntiAffinity(Object, kw_only=True, frozen=True):
    """Which pods it wants to be away from."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()


class Affinity(Object, kw_only=True, frozen=True):
    """All wishes about nodes and neighbours."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None


class Toleration(Object, kw_only=True, frozen=True):
    """A taint that the pod does not mind; no key and operator Exists means all of them."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: Int64 | None = None


class TopologySpreadConstraint(Object, kw_only=True, frozen=True):
    """How evenly pods lie across domains of nodes."""

    max_skew: Int32
    topology_key: str
    when_unsatisfiable: str
    label_selector: LabelSelector | None = None
    min_domains: Int32 | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    match_label_keys: tuple[str, ...] = ()


class PodSchedulingGate(Object, kw_only=True, frozen=True):
    """A reason not to schedule the pod yet."""

    name: str


class PodSchedulingGroup(Object, kw_only=True, frozen=True):
    """The pods that are placed together with this one."""

    pod_group_name: str | None = None
