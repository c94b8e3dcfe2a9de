"""How much a pod asks for, and how much a node has to give. Pure.

cpu is counted in thousandths, everything else in whole units, both rounded up. The arithmetic is
Kubernetes' (resource helpers of component-helpers): containers run together, init containers one
after the other, sidecars from their turn on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kubelite.control.scheduler.facts.fields import Field

PODS, CPU, MEMORY, STORAGE = "pods", "cpu", "memory", "ephemeral-storage"
MISSING = {
    CPU: 100,
    MEMORY: 200 << 20,
}  # what a container without a request counts as where nodes are scored

Amounts = dict[str, int]


class Requests(NamedTuple):
    """What a pod asks for: (resource, amount) sorted by name, and cpu and memory with missing
    requests filled in.
    """

    amounts: tuple[tuple[str, int], ...]
    nonzero_cpu: int
    nonzero_memory: int

    def of(self, name: str) -> int:
        """The amount of one resource, 0 when it is not asked for."""
        return dict(self.amounts).get(name, 0)


def is_extended(name: str) -> bool:
    """Whether a resource is one that a device plug-in or an operator brings."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def is_scalar(name: str) -> bool:
    """Whether a resource is counted beside cpu, memory, storage and pods, and scored only for pods
    that ask for it.
    """
    return "/" in name or name.startswith(("hugepages-", "attachable-volumes-"))


def _counted(name: str) -> bool:
    return name in (CPU, MEMORY, STORAGE) or is_scalar(name)


def amounts(field: Field) -> Amounts:
    """A resource list without the resources that no scheduler counts."""
    return {
        str(name): field.at(str(name)).amount(name == CPU)
        for name in field.map()
        if _counted(str(name))
    }


def allocatable(node: Field) -> Amounts:
    """What a node has to give. Nothing is assumed: a node that says nothing has room for nothing,
    not even a pod.
    """
    field = node.at("status", "allocatable")
    return {**amounts(field), PODS: field.at(PODS).amount()}


def requests(pod: Field) -> Requests:
    """What a pod asks for. A resize that is under way counts as the larger of its sizes."""
    plain = _total(pod, {})
    filled = _total(pod, MISSING)
    return Requests(tuple(sorted(plain.items())), filled.get(CPU, 0), filled.get(MEMORY, 0))


def _total(pod: Field, missing: Amounts) -> Amounts:
    spec = pod.at("spec")
    total, sidecars, peak = Amounts(), Amounts(), Amounts()
    for _container, requested in _wanted(pod, "containers", "containerStatuses"):
        _add(total, _filled(requested, missing))
    for container, requested in _wanted(pod, "initContainers", "initContainerStatuses"):
        own = _filled(requested, missing)
        if container.at("restartPolicy").text() == "Always":
            _add(total, own)
            _add(sidecars, own)
            own = dict(sidecars)
        else:
            _add(own, sidecars)
        _raise(peak, own)
    _raise(total, peak)
    total.update(
        (name, amount)
        for name, amount in amounts(spec.at("resources", "requests")).items()
        if _of_pod(name)
    )
    _add(total, amounts(spec.at("overhead")))
    return total


def _of_pod(name: str) -> bool:
    """Resources that spec.resources decides for the whole pod."""
    return name in (CPU, MEMORY) or name.startswith("hugepages-")


def _wanted(pod: Field, where: str, status: str) -> Iterator[tuple[Field, Amounts]]:
    states = {state.at("name").text(): state for state in pod.at("status", status).items()}
    for container in pod.at("spec", where).items():
        requested = amounts(container.at("resources", "requests"))
        state = states.get(container.at("name").text())
        if state is not None and state.at("resources").value is not None:
            requested = _resized(pod, requested, state)
        yield container, requested


def _resized(pod: Field, requested: Amounts, state: Field) -> Amounts:
    """While a resize goes on, the larger of what is asked for, applied and allocated; what cannot
    be does not count.
    """
    infeasible = any(
        condition.at("type").text() == "PodResizePending"
        and condition.at("reason").text() == "Infeasible"
        for condition in pod.at("status", "conditions").items()
    )
    larger = {} if infeasible else dict(requested)
    _raise(larger, amounts(state.at("resources", "requests")))
    _raise(larger, amounts(state.at("allocatedResources")))
    return larger


def _filled(requested: Amounts, missing: Amounts) -> Amounts:
    return {**missing, **requested} if missing else dict(requested)


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise(total: Amounts, other: Amounts) -> None:
    for name, amount in other.items():
        total[name] = max(total.get(name, 0), amount)
