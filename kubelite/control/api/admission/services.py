"""Addresses and node ports of Services: given out once, kept with the Service in one commit.

An address is taken by an IPAddress object of that name, as Kubernetes does since 1.33; a node port
by a record of the same kind under ``ranges/``. Two servers of one store can therefore never give
out the same.
"""

from __future__ import annotations

import ipaddress
import random
import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kubelite.control.api.kinds import service
from kubelite.control.api.kinds.common.addresses import Network
from kubelite.control.api.strategy.commit import remove
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.documents import load, stored
from kubelite.control.api.wire.status import Cause, internal, invalid
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict
from kubelite.lib.json import Object
from kubelite.objects.facts import service_addresses

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt
    from kubelite.control.api.wire.status import StatusError
    from kubelite.control.store.types import Change

NETWORK = ipaddress.IPv4Network("10.96.0.0/16")
PORTS = range(30000, 32768)
_PORTS_PREFIX = "ranges/servicenodeports"
_HEALTH_PORT = "healthCheckNodePort"
_TRIES = 200
IPV4, IPV6 = "IPv4", "IPv6"


async def allocate(attempt: Attempt) -> None:
    """Gives a Service what its type needs, and takes back what it needs no more. Raises StatusError
    422.
    """
    if not attempt.of("", "services") or (attempt.operation == "DELETE" and not attempt.goes):
        return
    old_spec = (attempt.old or {}).get("spec", {})
    new_spec = {} if attempt.goes else attempt.obj.get("spec", {})
    if not attempt.goes:
        ranges = await _ranges(attempt)
        _families(attempt, new_spec, any(network.version == 6 for network in ranges))
        await _give_addresses(attempt, new_spec, old_spec, ranges)
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


async def _give_addresses(
    attempt: Attempt, spec: Object, old: Object, ranges: list[Network]
) -> None:
    """One address of each family of the Service; those it has, it keeps."""
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
    first = _first_address(spec) or old.get("clusterIP", "")
    requested = [first, *(spec.get("clusterIPs") or ())[1:], ""]
    if first == "None":
        given = ["None"]
    else:
        given = [
            address
            if address in _addresses(old)
            else await _take_address(attempt, address, family, ranges)
            for address, family in zip(requested, spec["ipFamilies"], strict=False)
        ]
    spec["clusterIP"], spec["clusterIPs"] = given[0], given
    spec.setdefault("internalTrafficPolicy", "Cluster")


def _families(attempt: Attempt, spec: Object, is_dual: bool) -> None:
    """The address families of a Service: those it asks for, by name or by an address, in that
    order; both where its policy wants them and addresses of both are given out (``is_dual``).
    Raises StatusError 422. After ``initIPFamilyFields``.

    A headless Service without a selector takes both: its endpoints are somebody else's.
    """
    if spec.get("type", "ClusterIP") == "ExternalName":
        return
    configured = (IPV4, IPV6) if is_dual else (IPV4,)
    given = _asked_families(attempt, spec, configured)
    if _first_address(spec) == "None" and not spec.get("selector"):
        policy = spec.setdefault("ipFamilyPolicy", "RequireDualStack")
        both = [*given, *(family for family in (IPV4, IPV6) if family not in given)]
        spec["ipFamilies"] = given or both[:1] if policy == "SingleStack" else both
        return
    wrong = [
        causes.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
        for index, family in enumerate(given)
        if family not in configured
    ]
    policy = spec.setdefault("ipFamilyPolicy", "SingleStack")
    if policy == "RequireDualStack" and not is_dual:
        why = "this cluster is not configured for dual-stack services"
        wrong.insert(0, causes.invalid("spec.ipFamilyPolicy", policy, why))
    if wrong:
        raise _refused(attempt, wrong)
    given = given or [IPV4]
    if policy != "SingleStack":
        given = [*given, *(family for family in configured if family not in given)]
    spec["ipFamilies"] = given


def _first_address(spec: Object) -> str:
    return spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")


def _asked_families(attempt: Attempt, spec: Object, configured: Sequence[str]) -> list[str]:
    """The families that a Service names, and those of further addresses. Raises StatusError 422
    where its policy does not fit to them.
    """
    wrong = list(_check_policy(attempt, spec))
    given = list(spec.get("ipFamilies") or ())
    requested = spec.get("clusterIPs") or list(filter(None, [spec.get("clusterIP")]))
    for index, address in enumerate(requested):
        family = _family_of(address)
        if address == "None" or index < len(given):
            continue
        if family in configured:
            given.append(family)
        else:
            why = f"{family} is not configured on this cluster"
            wrong.append(causes.invalid(f"spec.clusterIPs[{index}]", requested, why))
    if wrong:
        raise _refused(attempt, wrong)
    return given


def _check_policy(attempt: Attempt, spec: Object) -> Iterator[Cause]:
    """One family and two do not go together. Where an update changes the policy alone to that of
    one, the second is given back (``trimFieldsForDualStackDowngrade``).
    """
    old, path = (attempt.old or {}).get("spec", {}), "spec.ipFamilyPolicy"
    policy = spec.get("ipFamilyPolicy") or "SingleStack"
    is_single = policy == "SingleStack"
    fields = {"clusterIPs": "cluster IP", "ipFamilies": "IP family"}
    if is_single and all(old.get(field) and spec.get(field) == old[field] for field in fields):
        spec.update({field: old[field][:1] for field in fields})
    for field, word in fields.items():
        now, before = spec.get(field) or [], old.get(field) or []
        if not is_single and len(before) == 2 and now == before[:1]:
            why = f"must be 'SingleStack' to release the secondary {word}"
            yield causes.invalid(path, policy, why)
        elif is_single and len(now) == 2:
            plural = "IP families" if word == "IP family" else "cluster IPs"
            why = "must be 'RequireDualStack' or 'PreferDualStack' when multiple"
            yield causes.invalid(path, policy, f"{why} {plural} are specified")


def _family_of(address: str) -> str:
    return IPV6 if ":" in address else IPV4


async def _take_address(
    attempt: Attempt, requested: str, family: str, every_range: list[Network]
) -> str:
    """Takes the requested address, or any free one for "". Raises StatusError 422, 500."""
    ranges = [network for network in every_range if _family_of(str(network)) == family]
    if requested:
        await _check_address(attempt, requested, ranges)
        candidates = iter([requested])
    else:
        candidates = (
            _random_address(random.choice(ranges)) for _ in range(_TRIES if ranges else 0)
        )
    for address in candidates:
        if await attempt.context.store.get("ipaddresses", "", address) is None:
            attempt.companions.append(
                _taken(attempt, "ipaddresses", address, "networking.k8s.io/v1", "IPAddress", family)
            )
            return address
    raise internal("failed to allocate a serviceIP: range is full")


async def _ranges(attempt: Attempt) -> list[Network]:
    """The ranges of all ServiceCIDRs that are not being deleted."""
    page = await attempt.context.store.page("servicecidrs")
    objects = [load(entry) for entry in page.entries]
    return [
        ipaddress.ip_network(cidr)
        for obj in objects
        if not obj["metadata"].get("deletionTimestamp")
        for cidr in obj["spec"].get("cidrs") or ()
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


def _taken(
    attempt: Attempt,
    prefix: str,
    name: str,
    version: str,
    kind: str,
    family: str = IPV4,
) -> Change:
    """The change that takes an address or a port for the Service."""
    parent = {"resource": "services", "namespace": attempt.namespace, "name": attempt.name}
    record = {
        "kind": kind,
        "apiVersion": version,
        "metadata": {
            "name": name,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": timestamp(),
            "labels": service_addresses.labels(family),
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
