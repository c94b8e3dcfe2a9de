"""Carries out what was decided for a pod, one action after the other, each on record before the
kernel is changed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from signal import SIGKILL
from typing import TYPE_CHECKING

from kubelite.core.errors import NativeError, ShimGone
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.errors import CgroupError
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.image.errors import ImageError
from kubelite.node.kubelet.act import facts, images, node_config
from kubelite.node.kubelet.act.bringup import Bringup, Step
from kubelite.node.kubelet.act.exit_recorder import Harvest
from kubelite.node.kubelet.act.pod_state import Part, Scene
from kubelite.node.kubelet.decide import actions, policy
from kubelite.node.kubelet.decide.actions import Action, Start
from kubelite.node.kubelet.decide.prepare import NodeFacts, Unstartable
from kubelite.node.kubelet.decide.stopping import Kill, MarkStop, RunHook, Terminate
from kubelite.node.kubelet.probe.probe_runner import Attention
from kubelite.node.kubelet.probe.target import Target
from kubelite.node.network.errors import NetworkError
from kubelite.node.network.hostfiles import read_host_files
from kubelite.node.network.resolver import pod_names
from kubelite.node.runtime.clock import SECOND
from kubelite.node.runtime.container import Asked
from kubelite.node.runtime.errors import CannotStart, RuntimeFailure
from kubelite.node.runtime.records import (
    CREATING,
    HOOK_BEGUN,
    RESTART,
    RUN,
    ContainerRecord,
    PodStop,
    Seen,
    Stop,
)
from kubelite.node.runtime.removal import Remover, remove_attempt
from kubelite.node.runtime.sandbox import Sandbox, new_id
from kubelite.node.volume.errors import VolumeError
from kubelite.objects.pod.qos import is_sidecar

if TYPE_CHECKING:
    from kubelite.core.plan import Mount
    from kubelite.node.kubelet.act.images import FoundImage
    from kubelite.node.runtime.container import Blueprint
    from kubelite.objects.pod.container import Container

REFUSALS = (
    Unstartable,
    RuntimeFailure,
    CgroupError,
    ImageError,
    VolumeError,
    NetworkError,
    NativeError,
    OSError,
)
"""What may be wrong with a pod or its node when a part of it is made."""
RETRY = 10 * SECOND


class Executor:
    """``strict``: what cannot be made is raised, for the command that is to bring the pod up;
    otherwise it counts as an attempt that failed, and is tried again. ``most`` is the node's
    longest back-off in nanoseconds."""

    def __init__(
        self,
        scene: Scene,
        attention: Attention,
        most: int,
        *,
        strict: bool,
        found: dict[str, FoundImage] | None,
        trace: Callable[[str], None],
        report: Callable[[Step], None],
    ) -> None:
        self._scene, self._attention, self._most = scene, attention, most
        self._strict, self._trace, self._report = strict, trace, report
        self._found = found
        self._began: dict[str, float] = {}
        self.tree = CgroupTree(read_world(), scene.home.cgroup)
        self.sandbox: Sandbox | None = None
        self.retry_at = 0
        self.warnings: list[str] = []

    def close(self) -> None:
        """Lets go of everything; the pod runs on."""
        self.tree.close()
        self.leave()

    def leave(self) -> None:
        """Forgets what holds only for one sandbox and while the lock is held."""
        if self.sandbox is not None:
            self.sandbox.close()
            self.sandbox = None
        bringup = self.__dict__.pop("_bringup", None)
        if bringup is not None:
            bringup.close()

    def carry_out(self, wanted: Sequence[Action]) -> None:
        """All of it, in order. Raises ShimGone when the sandbox has died meanwhile: then look
        again.
        """
        starts = [each for each in wanted if isinstance(each, Start)]
        for each in wanted:
            if not isinstance(each, Start):
                self._act(each)
        if starts:
            self._start(starts)

    def _act(self, action: Action) -> None:
        match action:
            case actions.MakeSandbox():
                self._make_sandbox()
            case actions.ClearSandbox():
                self._clear_sandbox()
            case actions.Resume(name):
                self._resume(name)
            case actions.Note(name):
                self._note(name)
            case actions.Fail(reason, message):
                self._fail(reason, message)
            case actions.RestartAll(name, code):
                self._restart_all(name, code)
            case actions.Restarted():
                self._restarted()
            case actions.Resize():
                self._resize()
            case MarkStop(name, grace, again):
                self.mark_stop(name, grace, again=again, why=self._why(name))
            case RunHook(name, kind, until):
                self._run_hook(name, kind, until)
            case Terminate(name, number):
                self._terminate(name, number)
            case Kill(name):
                self._kill(name)

    # -- the sandbox ----------------------------------------------------------------------------------------------------

    def _images(self) -> dict[str, FoundImage]:
        if self._found is None:
            return images.resolve(self._scene.home, self._scene.pod)
        return self._found

    @cached_property
    def _bringup(self) -> Bringup:
        scene = self._scene
        host_files = read_host_files()
        address = facts.node_address() if scene.pod.spec.host_network else ""
        node = NodeFacts(
            name=facts.node_name(),
            address=address,
            pod_address=address,
            cpus=facts.cpus(),
            memory=facts.memory(),
            capabilities=facts.capabilities(),
            hostname=pod_names(scene.pod, host_files.hostname).hostname,
            modules=facts.security_modules(),
            pids_limit=node_config.pids_limit(scene.home) or facts.pids_limit(),
            huge_pages=facts.huge_pages(),
        )
        return Bringup(
            scene.home,
            scene.ledger,
            self.tree,
            scene.record,
            scene.pod,
            self._images(),
            node,
            host_files,
            trace=self._trace,
        )

    def _make_sandbox(self) -> None:
        began = time.perf_counter()
        scene = self._scene
        try:
            self.leave()
            self.sandbox = self._bringup.make_sandbox(ahead=not scene.seen.containers)
        except REFUSALS as error:
            if self._strict:
                raise
            scene.event(
                "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}", warning=True
            )
            scene.put_sandbox(scene.ledger.sandbox(scene.uid), up=False)
            self.retry_at = scene.moment().now + RETRY
            return
        self.warnings += self._bringup.warnings
        scene.put_sandbox(self.sandbox.record, up=True)
        self._done("sandbox", self._bringup.address, began)

    def _clear_sandbox(self) -> None:
        scene = self._scene
        self.leave()
        scene.event("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        Remover(scene.home, scene.ledger, self._trace).clear_sandbox(scene.uid)
        scene.look()

    def joined(self) -> Sandbox:
        """The sandbox that runs. Raises ShimGone."""
        if self.sandbox is None:
            record = self._scene.seen.sandbox
            if record is None:
                raise ShimGone("the pod has no sandbox")
            self.sandbox = self._bringup.join(record)
        return self.sandbox

    def visitor(self, container: Container) -> tuple[Blueprint, list[Mount]]:
        """See :meth:`Bringup.visitor`. Raises ShimGone."""
        sandbox = self.joined()
        return self._bringup.visitor(sandbox, container)

    def _done(self, name: str, detail: str, began: float) -> None:
        self._report(Step(name, detail, (time.perf_counter() - began) * 1000))

    # -- starts ---------------------------------------------------------------------------------------------------------

    def _start(self, starts: list[Start]) -> None:
        """All at once: while the kernel works on one, the next is asked for."""
        scene, began = self._scene, time.perf_counter()
        asked = [got for each in starts if (got := self._ask(each)) is not None]
        if scene.record.stage == CREATING:
            self._trace("flush record")
            scene.ledger.flush_pod(scene.uid)  # while the kernel starts the containers
        for each in asked:
            self._settle(each, began)

    def _ask(self, start: Start) -> Asked | None:
        part, seen = self._part(start.name), self._scene.of(start.name)
        try:
            asked = self._bringup.ask(
                self.joined(), part.container, attempt=start.attempt, backoff=start.backoff
            )
        except REFUSALS as error:
            self._refused(start.name, start.attempt, start.backoff, error)
            return None
        self._scene.put(
            Seen(asked.record, False, None, None, seen.past if seen is not None else None)
        )
        if seen is not None:
            self._forget(seen)
        return asked

    def _resume(self, name: str) -> None:
        part, seen = self._part(name), self._scene.of(name)
        if seen is None:
            return
        try:
            asked = self._bringup.resume(self.joined(), part.container, seen.record)
        except REFUSALS as error:
            self._refused(name, seen.record.attempt, seen.record.backoff, error)
            return
        self._settle(asked, time.perf_counter())

    def _settle(self, asked: Asked, began: float) -> None:
        scene, name = self._scene, asked.record.name
        before = seen.before if (seen := scene.of(name)) is not None else None
        try:
            record = self._bringup.settle(self.joined(), asked)
        except CannotStart as error:
            self._refused(name, asked.record.attempt, asked.record.backoff, error)
            return
        scene.put(Seen(record, True, None, None, before))
        scene.event("Pulled", f'Container image "{record.image}" already present on machine', name)
        scene.event("Created", f"Created container: {name}", name)
        scene.event("Started", f"Started container {name}", name)
        self._began[name] = began
        if not record.init:
            self._done("container", name, began)
        elif is_sidecar(self._part(name).container):
            self._done("sidecar", name, began)

    def _part(self, name: str) -> Part:
        part = self._scene.part(name)
        if part is None:
            raise RuntimeFailure(f'the pod has no container "{name}" any more')
        return part

    def _refused(self, name: str, attempt: int, backoff: int, error: Exception) -> None:
        """A start that failed: raised, or an attempt that is over."""
        if self._strict:
            raise error
        scene, part = self._scene, self._part(name)
        reason = "StartError" if isinstance(error, CannotStart) else "CreateContainerError"
        scene.event("Failed", f"Error: {error}", name, warning=True)
        seen = scene.of(name)
        if seen is None or seen.record.attempt != attempt:
            record = _never_made(
                part, attempt, scene.seen.sandbox.pause if scene.seen.sandbox is not None else ""
            )
            record.backoff = backoff
            scene.save_container(record)
            seen = Seen(record, False, None, None, seen.past if seen is not None else None)
        past = self._harvest.take(seen, part.container, part.init, scene.moment(), self._most)
        past.reason, past.message = reason, str(error)
        past.code = error.exit_code if isinstance(error, CannotStart) else 128
        self._harvest.keep(seen, past, durable=True)
        scene.put(seen._replace(past=past))

    def _forget(self, seen: Seen) -> None:
        """What only an attempt needed that a later one has followed; its note, and the log before
        the last, stay.
        """
        scene, record = self._scene, seen.record
        scene.ledger.drop_container(scene.uid, record.id)
        pod = scene.record
        logs = scene.home.pod_logs(pod.namespace, pod.name, pod.uid)
        remove_attempt(scene.home.pod(scene.uid), logs, record.name, record.attempt)

    # -- ends -----------------------------------------------------------------------------------------------------------

    @property
    def _harvest(self) -> Harvest:
        return Harvest(self._scene.home, self._scene.ledger, self.tree, self._scene.record)

    def _note(self, name: str) -> None:
        scene = self._scene
        seen, part = scene.of(name), scene.part(name)
        if seen is None:
            return
        self._trace(f"note end of {name}")
        container = part.container if part is not None else None
        init = part.init if part is not None else seen.record.init
        past = self._harvest.take(seen, container, init, scene.moment(), self._most)
        scene.put(seen._replace(past=past, running=False))
        if init and name in self._began and past.code == 0:
            self._done("init", name, self._began.pop(name))
        self._trace(f"acknowledge exit of {name}")
        if scene.seen.up:
            with contextlib.suppress(ShimGone, NativeError):
                self.joined().shim.acknowledge(seen.record.id)

    def _fail(self, reason: str, message: str) -> None:
        scene, at = self._scene, self._scene.moment()
        record = scene.record
        record.reason, record.message = reason, message
        record.stop = PodStop(since=at.now, boot=at.boot, grace=policy.grace(scene.pod) * SECOND)
        self._trace("record failure")
        scene.save()
        scene.event(reason, message)

    def _restart_all(self, name: str, code: int) -> None:
        """As Kubernetes has it, without hooks and without grace."""
        scene, at = self._scene, self._scene.moment()
        record = scene.record
        record.goal, record.stop = RESTART, PodStop(since=at.now, boot=at.boot, grace=0)
        record.anew = f"Container {name} exited with code {code}, triggering pod restart"
        self._trace("record that all containers restart")
        scene.save()
        scene.event("AllContainersRestarting", record.anew)

    def _restarted(self) -> None:
        """Forgives every container its past, then lets the pod run: in this order, so that a kill
        between loses nothing.
        """
        scene, record = self._scene, self._scene.record
        for seen in scene.seen.containers:
            part = scene.part(seen.record.name)
            if part is None or seen.past is None:
                continue
            member = policy.Member(part.container, part.init, seen)
            if record.anew:
                seen.record.sandbox = ""  # as in a new sandbox: then init containers run once more
                scene.save_container(seen.record)
                if seen.past.again:
                    continue  # by the hand of somebody who was killed, or ended for this
            if record.anew or policy.runs_again_when_asked(member):
                self.forgive(seen, entirely=not policy.restarts_all(member))
        record.goal, record.stop, record.reason, record.message = RUN, None, "", ""
        self._trace("record that the pod runs again")
        scene.save()

    def _why(self, name: str) -> str:
        seen = self._scene.of(name)
        outdated = seen is not None and actions.is_outdated(seen, self._scene.record)
        return f"Container {name} definition changed, will be restarted" if outdated else ""

    def _resize(self) -> None:
        from kubelite.node.kubelet.act import resizing

        scene = self._scene
        self._trace("set limits")
        try:
            if scene.seen.up:
                resizing.apply(
                    self.tree,
                    scene.uid,
                    scene.pod,
                    [each for each in scene.seen.containers if each.running],
                )
            scene.event("ResizeCompleted", "Pod resize completed")
        except CgroupError as error:
            scene.event("ResizeError", f"Pod resize failed: {error}", warning=True)
        scene.record.resize = False
        self._trace("record that limits are set")
        scene.save()

    def forgive(self, seen: Seen, *, entirely: bool = True) -> None:
        """A container that has ended is started again whatever its restart policy says;
        ``entirely``: its back-off too.
        """
        if seen.past is not None:
            seen.past.again = True
            if entirely:
                seen.past.until = seen.past.wait = 0
            self._harvest.keep(seen, seen.past, durable=True)

    def mark_stop(self, name: str, grace: int, *, again: bool = False, why: str = "") -> None:
        """A container is to end; ``grace`` in nanoseconds."""
        seen = self._scene.of(name)
        if seen is None or seen.record.stop is not None:
            return
        seen.record.stop = Stop(
            since=self._scene.moment().now, grace=grace, reason=why, again=again
        )
        self._trace(f"mark {name} as stopping")
        self._scene.save_container(seen.record)
        self._scene.event("Killing", why or f"Stopping container {name}", name)

    def _run_hook(self, name: str, kind: str, until: int) -> None:
        seen, part = self._scene.of(name), self._part(name)
        if seen is None:
            return
        if kind == "post_start":
            seen.record.hooked = HOOK_BEGUN
        elif seen.record.stop is not None:
            seen.record.stop.hook = HOOK_BEGUN
        self._trace(f"hook {kind} of {name}")
        self._scene.save_container(seen.record)
        left = (until - self._scene.moment().now) / SECOND if until else float("inf")
        target = self.target(seen.record)
        if target is not None and not self._attention.hooking(seen.record.id, kind):
            self._attention.hook(target._replace(container=part.container), kind, max(left, 0))

    def target(self, record: ContainerRecord) -> Target | None:
        """What probes and hooks of a container are about."""
        scene, part = self._scene, self._scene.part(record.name)
        sandbox = scene.seen.sandbox
        if part is None or sandbox is None:
            return None
        on_host = scene.pod.spec.host_network
        return Target(
            scene.home,
            scene.uid,
            os.getpid() if on_host else sandbox.pause_pid,
            facts.node_address() if on_host else sandbox.address,
            part.container,
            record,
        )

    def _terminate(self, name: str, number: int) -> None:
        seen = self._scene.of(name)
        if seen is None or seen.record.stop is None:
            return
        self._trace(f"stop container {name}")
        self._signal(
            seen, number
        )  # first: a signal sent twice is harmless, one that was only recorded is not
        seen.record.stop.signalled = self._scene.moment().now
        self._scene.save_container(seen.record)

    def _kill(self, name: str) -> None:
        seen = self._scene.of(name)
        if seen is None or seen.record.stop is None:
            return
        self._trace(f"kill container {name}")
        self._signal(seen, SIGKILL)
        seen.record.stop.killed = self._scene.moment().now
        self._scene.save_container(seen.record)

    def _signal(self, seen: Seen, number: int) -> None:
        with contextlib.suppress(NativeError):
            self.joined().shim.signal(seen.record.id, number)


def _never_made(part: Part, attempt: int, sandbox: str) -> ContainerRecord:
    """The record of an attempt that came to nothing before anything of it was made."""
    container = part.container
    return ContainerRecord(
        id=new_id(), name=container.name, init=part.init, attempt=attempt, image=container.image or "", image_id="",
        created_at=time.time_ns(), env=(), cwd="/", uid=0, gid=0, groups=(), caps=(), no_new_privs=False, tty=False,
        stdin=False, oom_score_adj=0, pid=-1, sandbox=sandbox,
    )  # fmt: skip
