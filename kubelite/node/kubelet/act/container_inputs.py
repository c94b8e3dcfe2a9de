"""The inputs of a container's start in this pod on this node, and its mounts in their order.

The inputs are looked up here and put together by
:func:`kubelite.node.kubelet.decide.start_inputs.start_inputs`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubelite.core.plan import Device, Mount
from kubelite.node.cgroup.classes import below, class_of
from kubelite.node.cgroup.limits import ControlWrite, container_writes, device_writes
from kubelite.node.kubelet.act.pod_context import PodContext
from kubelite.node.kubelet.decide import container_config, security_context
from kubelite.node.kubelet.decide.start_inputs import start_inputs
from kubelite.node.runtime import launch_plan
from kubelite.node.runtime.container import cgroup_name
from kubelite.node.runtime.launch_plan import StartInputs
from kubelite.node.runtime.records import SandboxRecord
from kubelite.node.runtime.seccomp import filters
from kubelite.node.volume import mounts as volumes
from kubelite.node.volume.mounts import ContainerMount, Part
from kubelite.objects.pod import expand, qos
from kubelite.objects.pod.container import Container

if TYPE_CHECKING:
    from kubelite.node.volume.block import BlockDevice


def container_inputs(context: PodContext, container: Container, pod_root: str = "") -> StartInputs:
    """Compiles the container's seccomp profile where it is new. ``pod_root`` is the root of the
    pod's mount namespace once there is one. Raises ContainerConfigError, RuntimeFailure,
    VolumeError.
    """
    pod, node = context.pod, context.node
    resolved_image = context.images[container.image or ""]
    security = filters.applied(
        context.home, security_context.security(pod, container, resolved_image.facts, node)
    )
    devices, denied_devices = _devices(context, container, security.privileged)
    limits = container_config.container_limits(container, node.huge_pages)
    return start_inputs(
        pod,
        container,
        resolved_image.image,
        resolved_image.facts,
        node,
        security,
        context.shared,
        covers=context.covers if resolved_image.image.is_on_host else (),
        devices=devices,
        control_writes=(*container_writes(limits, context.tree.world), *denied_devices),
        variables=_variables(context, container, pod_root),
    )


def _variables(context: PodContext, container: Container, pod_root: str) -> dict[str, str]:
    """The variables that the manifest declares; what they come from is looked up on demand."""
    lookup = None
    if expand.needs_lookup(container):
        from kubelite.node.kubelet.act import volume_contents

        lookup = volume_contents.lookup(context.objects, context.volumes, pod_root)
    declared = container_config.declared_env(context.pod, container, context.node, lookup)
    return {**context.service_variables, **declared}


def _devices(
    context: PodContext, container: Container, privileged: bool
) -> tuple[tuple[Device, ...], list[ControlWrite]]:
    """Device nodes to create, and cgroup rules. Devices are denied for the whole pod unless one of
    its containers is privileged or has a block volume; then each of the others has the rules
    itself.
    """
    own = block_devices(context, [container])
    nodes = tuple(device.node for device in own)
    if privileged:
        from kubelite.node.runtime.devices import host_devices

        return (*host_devices(), *nodes), []
    if container_config.any_privileged(context.pod) or container_config.has_devices(context.pod):
        return nodes, device_writes(context.tree.world, (device.rule for device in own))
    return (), []


def block_devices(context: PodContext, containers: Iterable[Container]) -> list[BlockDevice]:
    """The block volumes of these containers. Raises VolumeError."""
    declared = [device for container in containers for device in container.volume_devices]
    if not declared:
        return []
    from kubelite.node.volume import block  # few pods have one

    return block.devices(declared, context.volumes)


def container_mounts(
    context: PodContext,
    sandbox: SandboxRecord,
    container: Container,
    inputs: StartInputs,
    attempt: int | None,
) -> list[Mount]:
    """System mounts, then files of /etc and volumes, parents before children. Creates missing
    subPaths. ``attempt`` is None for a container that is not of the pod. Raises VolumeError,
    SubPathError.
    """
    own = _volume_mounts(context, sandbox, container, inputs)
    etc = volumes.etc_mounts(context.etc, own, inputs.security.readonly_root)
    world, privileged = context.tree.world, inputs.security.privileged
    system = launch_plan.system_mounts(privileged, context.shm, world.kind == "v2")
    if world.kind != "v2" and attempt is not None:
        system += launch_plan.own_cgroups(
            _own_cgroups(context, container.name, attempt), privileged
        )
    home, uid = context.home, context.record.uid
    pod_directories = (f"{home.pod(uid)}/", f"{home.pod_run(uid)}/")
    foreign = {place.path for place in context.volumes.values() if place.is_of_driver}
    binds = (
        mount._replace(own=mount.source.startswith(pod_directories) and mount.source not in foreign)
        for mount in volumes.in_order([*etc, *own])
    )
    return [*system, *map(launch_plan.bind_mount, binds)]


def _volume_mounts(
    context: PodContext, sandbox: SandboxRecord, container: Container, inputs: StartInputs
) -> list[ContainerMount]:
    """Mounts of volumes, with links in their subPaths resolved."""
    if not container.volume_mounts:
        return []
    from kubelite.node.volume.sources import make_parts, resolve_subpath

    def expanded(text: str) -> str:
        return expand.expand(text, inputs.variables)

    # Volumes in memory are mounted in the pod's mount namespace only, which the shim is in.
    pod_root = f"/proc/{sandbox.shim_pid}/root"
    resolved: dict[Part, Part] = {}
    for part in volumes.parts(container.volume_mounts, expanded):
        place = context.volumes[part.volume]
        if place.layers:
            continue
        path = f"{pod_root}{place.path}" if place.is_in_memory else place.path
        resolved[part] = part._replace(subpath=resolve_subpath(path, part.subpath))
    present = context.volume_files | make_parts(resolved.values(), context.volumes, pod_root)
    files = context.volume_files | {part for part in resolved if resolved[part] in present}
    mounts = volumes.container_mounts(
        container.volume_mounts, context.volumes, frozenset(files), expanded
    )
    parts = (
        Part(declared.name, mount.subpath)
        for declared, mount in zip(container.volume_mounts, mounts, strict=True)
    )
    return [
        _part_of_image(mount)
        if mount.layers
        else mount._replace(subpath=resolved.get(part, part).subpath)
        for mount, part in zip(mounts, parts, strict=True)
    ]


def _part_of_image(mount: ContainerMount) -> ContainerMount:
    """The mount of an image, or of a directory in it. Raises SubPathError."""
    subpath = mount.subpath
    if not subpath:
        return mount
    from kubelite.node.image.lookup import directory_layers
    from kubelite.node.volume.errors import SubPathError
    from kubelite.node.volume.sources import subpath_parts

    if any(mark in subpath for mark in ":,\\"):  # they separate the layers of an overlay
        raise SubPathError(f'subPath "{subpath}" of an image must not contain ":", "," or "\\"')
    layers = directory_layers(mount.source, mount.layers, "/".join(subpath_parts(subpath)))
    if not layers:
        raise SubPathError(f'subPath "{subpath}": {mount.name} has no such directory in its image')
    return mount._replace(layers=layers, subpath="")


def _own_cgroups(context: PodContext, name: str, attempt: int) -> dict[str, str]:
    """The directories of an attempt's cgroups by controller. None for a pod with a user namespace:
    cgroup v1 has no id-mapped mounts.
    """
    if context.shared.own_userns:
        return {}
    pod = below(class_of(qos.qos_class(context.pod)), f"pod{context.record.uid}")
    directories: dict[str, str] = {}
    for hierarchy in context.tree.world.in_use:
        path = f"{hierarchy.mount_point}/{context.tree.parent}/{pod}/{cgroup_name(name, attempt)}"
        if not hierarchy.v2 and os.path.isdir(path):
            directories |= dict.fromkeys(hierarchy.controllers, path)
    return directories
