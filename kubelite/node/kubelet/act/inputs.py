"""The inputs of a container's start in this pod on this node: looked up here, put together by
:func:`kubelite.node.kubelet.decide.start_inputs.start_inputs`.
"""

from __future__ import annotations

from kubelite.core.plan import Device, Mount
from kubelite.node.cgroup.limits import Knob, container_knobs, device_knobs
from kubelite.node.image.reference import HOST
from kubelite.node.kubelet.act.pod_context import PodContext
from kubelite.node.kubelet.decide import prepare, secure
from kubelite.node.kubelet.decide.start_inputs import start_inputs
from kubelite.node.runtime import bundle
from kubelite.node.runtime.bundle import Bind, StartInputs
from kubelite.node.runtime.records import SandboxRecord
from kubelite.node.runtime.seccomp import filters
from kubelite.node.volume import mounts as volumes
from kubelite.node.volume.sources import make_parts
from kubelite.objects.pod import expand
from kubelite.objects.pod.container import Container


def container_inputs(context: PodContext, container: Container) -> StartInputs:
    """Compiles the container's seccomp profile where it is new. Raises ContainerConfigError,
    RuntimeFailure.
    """
    pod, node = context.pod, context.node
    found = context.images[container.image or ""]
    security = filters.applied(context.home, secure.security(pod, container, found.facts, node))
    devices, denied_devices = _devices(context, security.privileged)
    limits = prepare.container_limits(container, node.huge_pages)
    return start_inputs(
        pod,
        container,
        found.image,
        found.facts,
        node,
        security,
        context.shared,
        covers=context.covers if found.image.id == HOST else (),
        devices=devices,
        knobs=(*container_knobs(limits, context.tree.world), *denied_devices),
        variables=_variables(context, container),
    )


def _variables(context: PodContext, container: Container) -> dict[str, str]:
    """The variables that the manifest declares; ConfigMaps and Secrets are looked up on demand."""
    lookup = None
    if expand.needs_lookup(container):
        from kubelite.node.kubelet.act import volume_contents

        lookup = volume_contents.lookup(context.objects)
    return prepare.declared_env(context.pod, container, context.node, lookup)


def _devices(context: PodContext, privileged: bool) -> tuple[tuple[Device, ...], list[Knob]]:
    """Device nodes to create, and cgroup rules. Devices are denied for the whole pod unless one of
    its containers is privileged; then each of the others has the rules itself.
    """
    if privileged:
        from kubelite.node.runtime.devices import host_devices

        return host_devices(), []
    if prepare.any_privileged(context.pod):
        return (), device_knobs(context.tree.world)
    return (), []


def container_mounts(
    context: PodContext, sandbox: SandboxRecord, container: Container, inputs: StartInputs
) -> list[Mount]:
    """System mounts, then files of /etc and volumes, parents before children. Creates missing
    subPaths. Raises VolumeError, SubPathError.
    """
    home, uid = context.home, context.record.uid

    def expanded(text: str) -> str:
        return expand.expand(text, inputs.variables)

    # Volumes in memory are mounted in the pod's mount namespace only, which the shim is in.
    pod_root = f"/proc/{sandbox.shim_pid}/root"
    parts = volumes.parts(container.volume_mounts, expanded)
    files = context.volume_files | make_parts(parts, context.volumes, pod_root)
    own = volumes.container_mounts(container.volume_mounts, context.volumes, files, expanded)
    etc = volumes.etc_mounts(context.etc, own, inputs.security.readonly_root)
    system = bundle.system_mounts(
        inputs.security.privileged, context.shm, context.tree.world.kind == "v2"
    )
    pod_directories = (f"{home.pod(uid)}/", f"{home.pod_run(uid)}/")
    binds = (
        Bind(*mount, own=mount.source.startswith(pod_directories))
        for mount in volumes.in_order([*etc, *own])
    )
    return [*system, *map(bundle.bind_mount, binds)]
