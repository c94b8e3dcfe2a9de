"""What Services of type LoadBalancer say about their addresses. Pure."""

from __future__ import annotations

from kubelite.lib.json import Object

CLASS = "kubelite.io/load-balancer"
"""The ``loadBalancerClass`` by which a Service asks for kubelite's implementation; one that names
no class gets it as well.
"""
ANNOUNCED_BY = "kubelite.io/announced-by"
"""The annotation that names the node which answers for the Service's addresses of the pool."""


def virtual_addresses(service: Object) -> list[str]:
    """The addresses of a Service's status whose packets arrive as they were sent, so that nodes
    have to serve them (``ipMode``, KEP 1860).
    """
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [
        entry["ip"] for entry in ingress if entry.get("ip") and entry.get("ipMode", "VIP") == "VIP"
    ]


def announcers(service: Object) -> list[str]:
    """The node that is to answer for a Service's addresses in its local network, if any."""
    name = (service["metadata"].get("annotations") or {}).get(ANNOUNCED_BY)
    return [name] if name else []


def announced_addresses(service: Object, node: str) -> list[str]:
    """The addresses of a Service that ``node`` is to answer for."""
    return virtual_addresses(service) if node in announcers(service) else []
