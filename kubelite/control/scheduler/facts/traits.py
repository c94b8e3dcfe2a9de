"""What plug-ins read of a pod: two pods with equal traits are decided alike. Pure.

Labels are reduced to the keys that some selector in the cluster asks for, volumes to those that a
filter looks at, containers to their sums: pods of one template become one class, whatever else is
different about them.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.control.scheduler.facts.fields import Field
from kubelite.control.scheduler.facts.resources import Requests, requests
from kubelite.control.scheduler.facts.selectors import NodeTerm, narrowed, node_affinity, selector
from kubelite.objects.facts.labels import Requirement, Selector, of_map

FINISHED = ("Succeeded", "Failed")  # phases in which a pod holds nothing any more


class Toleration(NamedTuple):
    """core/v1 Toleration; an empty operator is Equal, an empty key or effect stands for all."""

    key: str
    operator: str
    value: str
    effect: str


class Port(NamedTuple):
    """A port of the node that a container asks for."""

    protocol: str
    port: int
    address: str


class PodTerm(NamedTuple):
    """A pod affinity term. ``namespaces`` are namespaces by name, ``namespace_selector`` by label
    (None: none).
    """

    namespaces: frozenset[str]
    namespace_selector: Selector | None
    selector: Selector
    key: str


class Constraint(NamedTuple):
    """A topology spread constraint."""

    max_skew: int
    key: str
    hard: bool
    selector: Selector
    min_domains: int
    honor_affinity: bool
    honor_taints: bool


class Disk(NamedTuple):
    """A volume that several pods of a node may share only under conditions: all read-only, or not
    at all.
    """

    kind: str
    names: tuple[str, ...]
    monitors: frozenset[str]
    read_only: bool


class Traits(NamedTuple):
    """Everything that the decision about a pod, and its effect on other pods, depends on."""

    scheduler: str
    namespace: str
    labels: tuple[tuple[str, str], ...]
    labelled: bool
    terminating: bool
    priority: int
    requests: Requests
    ports: tuple[Port, ...]
    node_name: str  # only of a pod that is decided about although it names its node
    tolerations: tuple[Toleration, ...]
    node_selector: tuple[Requirement, ...]
    required_nodes: tuple[NodeTerm, ...] | None
    preferred_nodes: tuple[tuple[int, NodeTerm], ...]
    affinity: tuple[PodTerm, ...]
    anti_affinity: tuple[PodTerm, ...]
    preferred_affinity: tuple[tuple[int, PodTerm], ...]  # anti-affinity with negative weights
    spread: tuple[Constraint, ...]
    owner: tuple[str, str]
    images: tuple[str, ...]
    claims: tuple[str, ...]
    ephemeral_claims: tuple[str, ...]  # those of ephemeral volumes, made for this pod
    disks: tuple[Disk, ...]
    disrupted: tuple[str, ...]  # budgets that have counted this pod's disruption already
    identity: tuple[str, str] = ("", "")  # name and uid, of a pod with claims made for it alone


def read(pod: Field) -> Traits:
    """The traits of a pod, with all its labels, without the name of its node. Raises BadObject."""
    spec, meta = pod.at("spec"), pod.at("metadata")
    labels, namespace = meta.at("labels").labels(), meta.at("namespace").text() or "default"
    required, preferred = node_affinity(spec.at("affinity", "nodeAffinity"))
    claims, fresh = _claims(pod)
    return Traits(
        scheduler=spec.at("schedulerName").text() or "default-scheduler",
        namespace=namespace,
        labels=tuple(sorted(labels.items())),
        labelled=bool(labels),
        terminating=meta.at("deletionTimestamp").value is not None,
        priority=spec.at("priority").whole(),
        requests=requests(pod),
        ports=_ports(spec),
        node_name="",
        tolerations=tuple(_toleration(item) for item in spec.at("tolerations").items()),
        node_selector=of_map(spec.at("nodeSelector").labels()).requirements,
        required_nodes=required,
        preferred_nodes=preferred,
        affinity=_required(spec.at("affinity", "podAffinity"), namespace, labels),
        anti_affinity=_required(spec.at("affinity", "podAntiAffinity"), namespace, labels),
        preferred_affinity=(
            *_preferred(spec.at("affinity", "podAffinity"), namespace, labels, 1),
            *_preferred(spec.at("affinity", "podAntiAffinity"), namespace, labels, -1),
        ),
        spread=tuple(
            _constraint(item, labels) for item in spec.at("topologySpreadConstraints").items()
        ),
        owner=_owner(meta),
        images=tuple(_image(item.at("image").text()) for item in (*_containers(spec),)),
        claims=claims,
        ephemeral_claims=fresh,
        disks=_disks(spec),
        disrupted=(),
        identity=(meta.at("name").text(), meta.at("uid").text()) if fresh else ("", ""),
    )


def pinned_node(traits: Traits) -> str:
    """The node that the pod's affinity names as the only one, as a DaemonSet's does; "" when it is
    not that simple.
    """
    terms = traits.required_nodes or ()
    if len(terms) != 1 or traits.spread or terms[0].labels or len(terms[0].fields) != 1:
        return ""
    requirement = terms[0].fields[0]
    return next(iter(requirement.values)) if requirement.operator == "In" and terms[0].valid else ""


def traits_while_running(traits: Traits) -> Traits:
    """The traits without what matters only while a pod looks for a node: all that its presence
    means to others.
    """
    return traits._replace(
        tolerations=(),
        node_selector=(),
        required_nodes=None,
        preferred_nodes=(),
        spread=(),
        images=(),
    )


def selectors(traits: Traits) -> list[Selector]:
    """Every selector over pods that these traits hold."""
    terms = (
        *traits.affinity,
        *traits.anti_affinity,
        *(term for _, term in traits.preferred_affinity),
    )
    return [
        *(term.selector for term in terms),
        *(constraint.selector for constraint in traits.spread),
    ]


def _containers(spec: Field) -> list[Field]:
    return [*spec.at("initContainers").items(), *spec.at("containers").items()]


def _image(name: str) -> str:
    """With the tag that nodes report images under."""
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"


def _ports(spec: Field) -> tuple[Port, ...]:
    """Of containers and sidecars; a plain init container has left before anything else asks for a
    port.
    """
    sidecars = [
        item
        for item in spec.at("initContainers").items()
        if item.at("restartPolicy").text() == "Always"
    ]
    ports = []
    for container in (*sidecars, *spec.at("containers").items()):
        for item in container.at("ports").items():
            if port := item.at("hostPort").whole():
                address = item.at("hostIP").text()
                ports.append(Port(item.at("protocol").text() or "TCP", port, address or "0.0.0.0"))
    return tuple(sorted(set(ports)))


def _toleration(field: Field) -> Toleration:
    return Toleration(*(field.at(name).text() for name in ("key", "operator", "value", "effect")))


def _required(field: Field, namespace: str, labels: dict[str, str]) -> tuple[PodTerm, ...]:
    terms = field.at("requiredDuringSchedulingIgnoredDuringExecution").items()
    return tuple(_term(term, namespace, labels) for term in terms)


def _preferred(
    field: Field, namespace: str, labels: dict[str, str], sign: int
) -> tuple[tuple[int, PodTerm], ...]:
    terms = field.at("preferredDuringSchedulingIgnoredDuringExecution").items()
    return tuple(
        (sign * term.at("weight").whole(), _term(term.at("podAffinityTerm"), namespace, labels))
        for term in terms
    )


def _term(field: Field, namespace: str, labels: dict[str, str]) -> PodTerm:
    namespaces, by_label = frozenset(field.at("namespaces").texts()), field.at("namespaceSelector")
    chosen = narrowed(
        selector(field.at("labelSelector")), field.at("matchLabelKeys").texts(), labels
    )
    chosen = narrowed(chosen, field.at("mismatchLabelKeys").texts(), labels, "NotIn")
    if not namespaces and by_label.value is None:
        namespaces = frozenset((namespace,))
    namespace_selector = None if by_label.value is None else selector(by_label)
    return PodTerm(namespaces, namespace_selector, chosen, field.at("topologyKey").text())


def _constraint(field: Field, labels: dict[str, str]) -> Constraint:
    unsatisfiable = field.at("whenUnsatisfiable").text() or "DoNotSchedule"
    if unsatisfiable not in ("DoNotSchedule", "ScheduleAnyway"):
        raise field.error(
            f"whenUnsatisfiable {unsatisfiable} is neither DoNotSchedule nor ScheduleAnyway"
        )
    return Constraint(
        max_skew=field.at("maxSkew").whole(1),
        key=field.at("topologyKey").text(),
        hard=unsatisfiable == "DoNotSchedule",
        selector=narrowed(
            selector(field.at("labelSelector")), field.at("matchLabelKeys").texts(), labels
        ),
        min_domains=field.at("minDomains").whole(1),
        honor_affinity=field.at("nodeAffinityPolicy").text() != "Ignore",
        honor_taints=field.at("nodeTaintsPolicy").text() == "Honor",
    )


def _owner(meta: Field) -> tuple[str, str]:
    """Kind and name of the controller."""
    for owner in meta.at("ownerReferences").items():
        if owner.at("controller").flag():
            return owner.at("kind").text(), owner.at("name").text()
    return "", ""


def _claims(pod: Field) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The claims that volumes name; a generic ephemeral volume's claim is called POD-VOLUME."""
    claims, fresh = [], []
    for volume in pod.at("spec", "volumes").items():
        if volume.at("persistentVolumeClaim").value is not None:
            claims.append(volume.at("persistentVolumeClaim", "claimName").text())
        elif volume.at("ephemeral").value is not None:
            fresh.append(f"{pod.at('metadata', 'name').text()}-{volume.at('name').text()}")
    return tuple(claims), tuple(fresh)


def _disks(spec: Field) -> tuple[Disk, ...]:
    disks = []
    for volume in spec.at("volumes").items():
        for kind, fields in _DISKS.items():
            field = volume.at(kind)
            if field.value is not None:
                names = tuple(field.at(name).text() for name in fields)
                monitors = frozenset(field.at("monitors").texts() if kind == "rbd" else ())
                read_only = field.at("readOnly").flag() and kind != "awsElasticBlockStore"
                disks.append(Disk(kind, names, monitors, read_only))
    return tuple(disks)


_DISKS = {
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "iscsi": ("iqn",),
    "rbd": ("pool", "image"),
}
