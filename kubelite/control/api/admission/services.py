"""Addresses and node ports of Services: given out once, kept with the Service in one commit.

An address is taken by an IPAddress object of that name, as Kubernetes does since 1.33; a node port
by a record of the same kind under ``ranges/``. Two servers of one store can therefore never give
out the same.
"""

from __future__ import annotations

import ipaddress
import random
import uuid
from typing import TYPE_CHECKING

from kubelite.control.api.kinds import service
from kubelite.control.api.strategy.commit import remove
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.documents import load, stored
from kubelite.control.api.wire.status import Cause, internal, invalid
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt
    from kubelite.control.api.wire.status import StatusError
    from kubelite.control.store.types import Change

Network = ipaddress.IPv4Network
NETWORK = Network("10.96.0.0/16")
PORTS = range(30000, 32768)
_PORTS_PREFIX = "ranges/servicenodeports"
_HEALTH_PORT = "healthCheckNodePort"
_TRIES = 200
ADDRESS_LABELS = {
    "ipaddress.kubernetes.io/ip-family": "IPv4",
    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
}


async def allocate(attempt: Attempt) -> None:
    """Gives a Service what its type needs, and takes back what it needs no more. Raises StatusError
    422.
    """
    if not attempt.of("", "services") or (attempt.operation == "DELETE" and not attempt.goes):
        return
    old_spec = (attempt.old or {}).get("spec", {})
    new_spec = {} if attempt.goes else attempt.obj.get("spec", {})
    if not attempt.goes:
        _families(attempt, new_spec)
        await _address(attempt, new_spec, old_spec)
        await _ports(attempt, new_spec, _ports_of(old_spec))
    for address in sorted(_addresses(old_spec) - _addresses(new_spec)):
        await _release(attempt, "ipaddresses", address)
    for port in sorted(_ports_of(old_spec) - _ports_of(new_spec)):
        await _release(attempt, _PORTS_PREFIX, str(port))


async def drop_endpoints(attempt: Attempt) -> None:
    """The Endpoints of a Service that is gone go too, whoever made them."""
    if not (attempt.of("", "services") and attempt.goes):
        return
    context = attempt.context
    endpoints = context.registry.builtin("", "endpoints")
    entry = await context.store.get(endpoints.prefix, attempt.namespace, attempt.name)
    if entry is not None:
        try:
            await remove(context.store, endpoints, entry, companions=[])
        except Conflict:
            pass  # their controller has just written them, and removes them then


async def keep(attempt: Attempt) -> None:
    """An update that does not speak of what was given out keeps it (``patchAllocatedValues``)."""
    if not attempt.of("", "services") or attempt.operation != "UPDATE":
        return
    spec, old = attempt.obj.get("spec", {}), (attempt.old or {}).get("spec", {})
    if (
        spec.get("type", "ClusterIP") != "ExternalName"
        and old.get("type", "ClusterIP") != "ExternalName"
    ):
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            given = spec.get(field)
            # An empty policy is a wrong one, not none.
            left_out = given is None if field == "ipFamilyPolicy" else not given
            if left_out and field in old:
                spec[field] = old[field]
    needs = service.needs_health_port
    if needs(spec) and needs(old) and not spec.get(_HEALTH_PORT):
        spec[_HEALTH_PORT] = old.get(_HEALTH_PORT, 0)
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        known = {
            (port.get("port"), port.get("protocol")): port.get("nodePort")
            for port in old.get("ports") or ()
        }
        for port in spec.get("ports") or ():
            given = known.get((port.get("port"), port.get("protocol")))
            if not port.get("nodePort") and given:
                port["nodePort"] = given


def _addresses(spec: Object) -> set[str]:
    return {address for address in spec.get("clusterIPs") or () if address not in ("", "None")}


def _ports_of(spec: Object) -> set[int]:
    ports = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    return ports | ({spec[_HEALTH_PORT]} if spec.get(_HEALTH_PORT) else set())


async def _address(attempt: Attempt, spec: Object, old: Object) -> None:
    if spec.get("type", "ClusterIP") == "ExternalName":
        for field in (
            "clusterIP",
            "clusterIPs",
            "ipFamilies",
            "ipFamilyPolicy",
            "internalTrafficPolicy",
        ):
            spec.pop(field, None)
        return
    wanted = (
        spec.get("clusterIP")
        or next(iter(spec.get("clusterIPs") or ()), "")
        or old.get("clusterIP", "")
    )
    if wanted in ("", "None") or wanted not in _addresses(old):
        wanted = await _take_address(attempt, wanted) if wanted != "None" else wanted
    spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]
    spec.setdefault("internalTrafficPolicy", "Cluster")


def _families(attempt: Attempt, spec: Object) -> None:
    """The address families of a Service, where only IPv4 is given out. Raises StatusError 422.

    A headless Service without a selector takes both: its endpoints are somebody else's
    (``initIPFamilyFields``).
    """
    if spec.get("type", "ClusterIP") == "ExternalName":
        return
    first = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
    given = spec.get("ipFamilies") or []
    if first == "None" and not spec.get("selector"):
        policy = spec.setdefault("ipFamilyPolicy", "RequireDualStack")
        both = [*given, *(family for family in ("IPv4", "IPv6") if family not in given)]
        spec["ipFamilies"] = given or both[:1] if policy == "SingleStack" else both
        return
    wrong = [
        causes.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
        for index, family in enumerate(given)
        if family != "IPv4"
    ]
    if spec.setdefault("ipFamilyPolicy", "SingleStack") == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        wrong.insert(0, causes.invalid("spec.ipFamilyPolicy", "RequireDualStack", why))
    if wrong:
        raise _refused(attempt, wrong)
    spec["ipFamilies"] = given or ["IPv4"]


async def _take_address(attempt: Attempt, wanted: str) -> str:
    """Takes the wanted address, or any free one for "". Raises StatusError 422, 500."""
    ranges = await _ranges(attempt)
    if wanted:
        await _check_address(attempt, wanted, ranges)
        candidates = iter([wanted])
    else:
        candidates = (
            _random_address(random.choice(ranges)) for _ in range(_TRIES if ranges else 0)
        )
    for address in candidates:
        if await attempt.context.store.get("ipaddresses", "", address) is None:
            attempt.companions.append(
                _taken(attempt, "ipaddresses", address, "networking.k8s.io/v1", "IPAddress")
            )
            return address
    raise internal("failed to allocate a serviceIP: range is full")


async def _ranges(attempt: Attempt) -> list[Network]:
    """The IPv4 ranges of all ServiceCIDRs that are not being deleted."""
    page = await attempt.context.store.page("servicecidrs")
    objects = [load(entry) for entry in page.entries]
    return [
        ipaddress.IPv4Network(cidr)
        for obj in objects
        if not obj["metadata"].get("deletionTimestamp")
        for cidr in obj["spec"].get("cidrs") or ()
        if ":" not in cidr
    ]


def _random_address(network: Network) -> str:
    """Any address but the first and the last; of a large range none of the lowest, which are left
    to those who ask for them (``ipallocator``: at most 256).
    """
    size = network.num_addresses
    offset = min(max(16, size // 16), 256) if size > 32 else 1
    return str(network[random.randrange(offset, max(size - 1, offset + 1))])


def _has(network: Network, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether a network can give out an address: not its first, and not its last."""
    ends = (network.network_address, network.broadcast_address)
    return address in network and (network.num_addresses <= 2 or address not in ends)


async def _check_address(attempt: Attempt, wanted: str, ranges: list[Network]) -> None:
    """Whether an address that a Service asks for can be its own. Raises StatusError 422."""
    try:
        address = ipaddress.ip_address(wanted)
    except ValueError:
        why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        raise _wrong(attempt, "spec.clusterIPs[0]", f'Invalid value: "{wanted}": {why}') from None
    if not any(_has(network, address) for network in ranges):
        why = (
            f"the provided IP ({wanted}) is not in the valid range. The range of valid IPs is "
            f"{ranges[0]}"
        )
        text = f'Invalid value: ["{wanted}"]: failed to allocate IP {wanted}: {why}'
        raise _wrong(attempt, "spec.clusterIPs", text)
    if await attempt.context.store.get("ipaddresses", "", wanted) is not None:
        why = f"failed to allocate IP {wanted}: provided IP is already allocated"
        raise _wrong(attempt, "spec.clusterIPs", f'Invalid value: ["{wanted}"]: {why}')


async def _ports(attempt: Attempt, spec: Object, owned: set[int]) -> None:
    await _health_port(attempt, spec, owned)
    kind = spec.get("type", "ClusterIP")
    if not service.gets_node_ports(spec):
        for port in spec.get("ports") or ():
            if kind == "ClusterIP" or port.get("nodePort") == 0:
                port.pop("nodePort", None)
        return
    shared: dict[int, int] = {}  # of a new Service: one node port for each port, in all protocols
    for number, port in enumerate(spec.get("ports") or ()):
        node_port, field = port.get("nodePort", 0), f"spec.ports[{number}].nodePort"
        if attempt.operation == "CREATE":
            node_port = node_port or shared.get(port["port"], 0) or _asked_for(spec, port["port"])
            known = node_port and node_port == shared.get(port["port"])
        else:
            known = node_port and (node_port in owned or node_port in shared.values())
        port["nodePort"] = node_port if known else await _take_port(attempt, node_port, field)
        shared.setdefault(port["port"], port["nodePort"])


def _asked_for(spec: Object, port: int) -> int:
    """The node port that some protocol asks for a port, 0 where none does."""
    given = (
        given_port.get("nodePort", 0) for given_port in spec["ports"] if given_port["port"] == port
    )
    return next(filter(None, given), 0)


async def _health_port(attempt: Attempt, spec: Object, owned: set[int]) -> None:
    """Where load balancers ask whether a node has endpoints of a Service that keeps to nodes with
    some.
    """
    if not service.needs_health_port(spec):
        if not spec.get(_HEALTH_PORT):
            spec.pop(_HEALTH_PORT, None)
        return
    number = spec.get(_HEALTH_PORT) or 0
    if not number or number not in owned:
        number = await _take_port(attempt, number, f"spec.{_HEALTH_PORT}")
    spec[_HEALTH_PORT] = number


async def _take_port(attempt: Attempt, wanted: int, field: str) -> int:
    store = attempt.context.store
    if wanted and wanted not in PORTS:
        why = (
            f"Invalid value: {wanted}: provided port is not in the valid range. The range of valid "
            "ports is 30000-32767"
        )
        raise _wrong(attempt, field, why)
    own = {change.key.rsplit("/", 1)[1] for change in attempt.companions}
    for port in [wanted] if wanted else (random.choice(PORTS) for _ in range(_TRIES)):
        if str(port) not in own and await store.get(_PORTS_PREFIX, "", str(port)) is None:
            attempt.companions.append(
                _taken(attempt, _PORTS_PREFIX, str(port), "kubelite/v1", "NodePort")
            )
            return port
    if wanted:
        raise _wrong(attempt, field, f"Invalid value: {wanted}: provided port is already allocated")
    raise internal("failed to allocate a nodePort: range is full")


def _taken(attempt: Attempt, prefix: str, name: str, version: str, kind: str) -> Change:
    """The change that takes an address or a port for the Service."""
    parent = {"resource": "services", "namespace": attempt.namespace, "name": attempt.name}
    record = {
        "kind": kind,
        "apiVersion": version,
        "metadata": {
            "name": name,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": timestamp(),
            "labels": dict(ADDRESS_LABELS),
        },
        "spec": {"parentRef": parent},
    }
    return attempt.context.store.change(prefix, "", name, stored(record), expected=0)


async def _release(attempt: Attempt, prefix: str, name: str) -> None:
    entry = await attempt.context.store.get(prefix, "", name)
    if entry is not None:
        attempt.companions.append(
            attempt.context.store.change(prefix, "", name, None, expected=entry.revision)
        )


def _wrong(attempt: Attempt, field: str, message: str) -> StatusError:
    return _refused(attempt, [Cause("FieldValueInvalid", message, field)])


def _refused(attempt: Attempt, wrong: list[Cause]) -> StatusError:
    # The servers give out addresses before they look for anything odd about the Service.
    attempt.warnings.clear()
    return invalid(attempt.request.resource, attempt.name, wrong)
