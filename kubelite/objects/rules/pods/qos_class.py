"""The quality of service class of a pod, from requests and limits as they are written. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.objects.facts import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Written = Mapping[str, str]  # quantities by resource name

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
_COMPUTE = ("cpu", "memory")


def class_of(pod: tuple[Written, Written], containers: Iterable[tuple[Written, Written]]) -> str:
    """Guaranteed, Burstable or BestEffort. Pairs of requests and limits: the pod's own, which
    count where it has any, and those of all its containers, init containers too. Raises
    QuantityError.
    """
    holders = [pod] if any(pod) else list(containers)
    sides = [(_amounts(requests), _amounts(limits)) for requests, limits in holders]
    if not any(requests or limits for requests, limits in sides):
        return BEST_EFFORT
    exact = all(
        len(limits) == len(_COMPUTE) and {**limits, **requests} == limits
        for requests, limits in sides
    )
    return GUARANTEED if exact else BURSTABLE


def _amounts(written: Written) -> dict[str, int]:
    """CPU and memory in nanos, without zeros: a zero is as good as none."""
    amounts = {name: quantity.parse(str(written.get(name) or 0)).nano for name in _COMPUTE}
    return {name: nano for name, nano in amounts.items() if nano}
