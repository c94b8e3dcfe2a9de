"""From NetworkPolicies, pods and namespaces to what each pod of a node lets through. Pure.

Semantics are those of networking.k8s.io/v1: policies only add; a pod that no policy selects for a
direction is open in that direction; what the node itself sends to its pods always passes, as do
answers and a pod's talk with itself. Pods on the host's network are not subject to policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kubelite.lib.json import Object
from kubelite.node.network.families import IPV4, Family
from kubelite.objects.facts import labels
from kubelite.objects.facts.labels import Selector


class PodFacts(NamedTuple):
    """What policies ask of a pod that has an address of its own."""

    namespace: str
    name: str
    address: str
    labels: Mapping[str, str]
    ports: tuple[tuple[str, str, int], ...]
    """Named container ports: name, protocol in lower case, number."""


class Ports(NamedTuple):
    """One entry of ``ports``: a range, or a name that each receiving pod resolves itself."""

    protocol: str
    first: int = 0
    last: int = 65535
    name: str = ""


class Peers(NamedTuple):
    """Who a rule is about: everybody, pods, and blocks of addresses without their exceptions."""

    everybody: bool
    addresses: frozenset[str] = frozenset()
    blocks: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Rule(NamedTuple):
    """Traffic that a policy lets through: from or to these peers, on these ports (empty: all)."""

    peers: Peers
    ports: tuple[Ports, ...]


class Policy(NamedTuple):
    """One direction of one NetworkPolicy, resolved to addresses."""

    key: str
    rules: tuple[Rule, ...]


class Isolation(NamedTuple):
    """What isolates the pods of a node in one direction: policies by pod address, in order."""

    policies: Mapping[str, Policy]
    by_address: Mapping[str, tuple[str, ...]]


INGRESS, EGRESS = "Ingress", "Egress"


def pod_facts(pods: Iterable[Object], family: Family = IPV4) -> list[PodFacts]:
    """The pods that policies can be about: with an address of this family, alive, not on the host's
    network.
    """
    result = []
    for pod in pods:
        status, spec = pod.get("status") or {}, pod["spec"]
        address = next(iter(family.of(pod_addresses(status))), "")
        if not address or spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
            continue
        meta = pod["metadata"]
        result.append(
            PodFacts(
                meta["namespace"], meta["name"], address, meta.get("labels") or {}, _ports(spec)
            )
        )
    return result


def isolation(
    direction: str,
    policies: Iterable[Object],
    pods: Sequence[PodFacts],
    namespaces: Mapping[str, Mapping[str, str]],
    local: Iterable[str],
    family: Family = IPV4,
) -> Isolation:
    """How pods with a ``local`` address are isolated in one direction.

    ``namespaces`` are labels by name.
    """
    resolved: dict[str, Policy] = {}
    selected: dict[str, list[str]] = {}
    here = set(local)
    for policy in sorted(policies, key=_key):
        if direction not in policy_types(policy["spec"]):
            continue
        subjects = _subjects(policy, pods, here)
        if not subjects:
            continue
        key = _key(policy)
        resolved[key] = Policy(key, tuple(_rules(direction, policy, pods, namespaces, family)))
        for pod in subjects:
            selected.setdefault(pod.address, []).append(key)
    return Isolation(resolved, {address: tuple(keys) for address, keys in selected.items()})


def policy_types(spec: Object) -> Sequence[str]:
    """The directions a policy is about; where none is given, Ingress, and Egress if it has
    rules.
    """
    given: Sequence[str] = spec.get("policyTypes") or ()
    return given or (INGRESS, EGRESS)[: 2 if spec.get("egress") else 1]


def _subjects(policy: Object, pods: Sequence[PodFacts], local: set[str]) -> list[PodFacts]:
    namespace = policy["metadata"]["namespace"]
    selector = labels.of_document(policy["spec"].get("podSelector") or {})
    return [
        pod
        for pod in pods
        if pod.namespace == namespace and pod.address in local and selector.matches(pod.labels)
    ]


def _rules(
    direction: str,
    policy: Object,
    pods: Sequence[PodFacts],
    namespaces: Mapping[str, Mapping[str, str]],
    family: Family,
) -> Iterable[Rule]:
    spec, own = policy["spec"], policy["metadata"]["namespace"]
    rules, peers = ("ingress", "from") if direction == INGRESS else ("egress", "to")
    for rule in spec.get(rules) or ():
        ports = tuple(map(_policy_port, rule.get("ports") or ()))
        yield Rule(_peers(rule.get(peers) or (), own, pods, namespaces, family), ports)


def _peers(
    entries: Sequence[Object],
    own_namespace: str,
    pods: Sequence[PodFacts],
    namespaces: Mapping[str, Mapping[str, str]],
    family: Family,
) -> Peers:
    if not entries:
        return Peers(everybody=True)
    addresses: set[str] = set()
    blocks = []
    for entry in entries:
        if block := entry.get("ipBlock"):
            if family.has(block["cidr"]):
                blocks.append((block["cidr"], tuple(block.get("except") or ())))
            continue
        spaces = _namespaces(entry.get("namespaceSelector"), own_namespace, namespaces)
        selector = _pod_selector(entry)
        addresses |= {
            pod.address for pod in pods if pod.namespace in spaces and selector.matches(pod.labels)
        }
    return Peers(False, frozenset(addresses), tuple(blocks))


def _namespaces(
    selector: Object | None, own: str, namespaces: Mapping[str, Mapping[str, str]]
) -> set[str]:
    if selector is None:
        return {own}
    wanted = labels.of_document(selector)
    return {name for name, carried in namespaces.items() if wanted.matches(carried)}


def _pod_selector(peer: Object) -> Selector:
    """A peer with a namespaceSelector alone means every pod of those namespaces."""
    return labels.of_document(peer.get("podSelector") or {})


def _policy_port(entry: Object) -> Ports:
    protocol = entry.get("protocol", "TCP").lower()
    port = entry.get("port")
    if port is None:
        return Ports(protocol)
    if isinstance(port, str):
        return Ports(protocol, name=port)
    return Ports(protocol, port, entry.get("endPort") or port)


def pod_addresses(status: Object) -> list[str]:
    """The addresses in a pod's status, one of each family at most."""
    return [entry["ip"] for entry in status.get("podIPs") or ()] or [status.get("podIP", "")]


def _ports(spec: Object) -> tuple[tuple[str, str, int], ...]:
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return tuple(
        (port["name"], port.get("protocol", "TCP").lower(), port["containerPort"])
        for container in (*spec["containers"], *sidecars)
        for port in container.get("ports") or ()
        if port.get("name")
    )


def _key(policy: Object) -> str:
    meta = policy["metadata"]
    return f"{meta['namespace']}/{meta['name']}"
