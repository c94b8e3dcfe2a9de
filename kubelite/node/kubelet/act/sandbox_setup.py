"""Creates a pod's sandbox with all that its containers share: address, volumes, files of /etc,
cgroup, pause process and network.

The pod's record is on disk and its lock is held. Every step can be repeated over what an earlier
boot or a killed process has left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from kubelite.core.plan import Mount, MountKind
from kubelite.node.cgroup.classes import class_of
from kubelite.node.cgroup.limits import ControlWrite, device_writes, pod_writes
from kubelite.node.kubelet.act import config_file
from kubelite.node.kubelet.act.container_inputs import block_devices
from kubelite.node.kubelet.act.pod_context import PodContext
from kubelite.node.kubelet.decide import container_config, security_context
from kubelite.node.network import resolver
from kubelite.node.network.pod import Lease, PodNetwork
from kubelite.node.runtime import launch_plan, sandbox
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.processes import OOM_SCORE
from kubelite.node.runtime.records import API
from kubelite.node.runtime.sandbox import Sandbox, Starting
from kubelite.node.volume import mounts as volumes
from kubelite.objects.pod import qos

if TYPE_CHECKING:
    from kubelite.node.kubelet.act.plugin_network import PluginNetwork
    from kubelite.node.network.bandwidth import Bandwidth

_CARE = "kubelite.node.kubelet.agent.care"


def create_sandbox(
    context: PodContext, ledger: Ledger, prepare_containers: Callable[[], None]
) -> Sandbox:
    """Returns the running sandbox, which is on record; the caller closes it.

    ``prepare_containers`` is called while the kernel creates pause and its namespaces. Raises
    RuntimeFailure, CgroupError, NetworkError, VolumeError, NativeError, OSError.
    """
    home, record = context.home, context.record
    network = PodNetwork(home.run, home.key, home.lock)
    limits = _bandwidth(context)
    plugins = _plugins(context, limits)
    lease = _reserve(context, network) if plugins is None else None
    _make_directories(context)
    with ExitStack() as stack:
        first_id = 0
        if context.shared.own_userns:
            from kubelite.node.runtime import idranges

            first_id = stack.enter_context(idranges.reserved(record.uid))
        starting = _start_pause(context, ledger, lease, first_id)
        try:
            _create_shared(context)
            if plugins is None:
                _write_etc(context)
                prepare_containers()
            created = sandbox.finish(starting)
        except BaseException:
            starting.close()
            raise
    try:
        if lease is not None:
            context.trace("attach network")
            network.attach(lease, created.netns, limits)
        if plugins is not None:
            plugins.connect(created)
            _write_etc(context)  # only now it has addresses, which containers are told
            prepare_containers()
        context.trace("record sandbox")
        sandbox.complete(ledger, created)
    except BaseException:
        created.close()
        raise
    return created


def _bandwidth(context: PodContext) -> Bandwidth | None:
    """The limits that a pod's annotations ask for. Raises NetworkError."""
    if not context.pod.metadata.annotations:
        return None
    from kubelite.node.network import bandwidth

    return bandwidth.requested(context.pod.metadata.annotations)


def create_volumes(context: PodContext) -> None:
    """Creates the volumes that are missing, and finds out which are single files. Raises
    VolumeError.
    """
    if not context.volumes:
        return
    from kubelite.node.volume.sources import make_places

    context.trace("make volumes")
    context.volume_files = make_places(
        context.volumes.values(), container_config.fs_group(context.pod)
    )


def _plugins(context: PodContext, limits: Bandwidth | None) -> PluginNetwork | None:
    """The CNI plug-ins that the pod gets its network from; None where it gets ours or the host's.
    Raises NetworkError.
    """
    if context.shared.host_network:
        return None
    directories = context.record.cni or config_file.read(context.home).cni
    if directories is None:
        return None
    from kubelite.node.kubelet.act.plugin_network import PluginNetwork

    return PluginNetwork(context, directories, limits)


def _reserve(context: PodContext, network: PodNetwork) -> Lease | None:
    """Leases the pod's address; None on the host's network."""
    home, record = context.home, context.record
    if context.shared.host_network:
        return None
    context.trace("lease address")
    owner = f"{record.namespace}/{record.name}"
    requested = container_config.host_ports(context.pod)
    dual_stack = config_file.read(home).dual_stack
    lease = network.prepare(record.uid, owner, requested, dual_stack=dual_stack)
    context.warnings += lease.warnings
    context.node = context.node._replace(
        pod_addresses=lease.addresses, address=context.node.address or lease.gateway
    )
    return lease


def _make_directories(context: PodContext) -> None:
    home, record = context.home, context.record
    context.trace("make directories")
    sandbox.make_directory(home.pod_run(record.uid))
    sandbox.make_directory(home.pod_logs(record.namespace, record.name, record.uid))


def _start_pause(
    context: PodContext, ledger: Ledger, lease: Lease | None, first_id: int
) -> Starting:
    home, record = context.home, context.record
    shared = container_config.shared_volumes(context.pod)
    for place in volumes.shared_directories(context.volumes.values(), shared):
        from kubelite.node.volume.sources import make_empty_dir  # few pods have one

        make_empty_dir(place.path, container_config.fs_group(context.pod))
    allowed = (*record.unsafe_sysctls, *config_file.read(home).allowed_unsafe_sysctls)
    plan = launch_plan.sandbox_plan(
        context.shared,
        context.node.hostname,
        "",
        security_context.sysctls(context.pod, allowed),
        tuple(_pod_mounts(context, shared)),
        OOM_SCORE,
        first_id,
    )
    addresses = (lease.address, lease.ipv6) if lease is not None else ("", "")
    new_record = sandbox.new_record(record.uid, *addresses, context.node.address)
    care = [sys.executable, "-m", _CARE, home.root, record.uid]
    starting = sandbox.begin(home, ledger, new_record, plan, care, context.trace)
    if record.origin != API:
        starting.shim.say_care(True)
    return starting


def _create_shared(context: PodContext) -> None:
    _prepare_claims(context)
    create_volumes(context)
    context.trace("make cgroup of the pod")
    refused = context.tree.make_pod(
        context.record.uid, _pod_writes(context), class_of(qos.qos_class(context.pod))
    )
    context.warnings += [str(refusal) for refusal in refused]


def _prepare_claims(context: PodContext) -> None:
    """Makes what is provisioned here and gives the volumes of claims to the pod's fsGroup: once for
    each sandbox, as the kubelet mounts them. Later, when a volume that nobody wants any more may be
    gone, nothing makes it again. Host paths are left alone, as there.
    """
    places = [place for place in context.volumes.values() if place.kind in ("local", "provisioned")]
    if not places:
        return
    from kubelite.node.volume import local  # most pods have no claim

    group, security = container_config.fs_group(context.pod), context.pod.spec.security_context
    on_mismatch = security is not None and security.fs_group_change_policy == "OnRootMismatch"
    for place in places:
        if place.kind == "provisioned":
            context.trace("make volume of a claim")
            local.make_directory(place.path)
        local.check_directory(place.path)
        if group is not None:
            context.trace("give volume of a claim to the group")
            local.give_to_group(
                place.path, group, read_only=place.read_only, only_on_mismatch=on_mismatch
            )


def _write_etc(context: PodContext) -> None:
    sandbox.make_directory(context.etc)
    os.chmod(context.etc, 0o755)
    etc = resolver.etc_files(context.pod, context.node.pod_addresses, context.host_files)
    context.warnings += etc.warnings
    contents = {"hosts": etc.hosts, "resolv.conf": etc.resolv, "hostname": etc.hostname}
    for name, text in contents.items():
        path = f"{context.etc}/{name}"
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.chmod(path, 0o644)


def _pod_writes(context: PodContext) -> list[ControlWrite]:
    world = context.tree.world
    limits = container_config.pod_limits(
        context.pod, context.node.pids_limit, context.node.huge_pages
    )
    control_writes = pod_writes(limits, world)
    if container_config.any_privileged(context.pod):
        return control_writes
    spec = context.pod.spec
    blocks = block_devices(context, (*spec.init_containers, *spec.containers))
    return [*control_writes, *device_writes(world, (device.rule for device in blocks))]


def _pod_mounts(context: PodContext, shared: frozenset[str]) -> list[Mount]:
    """Volumes in memory, ``shared`` ones and /dev/shm: mounted once, in the mount namespace of the
    pod.
    """
    pod = context.pod
    ceiling = container_config.pod_limits(pod).memory_limit or context.node.memory
    pod_mounts = volumes.pod_mounts(
        context.volumes.values(),
        container_config.volume_sizes(pod),
        ceiling,
        container_config.fs_group(pod),
        shared,
    )
    mounts = [launch_plan.pod_mount(mount) for mount in pod_mounts]
    if not context.shared.host_ipc:
        options = f"mode=1777,size={launch_plan.SHM_BYTES}"
        mounts.append(Mount(MountKind.TMPFS, context.shm, options=options, name="shared memory"))
    return mounts
