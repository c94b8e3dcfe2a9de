"""What a CNI plug-in is told: its configuration on stdin, and environment variables. Pure.

Shapes are the CNI specification's (sections 2 and 4) and, for ``runtimeConfig``, its conventions
(CONVENTIONS.md); the names in CNI_ARGS are those that the runtimes of Kubernetes pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kubelite.node.network.bandwidth import Bandwidth, burst
from kubelite.node.network.cni.config import Network
from kubelite.node.network.errors import PortRefused
from kubelite.node.network.names import POD_INTERFACE
from kubelite.node.network.ports import ANY, HostPort
from kubelite.node.network.resolver import Resolv

ADD, DEL, CHECK, GC, STATUS = "ADD", "DEL", "CHECK", "GC", "STATUS"
Object = dict[str, Any]


class PodFacts(NamedTuple):
    """What plug-ins may want to know of a pod. ``cgroup`` is the path of its cgroup."""

    namespace: str
    name: str
    uid: str
    ports: tuple[HostPort, ...] = ()
    bandwidth: Bandwidth = Bandwidth()
    resolv: Resolv = Resolv()
    cgroup: str = ""


def runtime_config(pod: PodFacts) -> Object:
    """What there is to say of a pod, by capability."""
    facts: Object = {"aliases": [pod.name], "cgroupPath": pod.cgroup, "dns": _dns(pod.resolv)}
    if pod.ports:
        facts["portMappings"] = [_mapping(port) for port in pod.ports]
    if any(pod.bandwidth):
        facts["bandwidth"] = _limits(pod.bandwidth)
    return {capability: value for capability, value in facts.items() if value}


def refuse_unserved(network: Network, pod: PodFacts) -> tuple[str, ...]:
    """Sentences about what the network leaves out. Raises PortRefused for host ports that none of
    its plug-ins opens.
    """
    if pod.ports and not network.has("portMappings"):
        raise PortRefused(
            f"{pod.ports[0]}: no plug-in of the CNI network {network.name} ({network.path}) has "
            "the capability portMappings",
            hint='add {"type": "portmap", "capabilities": {"portMappings": true}} to its plugins',
        )
    if any(pod.bandwidth) and not network.has("bandwidth"):
        return (
            f"the pod's bandwidth is not limited: no plug-in of the CNI network {network.name} "
            f"({network.path}) has the capability bandwidth",
        )
    return ()


def arguments(pod: PodFacts, container_id: str) -> str:
    """The value of CNI_ARGS."""
    pairs = {
        "IgnoreUnknown": "1",
        "K8S_POD_NAMESPACE": pod.namespace,
        "K8S_POD_NAME": pod.name,
        "K8S_POD_INFRA_CONTAINER_ID": container_id,
        "K8S_POD_UID": pod.uid,
    }
    return ";".join(f"{key}={value}" for key, value in pairs.items())


def environment(command: str, bin: str, container_id: str, args: str, netns: str) -> dict[str, str]:
    """The variables of a command about one pod; ``netns`` is "" where it has gone already."""
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container_id,
        "CNI_NETNS": netns,
        "CNI_IFNAME": POD_INTERFACE,
        "CNI_ARGS": args,
        "CNI_PATH": bin,
    }


def plugin_config(
    network: Network,
    plugin: Mapping[str, Any],
    runtime: Mapping[str, Any] | None = None,
    previous: Mapping[str, Any] | None = None,
) -> Object:
    """The configuration of one plug-in: its own, the network's name and version, what it has
    capabilities for, and the result of the plug-ins before it.
    """
    capabilities = plugin.get("capabilities") or {}
    own = {key: value for key, value in plugin.items() if key != "capabilities"}
    config: Object = {**own, "name": network.name, "cniVersion": network.version}
    wanted = {key: value for key, value in (runtime or {}).items() if capabilities.get(key)}
    if wanted:
        config["runtimeConfig"] = wanted
    if previous is not None:
        config["prevResult"] = previous
    return config


def collection_config(
    network: Network, plugin: Mapping[str, Any], container_ids: Iterable[str]
) -> Object:
    """The configuration for GC: whatever is not of these containers may go. The second key is what
    the first plug-ins of version 1.1 read.
    """
    valid = [{"containerID": id, "ifname": POD_INTERFACE} for id in sorted(container_ids)]
    keys = ("cni.dev/valid-attachments", "cni.dev/attachments")
    return {**plugin_config(network, plugin), **dict.fromkeys(keys, valid)}


def _mapping(port: HostPort) -> Object:
    mapping: Object = {
        "hostPort": port.host_port,
        "containerPort": port.container_port,
        "protocol": port.protocol.lower(),
    }
    return mapping if port.host_ip == ANY else {**mapping, "hostIP": port.host_ip}


def _limits(limits: Bandwidth) -> Object:
    """In bits, where ours are bytes."""
    config: Object = {}
    for direction, rate in (("ingress", limits.ingress), ("egress", limits.egress)):
        if rate:
            config[f"{direction}Rate"], config[f"{direction}Burst"] = rate * 8, burst(rate) * 8
    return config


def _dns(resolv: Resolv) -> Object:
    lists = {
        "servers": resolv.servers,
        "searches": resolv.searches,
        "options": resolv.options,
    }
    return {key: list(values) for key, values in lists.items() if values}
