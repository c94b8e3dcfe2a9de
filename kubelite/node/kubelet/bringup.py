"""The acting half of ``pod up``: from a pod on record to running processes.

Sandbox first, init containers one after the other, then all containers at once. What each start needs was decided by
:mod:`kubelite.node.kubelet.prepare`; whoever calls undoes everything when something here raises.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from kubelite.core.plan import Device, Mount, MountKind
from kubelite.node.cgroup.classes import class_of
from kubelite.node.cgroup.limits import Knob, container_knobs, device_knobs, pod_knobs
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.image.host import host_covers
from kubelite.node.image.reference import HOST
from kubelite.node.kubelet import prepare, secure
from kubelite.node.kubelet.images import FoundImage
from kubelite.node.kubelet.prepare import NodeFacts
from kubelite.node.network import resolver
from kubelite.node.network.pod import Lease, PodNetwork
from kubelite.node.network.resolver import HostFiles
from kubelite.node.runtime import bundle, filters, idranges, sandbox
from kubelite.node.runtime.bundle import Bind, Security, Shared
from kubelite.node.runtime.container import Asked, Blueprint, Containers, Ready
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import PodRecord
from kubelite.node.runtime.sandbox import Sandbox, Starting
from kubelite.node.volume import mounts as volumes
from kubelite.node.volume.mounts import Part, Place
from kubelite.node.volume.sources import make_parts, make_places
from kubelite.objects import expand, qos
from kubelite.objects.pod import Container, Pod

PAUSE_OOM_SCORE = -998  # the kubelet's for its sandboxes


class Step(NamedTuple):
    """One step of a pod's way up or down, when it is done; ``milliseconds`` is negative where no time was taken."""

    name: str
    detail: str
    milliseconds: float


class InitFailed(Exception):
    """An init container ended with another exit code than 0: the pod is on record, and goes no further."""


class Bringup:
    """Brings up one pod. Its record is on disk and its lock is held by the caller."""

    def __init__(
        self,
        home: Home,
        ledger: Ledger,
        tree: CgroupTree,
        record: PodRecord,
        pod: Pod,
        images: dict[str, FoundImage],
        node: NodeFacts,
        host_files: HostFiles,
        *,
        trace: Callable[[str], None],
        report: Callable[[Step], None],
    ) -> None:
        self._home, self._ledger, self._tree = home, ledger, tree
        self._record, self._pod, self._images, self._node = record, pod, images, node
        self._host_files = host_files
        self._trace, self._report = trace, report
        self._shared: Shared = prepare.shared_namespaces(pod)
        self._containers = Containers(home, ledger, tree, record, trace)
        self._network = PodNetwork(home.run, home.key, home.lock)
        self._places: dict[str, Place] = {}
        self._ready: dict[str, Ready] = {}
        self._files: frozenset[Part] = frozenset()
        self.warnings: list[str] = []

    def run(self) -> None:
        """All of it. Raises what the rooms below raise, Unstartable, and InitFailed when an init container failed."""
        began = time.perf_counter()
        lease = self._reserve()
        with ExitStack() as places, ExitStack() as ids:
            first = ids.enter_context(idranges.reserved(self._record.uid)) if self._shared.own_users else 0
            starting = self._begin(lease, first)
            try:
                self._prepare(places)  # while the kernel makes pause and its namespaces
                sandboxed = sandbox.finish(self._ledger, starting)
            except BaseException:
                starting.close()
                raise
            ids.close()
            with sandboxed:
                if lease is not None:
                    self._trace("attach network")
                    self._network.attach(lease, sandboxed.netns)
                self._done("sandbox", self._node.pod_address, began)
                self._start_all(sandboxed)

    def _done(self, name: str, detail: str, began: float) -> None:
        self._report(Step(name, detail, (time.perf_counter() - began) * 1000))

    # -- what the containers share --------------------------------------------------------------------------------------

    def _reserve(self) -> Lease | None:
        """The address, the directories, and where each volume will lie: what the sandbox needs to know."""
        home, uid, spec = self._home, self._record.uid, self._pod.spec
        lease = None
        if not self._shared.host_network:
            self._trace("lease address")
            owner = f"{self._record.namespace}/{self._record.name}"
            lease = self._network.prepare(uid, owner, prepare.host_ports(self._pod))
            self.warnings += lease.warnings
            self._node = self._node._replace(pod_address=lease.address, address=lease.gateway)
        self._trace("make directories")
        os.mkdir(home.pod_run(uid), 0o700)
        os.mkdir(home.pod_logs(self._record.namespace, self._record.name, uid), 0o700)
        found = volumes.places(spec.volumes, f"{home.pod(uid)}/volumes", f"{home.pod_run(uid)}/memory")
        self._places = {place.name: place for place in found}
        return lease

    def _prepare(self, stack: ExitStack) -> None:
        """Volumes, files of /etc, the pod's cgroup, and a place for each container."""
        self._trace("make volumes")
        self._files = make_places(self._places.values(), prepare.fs_group(self._pod))
        self._write_etc()
        self._trace("make cgroup of the pod")
        refused = self._tree.make_pod(self._record.uid, self._pod_knobs(), class_of(qos.qos_class(self._pod)))
        self.warnings += [str(each) for each in refused]
        for container in (*self._pod.spec.init_containers, *self._pod.spec.containers):
            made = self._blueprint(container)
            self._ready[container.name] = stack.enter_context(closing(self._containers.prepare(made, attempt=0)))

    def _write_etc(self) -> None:
        directory = f"{self._home.pod(self._record.uid)}/etc"
        os.mkdir(directory)
        etc = resolver.etc_files(self._pod, self._node.pod_address, self._host_files)
        self.warnings += etc.warnings
        for name, text in (("hosts", etc.hosts), ("resolv.conf", etc.resolv), ("hostname", etc.hostname)):
            path = f"{directory}/{name}"
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
            os.chmod(path, 0o644)

    def _pod_knobs(self) -> list[Knob]:
        world = self._tree.world
        knobs = pod_knobs(prepare.pod_limits(self._pod, self._node), world)
        return knobs if prepare.any_privileged(self._pod) else [*knobs, *device_knobs(world)]

    def _begin(self, lease: Lease | None, first_id: int) -> Starting:
        sysctls = secure.sysctls(self._pod, self._record.unsafe_sysctls)
        plan = bundle.sandbox_plan(
            self._shared, self._node.hostname, "", sysctls, tuple(self._tmpfs()), PAUSE_OOM_SCORE, first_id
        )
        address = lease.address if lease is not None else ""
        record = sandbox.new_record(self._record.uid, address, self._node.address)
        return sandbox.begin(self._home, self._ledger, record, plan, self._trace)

    def _tmpfs(self) -> list[Mount]:
        ceiling = prepare.pod_limits(self._pod, self._node).memory_limit or self._node.memory
        sizes = prepare.volume_sizes(self._pod)
        found = volumes.pod_mounts(self._places.values(), sizes, ceiling, prepare.fs_group(self._pod))
        mounts = [
            Mount(MountKind.TMPFS, each.target, options=each.options, name=f'volume "{each.name}"') for each in found
        ]
        if not self._shared.host_ipc:
            options = f"mode=1777,size={bundle.SHM_BYTES}"
            mounts.append(Mount(MountKind.TMPFS, self._shm, options=options, name="shared memory"))
        return mounts

    @property
    def _shm(self) -> str:
        return "/dev/shm" if self._shared.host_ipc else f"{self._home.pod_run(self._record.uid)}/shm"

    # -- containers -----------------------------------------------------------------------------------------------------

    def _start_all(self, sandboxed: Sandbox) -> None:
        shim, spec = sandboxed.shim, self._pod.spec
        for container in spec.init_containers:
            began = time.perf_counter()
            self._run_init(sandboxed, container)
            self._done("init", container.name, began)
        began = time.perf_counter()
        asked = [self._ask(sandboxed, container) for container in spec.containers]
        self._trace("flush record")
        self._ledger.flush_pod(self._record.uid)  # while the kernel starts the containers
        for each in asked:
            self._containers.settle(shim, each)
            self._done("container", each.record.name, began)

    def _run_init(self, sandboxed: Sandbox, container: Container) -> None:
        shim = sandboxed.shim
        record = self._containers.settle(shim, self._ask(sandboxed, container))
        self._trace(f"wait for init container {container.name}")
        ended = shim.exited(shim.ask_wait(record.id))
        if ended.code != 0:
            raise InitFailed(container.name)

    def _ask(self, sandboxed: Sandbox, container: Container) -> Asked:
        ready = self._ready[container.name]
        return self._containers.ask(sandboxed.shim, ready, self._mounts(sandboxed, container, ready.made.security))

    def _blueprint(self, container: Container) -> Blueprint:
        found = self._images[container.image or ""]
        safety = filters.applied(self._home, secure.security(self._pod, container, found.facts, self._node))
        devices, knobs = self._devices(safety.privileged)
        return Blueprint(
            name=container.name,
            init=container in self._pod.spec.init_containers,
            image=container.image or "",
            image_id=found.facts.id,
            layers=tuple(str(layer) for layer in found.image.layers),
            program=prepare.program(self._pod, container, found.facts, self._node, safety.user.home),
            security=safety,
            shared=self._shared,
            covers=self._host_covers if found.image.id == HOST else (),
            devices=devices,
            knobs=(*container_knobs(prepare.container_limits(container, self._node), self._tree.world), *knobs),
            stdin=bool(container.stdin),
            stdin_once=bool(container.stdin_once),
        )

    def _devices(self, privileged: bool) -> tuple[tuple[Device, ...], list[Knob]]:
        """A privileged container gets the machine's devices; beside one the others are kept from them one by one."""
        if privileged:
            from kubelite.node.runtime.devices import host_devices

            return host_devices(), []
        return (), device_knobs(self._tree.world) if prepare.any_privileged(self._pod) else []

    @cached_property
    def _host_covers(self) -> tuple[str, ...]:
        return tuple(host_covers(Path(self._home.root), Path(self._home.run)))

    def _mounts(self, sandboxed: Sandbox, container: Container, security: Security) -> list[Mount]:
        wanted = container.volume_mounts
        env = prepare.declared_env(self._pod, container, self._node)

        def expanded(text: str) -> str:
            return expand.expand(text, env)

        view = f"/proc/{sandboxed.record.shim_pid}/root"
        files = self._files | make_parts(volumes.parts(wanted, expanded), self._places, view)
        own = volumes.container_mounts(wanted, self._places, files, expanded)
        etc = volumes.etc_mounts(f"{self._home.pod(self._record.uid)}/etc", own, security.readonly_root)
        system = bundle.system_mounts(security.privileged, self._shm, self._tree.world.kind == "v2")
        ours = (f"{self._home.pod(self._record.uid)}/", f"{self._home.pod_run(self._record.uid)}/")
        binds = (Bind(*mount, own=mount.source.startswith(ours)) for mount in volumes.in_order([*etc, *own]))
        return [*system, *map(bundle.bind_mount, binds)]
