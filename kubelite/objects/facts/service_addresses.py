"""Labels of the IPAddress objects by which Services hold their addresses (KEP 1880). Pure."""

from __future__ import annotations

FAMILY = "ipaddress.kubernetes.io/ip-family"
MANAGED_BY, ALLOCATOR = "ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io"


def labels(family: str) -> dict[str, str]:
    """The labels of an address that the API server has given out; ``family`` is IPv4 or IPv6."""
    return {FAMILY: family, MANAGED_BY: ALLOCATOR}
