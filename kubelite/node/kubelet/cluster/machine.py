"""Looks up what this machine is, for its Node object."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import kubelite
from kubelite.node.image.oci import MACHINES
from kubelite.node.image.store import ImageStore
from kubelite.node.kubelet.act import config_file, facts
from kubelite.node.kubelet.cluster import node_object
from kubelite.node.kubelet.cluster.node_object import NodeDescription
from kubelite.node.kubelet.decide.node_pressure_eviction import threshold
from kubelite.node.kubelet.stats.measuring import filesystem
from kubelite.node.network import bridge
from kubelite.node.network.pod import PodNetwork
from kubelite.node.runtime.home import Home, boot_id
from kubelite.objects.pod.qos import Amounts

MAX_IMAGES = 50
"""How many images a Node lists, the largest first, as in the kubelet."""


def describe(
    home: Home,
    name: str,
    address: str,
    port: int,
    labels: Mapping[str, str],
    resources: Mapping[str, str],
) -> NodeDescription:
    """This machine as a node."""
    system = os.uname()
    machine = _first_line("/etc/machine-id") or uuid.uuid5(uuid.NAMESPACE_DNS, name).hex
    storage = filesystem(home.root).capacity
    reserved_memory, reserved_storage = _reserved(home, facts.memory(), storage)
    return NodeDescription(
        name=name,
        address=address,
        port=port,
        cpus=facts.cpus(),
        memory=facts.memory(),
        storage=storage,
        architecture=MACHINES.get(system.machine, system.machine),
        kernel=system.release,
        os_image=_os_name(),
        machine_id=machine,
        system_uuid=_first_line("/sys/class/dmi/id/product_uuid") or machine,
        boot_id=boot_id(),
        version=kubelite.__version__,
        labels=labels,
        resources=resources,
        pod_range=PodNetwork(home.run, home.key, home.lock).wished_range(),
        link_local=bridge.link_local_address(address),
        reserved_memory=reserved_memory,
        reserved_storage=reserved_storage,
        images=images(home),
        volumes=home.volumes,
    )


def allocatable(home: Home) -> Amounts:
    """The number of pods, and the CPUs (milli), memory and disk space (bytes) that they may have,
    as the Node says.
    """
    memory, storage = facts.memory(), filesystem(home.root).capacity
    reserved_memory, reserved_storage = _reserved(home, memory, storage)
    return {
        "pods": node_object.MAX_PODS,
        "cpu": facts.cpus() * 1000,
        "memory": node_object.allocatable_memory(memory, reserved_memory) << 10,
        "ephemeral-storage": node_object.allocatable_storage(storage, reserved_storage),
    }


def _reserved(home: Home, memory: int, storage: int) -> tuple[int, int]:
    """The memory and the disk space, in bytes, that the hard eviction thresholds keep from pods."""
    thresholds = config_file.read(home).eviction_hard
    return (
        threshold(thresholds.get("memory.available", "0"), memory),
        threshold(thresholds.get("nodefs.available", "0"), storage),
    )


def images(home: Home) -> tuple[tuple[tuple[str, ...], int], ...]:
    """The names and sizes of the largest images in the store."""
    listed = [(image.names, image.size) for image in ImageStore(Path(home.images)).list()]
    return tuple(sorted(listed, key=lambda pair: -pair[1])[:MAX_IMAGES])


def _os_name() -> str:
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "Linux"
    fields = dict(line.partition("=")[::2] for line in lines)
    return fields.get("PRETTY_NAME", "Linux").strip('"')


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except (OSError, UnicodeDecodeError):
        return ""
