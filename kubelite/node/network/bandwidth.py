"""How much of the network a pod may use, by its annotations. Pure.

The annotations and their limits are the kubelet's (``pkg/util/bandwidth``); amounts are bits a
second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kubelite.node.network.errors import NetworkError
from kubelite.objects.facts import quantity
from kubelite.objects.facts.quantity import QuantityError

INGRESS, EGRESS = "kubernetes.io/ingress-bandwidth", "kubernetes.io/egress-bandwidth"
_LEAST, _MOST = 10**3, 10**15
_BURST_SECONDS, _LEAST_BURST, _MOST_BURST = 0.1, 1 << 16, 1 << 30


class Bandwidth(NamedTuple):
    """Bytes a second to a pod and from it; 0 for no limit."""

    ingress: int = 0
    egress: int = 0


def requested(annotations: Mapping[str, str] | None) -> Bandwidth:
    """What a pod's annotations ask for. Raises NetworkError for what is no bandwidth."""
    texts = [(name, (annotations or {}).get(name, "")) for name in (INGRESS, EGRESS)]
    return Bandwidth(*(_bytes(name, text) for name, text in texts))


def burst(rate: int) -> int:
    """How many bytes may pass at once, for a rate in bytes a second: those of a tenth of a second,
    and at least a packet as the kernel hands them over.
    """
    return min(max(int(rate * _BURST_SECONDS), _LEAST_BURST), _MOST_BURST)


def _bytes(name: str, text: str) -> int:
    if not text:
        return 0
    try:
        bits = quantity.value(text)
    except QuantityError as error:
        raise NetworkError(f"the annotation {name}: {error}") from None
    if not _LEAST <= bits <= _MOST:
        raise NetworkError(f"the annotation {name}: {text} is not between 1k and 1P bits a second")
    return bits // 8
