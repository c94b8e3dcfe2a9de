"""The network of a home as one value: what the kernel has of it, who has which address, and which
ways lead to other nodes.
"""

from __future__ import annotations

from kubelite.lib.json import Object
from kubelite.node.network import bridge, ipam, names
from kubelite.node.network.between.ways import VXLAN_PORT, RoutingMode, Tunnel, Way
from kubelite.node.network.pod import Lease, PodNetwork
from kubelite.objects.facts import pod_ranges

NAME, DRIVER = "kubelite", "bridge"
"""A home has one network."""


def overview(network: PodNetwork) -> Object:
    """Everything that is known about the network, as a document. ``mtu`` is null while there is no
    pod, and so no bridge; ``vxlan`` where no way leads through one. Raises NoAddress.
    """
    shared, record, interface = network.shared(), network.ways(), names.bridge(network.key)
    pod_range = network.wished_range()
    gateway = ipam.gateway(pod_ranges.network(pod_range))
    subnets = [{"subnet": pod_range, "gateway": ipam.text(gateway)}]
    if shared is not None and shared.has_ipv6:
        ipv6_range = pod_ranges.ipv6_range(pod_range)
        subnets.append({"subnet": ipv6_range, "gateway": pod_ranges.ipv6(gateway)})
    return {
        "name": NAME,
        "driver": DRIVER,
        "interface": interface,
        "mtu": bridge.mtu(interface) if shared is not None else None,
        "subnets": subnets,
        "vxlan": _vxlan(network.key, record.tunnel),
        "table": names.table(network.key),
        "warnings": list(shared.warnings) if shared is not None else [],
        "pods": [_pod(owner, lease) for owner, lease in network.leases()],
        "nodes": [_node(network.key, *item) for item in sorted(record.ways.items())],
    }


def _pod(owner: str, lease: Lease) -> Object:
    namespace, _, name = owner.partition("/")
    return {
        "namespace": namespace,
        "name": name,
        "uid": lease.uid,
        "addresses": list(lease.addresses),
        "interface": lease.interface,
        "hostPorts": [
            {
                "hostIP": port.host_ip,
                "hostPort": port.host_port,
                "containerPort": port.container_port,
                "protocol": port.protocol,
            }
            for port in lease.ports
        ],
    }


def _vxlan(key: str, tunnel: Tunnel | None) -> Object | None:
    if tunnel is None:
        return None
    return {
        "interface": names.tunnel(key),
        "id": tunnel.vni,
        "port": VXLAN_PORT,
        "address": tunnel.local,
        "mtu": tunnel.mtu,
    }


def _node(key: str, pod_range: str, way: Way) -> Object:
    is_direct = way.kind is RoutingMode.direct
    return {
        "name": way.node,
        "address": way.address,
        "podRange": pod_range,
        "way": str(way.kind),
        "interface": way.link if is_direct else names.tunnel(key),
        "isReachable": is_direct or bridge.exists(names.tunnel(key)),
    }
