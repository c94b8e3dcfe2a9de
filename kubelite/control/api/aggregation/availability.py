"""Whether the extension server of an APIService can be reached, in its condition ``Available``
(kube-aggregator, ``remote_available_controller.go``). Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubelite.control.api.aggregation.services import Backend

AVAILABLE = "Available"
_MOST_TOLD = 1024


class Verdict(NamedTuple):
    """What the condition says."""

    status: str
    reason: str
    message: str


LOCAL = Verdict("True", "Local", "Local APIServices are always available")
PASSED = Verdict("True", "Passed", "all checks passed")


def failed_discovery(why: str) -> Verdict:
    """The server did not answer as it should when it was asked for its resources. ``why`` may
    quote it: what is no UTF-8 is replaced, and it is told only so far.
    """
    text = why.encode("utf-8", "replace").decode()
    return Verdict("False", "FailedDiscoveryCheck", text[:_MOST_TOLD])


def before_asking(backend: Backend, service: Object | None, slices: list[Object]) -> Verdict | None:
    """What can be told of the Service and its EndpointSlices alone; None when the server is to be
    asked.
    """
    name = f'service/{backend.service} in "{backend.namespace}"'
    if service is None:
        return Verdict("False", "ServiceNotFound", f"{name} is not present")
    spec = service.get("spec") or {}
    if spec.get("type") != "ClusterIP":
        return None
    port = next((port for port in spec.get("ports") or () if port["port"] == backend.port), None)
    if port is None:
        why = f"{name} is not listening on port {backend.port}"
        return Verdict("False", "ServicePortError", why)
    if not slices:
        return Verdict("False", "EndpointsNotFound", f"cannot find endpointslices for {name}")
    port_name = port.get("name", "")
    if not _has_endpoint(slices, port_name):
        why = f'endpointslices for {name} have no addresses with port name "{port_name}"'
        return Verdict("False", "MissingEndpoints", why)
    return None


def _has_endpoint(slices: Iterable[Object], port_name: str) -> bool:
    return any(
        any(
            (endpoint.get("conditions") or {}).get("ready", True)
            for endpoint in piece.get("endpoints") or ()
        )
        and any(port.get("name", "") == port_name for port in piece.get("ports") or ())
        for piece in slices
    )


def with_condition(obj: Object, verdict: Verdict, now: str) -> Object:
    """The APIService with the condition; ``obj`` itself where it says that already."""
    status = obj.get("status") or {}
    conditions = list(status.get("conditions") or ())
    index = next(
        (place for place, known in enumerate(conditions) if known["type"] == AVAILABLE), None
    )
    known = conditions[index] if index is not None else {}
    since = known.get("lastTransitionTime") if known.get("status") == verdict.status else now
    fresh = {
        "type": AVAILABLE,
        "status": verdict.status,
        "lastTransitionTime": since,
        "reason": verdict.reason,
        "message": verdict.message,
    }
    if known == fresh:
        return obj
    if index is None:
        conditions.append(fresh)
    else:
        conditions[index] = fresh
    return {**obj, "status": {**status, "conditions": conditions}}
