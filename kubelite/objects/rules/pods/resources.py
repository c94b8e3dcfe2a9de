"""Rules about requests, limits and claims of devices. Documents in, causes out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.facts import names, quantity
from kubelite.objects.rules.cause import (
    NOT_NEGATIVE,
    Cause,
    Key,
    Path,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from kubelite.objects.rules.pods.qos_class import class_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence, Set

STANDARD = ("cpu", "memory", "ephemeral-storage")
"""Resources of a container that every node has."""
_HUGE = "hugepages-"
_QUOTA_ONLY = frozenset(
    "pods services replicationcontrollers resourcequotas secrets configmaps "
    "persistentvolumeclaims services.nodeports services.loadbalancers storage requests.cpu "
    "requests.memory requests.storage requests.ephemeral-storage limits.cpu limits.memory "
    "limits.ephemeral-storage".split()
)
_COUNTED = frozenset(
    "pods services replicationcontrollers resourcequotas secrets configmaps "
    "persistentvolumeclaims services.nodeports services.loadbalancers".split()
)


def is_native(resource: str) -> bool:
    """Whether Kubernetes itself knows the resource, by its short name or in its own domain."""
    return "/" not in resource or "kubernetes.io/" in resource


def is_extended(resource: str) -> bool:
    """Whether the resource is one that a device plugin or an administrator offers."""
    if is_native(resource) or resource.startswith("requests."):
        return False
    return not names.qualified(f"requests.{resource}")


def may_overcommit(resource: str) -> bool:
    """Whether a limit may be above the request."""
    return is_native(resource) and not resource.startswith(_HUGE)


def has_pod_level(resource: str) -> bool:
    """Whether a pod as a whole may have requests and limits of the resource."""
    return resource in ("cpu", "memory") or resource.startswith(_HUGE)


def container_resources(
    resources: Object, path: Path, claims: Set[str] = frozenset()
) -> Iterator[Cause]:
    """``resources`` of a container; ``claims`` are the names of the pod's resource claims."""
    yield from _requirements(resources, path, _container_resource, claims)


def pod_resources(resources: Object, path: Path) -> Iterator[Cause]:
    """``spec.resources`` by itself, without the containers'."""
    yield from _requirements(resources, path, _pod_resource, frozenset())


def overhead(amounts: Mapping[str, str], path: Path) -> Iterator[Cause]:
    """``spec.overhead``: kept to the rules of limits, below ``limits``."""
    yield from _requirements({"limits": amounts}, path, _container_resource, frozenset())


def _requirements(
    resources: Object,
    path: Path,
    name_rule: Callable[[str, Path], Iterator[Cause]],
    claims: Set[str],
) -> Iterator[Cause]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for resource, text in sorted(limits.items()):
        here = (*path, "limits", Key(resource))
        yield from name_rule(resource, here)
        yield from amount(resource, text, here)
        if resource.startswith(_HUGE):
            yield from _whole_pages(resource, text, here)
    for resource, text in sorted(requests.items()):
        here = (*path, "requests", Key(resource))
        yield from name_rule(resource, here)
        yield from amount(resource, text, here)
        yield from _against_limit(resource, text, limits.get(resource), path)
        if resource.startswith(_HUGE):
            yield from _whole_pages(resource, text, here)
    given = {*limits, *requests}
    if any(name.startswith(_HUGE) for name in given) and not given & {"cpu", "memory"}:
        yield forbidden(path, "HugePages require cpu or memory")
    if given_claims := resources.get("claims"):
        yield from _claims(given_claims, claims, (*path, "claims"))


def amount(resource: str, text: str, path: Path) -> Iterator[Cause]:
    """An amount of a resource: not negative, and whole where the resource is counted."""
    nano = quantity.parse(str(text)).nano
    if nano < 0:
        yield invalid(path, text, NOT_NEGATIVE)
    if (resource in _COUNTED or is_extended(resource)) and quantity.has_fraction(str(text)):
        yield invalid(path, text, "must be an integer")


def _against_limit(resource: str, request: str, limit: str | None, path: Path) -> Iterator[Cause]:
    if limit is None:
        if not may_overcommit(resource):
            why = "Limit must be set for non overcommitable resources"
            yield required((*path, "limits"), why)
        return
    order = quantity.compare(str(request), str(limit))
    if order and not may_overcommit(resource):
        why = f"must be equal to {resource} limit of {limit}"
        yield invalid((*path, "requests"), request, why)
    elif order > 0:
        why = f"must be less than or equal to {resource} limit of {limit}"
        yield invalid((*path, "requests"), request, why)


def _whole_pages(resource: str, text: str, path: Path) -> Iterator[Cause]:
    """Huge pages come in whole pages, of the size in the resource's name."""
    try:
        page = quantity.parse(resource.removeprefix(_HUGE)).nano
    except quantity.QuantityError:
        page = 0
    if page <= 0 or quantity.parse(str(text)).nano % page:
        why = f"{text} is not positive integer multiple of {resource}"
        yield invalid(path, text, why)


def _any_resource(resource: str, path: Path) -> Iterator[Cause]:
    clauses = names.qualified(resource)
    yield from each_invalid(path, resource, clauses)
    known = resource in STANDARD or resource in _QUOTA_ONLY or resource.startswith(_HUGE)
    if not clauses and "/" not in resource and not known:
        yield invalid(path, resource, "must be a standard resource type or fully qualified")


def _container_resource(resource: str, path: Path) -> Iterator[Cause]:
    if resource in STANDARD:
        return
    yield from _any_resource(resource, path)
    if "/" not in resource:
        if not resource.startswith(_HUGE):
            yield invalid(path, resource, "must be a standard resource for containers")
    elif not is_native(resource) and not is_extended(resource):
        yield invalid(path, resource, "doesn't follow extended resource name standard")


def _pod_resource(resource: str, path: Path) -> Iterator[Cause]:
    causes = list(_any_resource(resource, path))
    yield from causes
    if not causes and not has_pod_level(resource):
        yield not_supported(path, resource, ("cpu", "hugepages-", "memory"))


def _claims(claims: Sequence[Object], known: Set[str], path: Path) -> Iterator[Cause]:
    """References to the pod's resource claims, each whole or by distinct requests."""
    taken: set[str] = set()
    for index, claim in enumerate(claims):
        here, name, request = (*path, index), claim.get("name", ""), claim.get("request", "")
        if not name:
            yield required(here)
            continue
        if name in taken:
            yield duplicate(here, name)
        else:
            yield from _claim_request(name, request, taken, here)
        if name not in known:
            listed = f": {', '.join(sorted(known))}" if known else " which is empty"
            why = f"must be one of the names in pod.spec.resourceClaims{listed}"
            yield not_found(here, name, why)


def _claim_request(name: str, request: str, taken: set[str], path: Path) -> Iterator[Cause]:
    reference = f"{name}/{request}" if request else name
    if request:
        yield from each_invalid((*path, "request"), request, names.label(request))
    if reference in taken:
        yield duplicate(path, reference)
    elif not request:
        for other in taken:
            if other.partition("/")[0] == name:
                yield duplicate(path, name)
    taken.add(reference)


def against_containers(spec: Object, path: Path) -> Iterator[Cause]:
    """``spec.resources`` against the containers': it must have room for what they ask for."""
    resources = spec["resources"]
    own_requests, own_limits = resources.get("requests") or {}, resources.get("limits") or {}
    for resource, total in container_totals(spec, "requests").items():
        if resource in own_requests and total.nano > quantity.parse(own_requests[resource]).nano:
            why = f"must be greater than or equal to aggregate container requests of {total}"
            yield invalid((*path, "requests", Key(resource)), own_requests[resource], why)
    for resource, total in container_totals(spec, "limits").items():
        given = own_limits.get(resource)
        if given is None or not resource.startswith(_HUGE):
            continue
        if total.nano > quantity.parse(given).nano:
            why = f"must be greater than or equal to aggregate container limits of {total}"
            yield invalid((*path, "limits", Key(resource)), given, why)
    for index, container in enumerate(spec.get("containers") or ()):
        for resource, text in ((container.get("resources") or {}).get("limits") or {}).items():
            given = own_limits.get(resource)
            if given is not None and quantity.compare(text, given) > 0:
                here = (*path, "containers", index, Key(resource), "limits")
                yield invalid(here, text, f"must be less than or equal to pod limits of {given}")


def container_totals(spec: Object, side: str) -> dict[str, quantity.Quantity]:
    """What the containers of a pod need together, of ``requests`` or ``limits``: all that run at
    once, or an init container with the sidecars before it, whatever is more.
    """
    total = _sum(spec.get("containers") or (), side)
    sidecars: dict[str, quantity.Quantity] = {}
    peaks: list[dict[str, quantity.Quantity]] = []
    for container in spec.get("initContainers") or ():
        own = _sum([container], side)
        if container.get("restartPolicy") == "Always":
            sidecars = _plus(sidecars, own)
            peaks.append(sidecars)
        else:
            peaks.append(_plus(sidecars, own))
    total = _plus(total, sidecars)
    for peak in peaks:
        for resource, amount_ in peak.items():
            if resource not in total or amount_.nano > total[resource].nano:
                total[resource] = amount_
    return total


def _sum(containers: Sequence[Object], side: str) -> dict[str, quantity.Quantity]:
    total: dict[str, quantity.Quantity] = {}
    for container in containers:
        amounts = (container.get("resources") or {}).get(side) or {}
        total = _plus(total, {name: quantity.parse(str(text)) for name, text in amounts.items()})
    return total


def _plus(
    left: Mapping[str, quantity.Quantity], right: Mapping[str, quantity.Quantity]
) -> dict[str, quantity.Quantity]:
    total = dict(left)
    for resource, amount_ in right.items():
        total[resource] = quantity.plus(total[resource], amount_) if resource in total else amount_
    return total


def qos_class(spec: Object) -> str:
    """The quality of service class of a pod: what it requests of CPU and memory, against its
    limits. The pod's own resources come before those of its containers.
    """
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return class_of(_sides(spec), [_sides(container) for container in containers])


def _sides(holder: Object) -> tuple[Object, Object]:
    resources = holder.get("resources") or {}
    return resources.get("requests") or {}, resources.get("limits") or {}
