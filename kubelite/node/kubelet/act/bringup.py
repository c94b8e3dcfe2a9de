"""How the parts of a pod are made: its sandbox, and one attempt of one of its containers.

What each start needs was decided by :mod:`kubelite.node.kubelet.decide.prepare`; when it is started, by
:mod:`kubelite.node.kubelet.decide.actions`.
"""

from __future__ import annotations

import os
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
from kubelite.node.kubelet.act import node_config
from kubelite.node.kubelet.act.images import FoundImage
from kubelite.node.kubelet.decide import prepare, secure
from kubelite.node.kubelet.decide.prepare import NodeFacts
from kubelite.node.network import resolver
from kubelite.node.network.pod import Lease, PodNetwork
from kubelite.node.network.resolver import HostFiles
from kubelite.node.runtime import bundle, idranges, sandbox
from kubelite.node.runtime.bundle import Bind, Security, Shared
from kubelite.node.runtime.container import Asked, Blueprint, Containers, Ready
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import ContainerRecord, PodRecord, SandboxRecord
from kubelite.node.runtime.sandbox import Sandbox, Starting
from kubelite.node.runtime.seccomp import filters
from kubelite.node.volume import mounts as volumes
from kubelite.node.volume.mounts import Part, Place
from kubelite.node.volume.sources import make_parts, make_places
from kubelite.objects.pod import expand, qos
from kubelite.objects.pod.pod import Container, Pod

PAUSE_OOM_SCORE = -998  # the kubelet's for its sandboxes


class Step(NamedTuple):
    """One step of a pod's way up or down, when it is done; ``milliseconds`` is negative where no
    time was taken.
    """

    name: str
    detail: str
    milliseconds: float


class Bringup:
    """Makes the parts of one pod: its sandbox and its containers. Its record is on disk and its
    lock is held by the caller.

    All of it can be done again over what an earlier boot, or somebody who was killed, has left.
    """

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
    ) -> None:
        self._home, self._ledger, self._tree = home, ledger, tree
        self._record, self._pod, self._images, self._node = record, pod, images, node
        self._host_files = host_files
        self._trace = trace
        self._shared: Shared = prepare.shared_namespaces(pod)
        self._containers = Containers(home, ledger, tree, record, trace)
        self._network = PodNetwork(home.run, home.key, home.lock)
        self._ahead: dict[str, Ready] = {}
        self.warnings: list[str] = []

    @property
    def address(self) -> str:
        """The pod's address, once it has one."""
        return self._node.pod_address

    def make_sandbox(self, *, ahead: bool) -> Sandbox:
        """The sandbox with all that the containers share, up and on record; the caller closes it.

        ``ahead``: all containers are new, and while the kernel makes pause a place is made for
        each. Raises what the rooms below raise, and Unstartable.
        """
        lease = self._reserve()
        with ExitStack() as ids:
            first = (
                ids.enter_context(idranges.reserved(self._record.uid))
                if self._shared.own_users
                else 0
            )
            starting = self._begin(lease, first)
            try:
                self._prepare()  # while the kernel makes pause and its namespaces
                for container in (
                    (*self._pod.spec.init_containers, *self._pod.spec.containers) if ahead else ()
                ):
                    self._ahead[container.name] = self._containers.prepare(
                        self._blueprint(container), 0
                    )
                made = sandbox.finish(starting)
            except BaseException:
                starting.close()
                raise
        try:
            if lease is not None:
                self._trace("attach network")
                self._network.attach(lease, made.netns)
            self._trace("record sandbox")
            sandbox.complete(self._ledger, made)
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        """Lets go of what was made ahead and not used."""
        for ready in self._ahead.values():
            ready.close()
        self._ahead.clear()

    def join(self, record: SandboxRecord) -> Sandbox:
        """The sandbox that is there; the caller closes it. Raises ShimGone."""
        self._node = self._node._replace(
            pod_address=record.address or self._node.pod_address,
            address=record.host_address or self._node.address,
        )
        return sandbox.join(self._home, record)

    # -- what the containers share --------------------------------------------------------------------------------------

    def _reserve(self) -> Lease | None:
        """The address and the directories: what the sandbox needs to know."""
        home, uid = self._home, self._record.uid
        lease = None
        if not self._shared.host_network:
            self._trace("lease address")
            owner = f"{self._record.namespace}/{self._record.name}"
            lease = self._network.prepare(uid, owner, prepare.host_ports(self._pod))
            self.warnings += lease.warnings
            self._node = self._node._replace(pod_address=lease.address, address=lease.gateway)
        self._trace("make directories")
        sandbox.make_directory(home.pod_run(uid))
        sandbox.make_directory(home.pod_logs(self._record.namespace, self._record.name, uid))
        return lease

    def _prepare(self) -> None:
        """Volumes, files of /etc, the pod's cgroup."""
        self._trace("make volumes")
        self._files  # noqa: B018 - made now, not with the first container that mounts one
        self._write_etc()
        self._trace("make cgroup of the pod")
        refused = self._tree.make_pod(
            self._record.uid, self._pod_knobs(), class_of(qos.qos_class(self._pod))
        )
        self.warnings += [str(each) for each in refused]

    @cached_property
    def _places(self) -> dict[str, Place]:
        """Where each volume lies, by name."""
        home, uid = self._home, self._record.uid
        found = volumes.places(
            self._pod.spec.volumes, f"{home.pod(uid)}/volumes", f"{home.pod_run(uid)}/memory"
        )
        return {place.name: place for place in found}

    @cached_property
    def _files(self) -> frozenset[Part]:
        """The volumes, which are there from now on, that are no directory."""
        return make_places(self._places.values(), prepare.fs_group(self._pod))

    def _write_etc(self) -> None:
        directory = f"{self._home.pod(self._record.uid)}/etc"
        sandbox.make_directory(directory)
        os.chmod(directory, 0o755)
        etc = resolver.etc_files(self._pod, self._node.pod_address, self._host_files)
        self.warnings += etc.warnings
        for name, text in (
            ("hosts", etc.hosts),
            ("resolv.conf", etc.resolv),
            ("hostname", etc.hostname),
        ):
            path = f"{directory}/{name}"
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
            os.chmod(path, 0o644)

    def _pod_knobs(self) -> list[Knob]:
        world = self._tree.world
        knobs = pod_knobs(
            prepare.pod_limits(self._pod, self._node.pids_limit, self._node.huge_pages), world
        )
        return knobs if prepare.any_privileged(self._pod) else [*knobs, *device_knobs(world)]

    def _begin(self, lease: Lease | None, first_id: int) -> Starting:
        sysctls = secure.sysctls(
            self._pod,
            (*self._record.unsafe_sysctls, *node_config.read(self._home).allowed_unsafe_sysctls),
        )
        plan = bundle.sandbox_plan(
            self._shared,
            self._node.hostname,
            "",
            sysctls,
            tuple(self._tmpfs()),
            PAUSE_OOM_SCORE,
            first_id,
        )
        address = lease.address if lease is not None else ""
        record = sandbox.new_record(self._record.uid, address, self._node.address)
        return sandbox.begin(self._home, self._ledger, record, plan, self._trace)

    def _tmpfs(self) -> list[Mount]:
        ceiling = prepare.pod_limits(self._pod).memory_limit or self._node.memory
        sizes = prepare.volume_sizes(self._pod)
        found = volumes.pod_mounts(
            self._places.values(), sizes, ceiling, prepare.fs_group(self._pod)
        )
        mounts = [
            Mount(MountKind.TMPFS, each.target, options=each.options, name=f'volume "{each.name}"')
            for each in found
        ]
        if not self._shared.host_ipc:
            options = f"mode=1777,size={bundle.SHM_BYTES}"
            mounts.append(Mount(MountKind.TMPFS, self._shm, options=options, name="shared memory"))
        return mounts

    @property
    def _shm(self) -> str:
        return (
            "/dev/shm" if self._shared.host_ipc else f"{self._home.pod_run(self._record.uid)}/shm"
        )

    # -- containers -----------------------------------------------------------------------------------------------------

    def ask(self, sandboxed: Sandbox, container: Container, *, attempt: int, backoff: int) -> Asked:
        """Asks for the start of an attempt; :meth:`settle` has the answer. Raises Unstartable and
        what the rooms below raise.
        """
        with closing(self._ready(container, attempt)) as ready:
            mounts = self._mounts(sandboxed, container, ready.made.security)
            return self._containers.ask(
                sandboxed.shim, ready, mounts, sandbox=sandboxed.record.pause, backoff=backoff
            )

    def resume(self, sandboxed: Sandbox, container: Container, record: ContainerRecord) -> Asked:
        """Asks again for a start that is on record. Raises what :meth:`ask` does."""
        asked = self._containers.overheard(sandboxed.shim, record, len(self._pod.spec.containers))
        if asked is not None:
            return asked
        with closing(self._ready(container, record.attempt)) as ready:
            mounts = self._mounts(sandboxed, container, ready.made.security)
            return self._containers.resume(sandboxed.shim, ready, mounts, record)

    def visitor(self, sandboxed: Sandbox, container: Container) -> tuple[Blueprint, list[Mount]]:
        """What a container that is not of the pod would be made from. Raises Unstartable and what
        the rooms below raise.
        """
        made = self._blueprint(container)
        return made, self._mounts(sandboxed, container, made.security)

    def _ready(self, container: Container, attempt: int) -> Ready:
        ahead = self._ahead.pop(container.name, None) if attempt == 0 else None
        return ahead or self._containers.prepare(self._blueprint(container), attempt)

    def settle(self, sandboxed: Sandbox, asked: Asked) -> ContainerRecord:
        """Waits until the program runs. Raises CannotStart, ShimGone."""
        return self._containers.settle(sandboxed.shim, asked)

    def _blueprint(self, container: Container) -> Blueprint:
        found = self._images[container.image or ""]
        safety = filters.applied(
            self._home, secure.security(self._pod, container, found.facts, self._node)
        )
        devices, knobs = self._devices(safety.privileged)
        return Blueprint(
            name=container.name,
            init=container in self._pod.spec.init_containers,
            image=container.image or "",
            image_id=found.facts.id,
            layers=tuple(str(layer) for layer in found.image.layers),
            program=prepare.program(
                self._pod, container, found.facts, self._node, safety.user.home
            ),
            security=safety,
            shared=self._shared,
            covers=self._host_covers if found.image.id == HOST else (),
            devices=devices,
            knobs=(
                *container_knobs(
                    prepare.container_limits(container, self._node.huge_pages), self._tree.world
                ),
                *knobs,
            ),
            stdin=bool(container.stdin),
            stdin_once=bool(container.stdin_once),
            message=prepare.message_path(container),
        )

    def _devices(self, privileged: bool) -> tuple[tuple[Device, ...], list[Knob]]:
        """A privileged container gets the machine's devices; beside one the others are kept from
        them one by one.
        """
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
        etc = volumes.etc_mounts(
            f"{self._home.pod(self._record.uid)}/etc", own, security.readonly_root
        )
        system = bundle.system_mounts(security.privileged, self._shm, self._tree.world.kind == "v2")
        ours = (f"{self._home.pod(self._record.uid)}/", f"{self._home.pod_run(self._record.uid)}/")
        binds = (
            Bind(*mount, own=mount.source.startswith(ours))
            for mount in volumes.in_order([*etc, *own])
        )
        return [*system, *map(bundle.bind_mount, binds)]
