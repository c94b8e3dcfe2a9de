"""Carries out the actions decided for a pod, one after the other, each on record before the kernel
is changed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from signal import SIGKILL
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from kubelite.core.errors import NativeError, ShimGone
from kubelite.core.plan import Mount
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.errors import CgroupError
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.image.errors import ImageError, PullError
from kubelite.node.kubelet.act import facts, images, pod_context, sandbox_setup
from kubelite.node.kubelet.act.container_inputs import container_inputs, container_mounts
from kubelite.node.kubelet.act.images import ResolvedImage
from kubelite.node.kubelet.act.pod_context import PodContext
from kubelite.node.kubelet.act.pod_state import DeclaredContainer, PodState
from kubelite.node.kubelet.act.probe_runner import ProbeAndHookRunner
from kubelite.node.kubelet.decide import actions, restart_policy
from kubelite.node.kubelet.decide.actions import Action, StartContainer
from kubelite.node.kubelet.decide.container_config import ContainerConfigError
from kubelite.node.kubelet.decide.stopping import Kill, MarkStop, RunHook, Terminate
from kubelite.node.network.errors import NetworkError
from kubelite.node.runtime import sandbox
from kubelite.node.runtime.clock import SECOND, boottime
from kubelite.node.runtime.container import (
    Containers,
    PendingStart,
    PreparedAttempt,
)
from kubelite.node.runtime.errors import CannotStart, RuntimeFailure
from kubelite.node.runtime.launch_plan import StartInputs
from kubelite.node.runtime.records import (
    CREATING,
    HOOK_BEGUN,
    REMOVING,
    RESTART,
    RUN,
    Blocked,
    ContainerRecord,
    FinishedAttempt,
    ObservedContainer,
    PodStop,
    ResizeInProgress,
    Stop,
    without_process,
)
from kubelite.node.runtime.sandbox import Sandbox, new_id
from kubelite.node.volume.errors import MountFailed, SourceNotReady, VolumeError
from kubelite.objects.pod import expand
from kubelite.objects.pod.container import Container, EphemeralContainer
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.qos import is_sidecar

if TYPE_CHECKING:
    from kubelite.node.kubelet.act.exit_recorder import ExitRecorder
    from kubelite.node.kubelet.act.volume_contents import Contents
    from kubelite.node.kubelet.probe.target import Target

START_ERRORS = (
    RuntimeFailure,
    CgroupError,
    ImageError,
    VolumeError,
    NetworkError,
    NativeError,
    OSError,
)
"""What may be wrong with a pod or its node when a part of it is created."""


@contextlib.contextmanager
def announcing_failure(state: PodState) -> Iterator[None]:
    """A sandbox that cannot be removed for its network's sake gets an event; it is tried again."""
    try:
        yield
    except NetworkError as error:
        state.event("FailedKillPod", f"error killing pod: {error}", warning=True)
        state.timeline.flush()
        raise


class Step(NamedTuple):
    """A finished step, as a command shows it while a pod goes up or down; ``milliseconds`` is
    negative where its time was not measured.
    """

    name: str
    detail: str
    milliseconds: float


class Executor:
    """Carries out actions on the pod of ``state``.

    ``strict``: a failed start is raised, for the command that brings the pod up; otherwise it
    counts as a failed attempt and is tried again. ``node_max_backoff`` is in nanoseconds.
    ``resolved`` are the pod's images where the caller has looked them up.
    """

    def __init__(
        self,
        state: PodState,
        runner: ProbeAndHookRunner,
        node_max_backoff: int,
        *,
        strict: bool,
        resolved: dict[str, ResolvedImage] | None,
        trace: Callable[[str], None],
        report: Callable[[Step], None],
    ) -> None:
        self._state = state
        self._runner = runner
        self._node_max_backoff = node_max_backoff
        self._strict = strict
        self._resolved = resolved
        self._trace = trace
        self._report = report
        self._started_at: dict[str, float] = {}
        self._context: PodContext | None = None
        self._prepared: dict[str, PreparedAttempt] = {}
        self.tree = CgroupTree(read_world(), state.home.cgroup)
        self._containers = Containers(state.home, state.ledger, self.tree, state.record, trace)
        self.sandbox: Sandbox | None = None
        self._pulls = images.ImagePulls(state.image_event, state.show_pull, state.is_wanted)
        self.retry_at = 0
        self._mount_failures = 0
        self._registered = 0
        self.warnings: list[str] = []

    def waits(self) -> bool:
        """Whether it is too early to try again what has failed. A driver that has registered since
        may do what another could not.
        """
        if self.retry_at <= boottime():
            return False
        return not self._mount_failures or self._registered == self._registrations()

    def _registrations(self) -> int:
        from kubelite.node.volume.csi.drivers import registrations  # few pods need a driver

        return registrations(self._state.home.root)

    def close(self) -> None:
        """Closes all descriptors; the pod runs on."""
        self.tree.close()
        self.leave_sandbox()

    def leave_sandbox(self) -> None:
        """Forgets what is valid for one sandbox and specification only."""
        if self.sandbox is not None:
            self.sandbox.close()
            self.sandbox = None
        self._context = None
        for prepared in self._prepared.values():
            prepared.close()
        self._prepared.clear()

    def carry_out(self, decided: Sequence[Action]) -> None:
        """All actions in order, starts last and together. Raises ShimGone when the sandbox has died
        meanwhile: then the caller has to look again.
        """
        starts = [action for action in decided if isinstance(action, StartContainer)]
        for action in decided:
            if not isinstance(action, StartContainer):
                self._act(action)
        if starts:
            self._start(starts)

    def _act(self, action: Action) -> None:
        match action:
            case actions.CreateSandbox():
                self._create_sandbox()
            case actions.ClearSandbox():
                self._clear_sandbox()
            case actions.ResumeStart(name):
                self._resume_start(name)
            case actions.RecordExit(name):
                self._record_exit(name)
            case actions.FailPod(reason, message):
                self._fail_pod(reason, message)
            case actions.RestartAll(name, code):
                self._restart_all(name, code)
            case actions.FinishRestart():
                self._finish_restart()
            case actions.Resize():
                self._resize()
            case MarkStop(name, grace, restart):
                self.mark_stop(name, grace, restart=restart, reason=self._stop_reason(name))
            case RunHook(name, kind, until):
                self._run_hook(name, kind, until)
            case Terminate(name, number):
                self._terminate(name, number)
            case Kill(name):
                self._kill(name)

    # -- the sandbox -------------------------------------------------------------------------------

    def _gather(self, *, is_up: bool = False) -> PodContext:
        """``is_up``: the sandbox was made with these images, so those that are there will do."""
        state = self._state
        resolved = self._resolved
        if resolved is None:
            resolved = self._resolve_images(state.pod, is_up=is_up)
        else:
            images.announce_pulls(state.pod, resolved, state.image_event)
        return pod_context.gather(state, self.tree, resolved, self._trace)

    def _resolve_images(self, pod: Pod, *, is_up: bool = False) -> dict[str, ResolvedImage]:
        """The images of the state's pod, or of a part of it; those of a cluster's pod are pulled
        with its image pull Secrets.
        """
        state = self._state
        if state.cluster is None:
            return images.resolve(state.home, pod, pulls=self._pulls, is_up=is_up)
        names = [reference.name or "" for reference in state.pod.spec.image_pull_secrets]
        secrets = [secret for name in names if (secret := state.objects.secret(name)) is not None]
        allowed = state.cluster.node.allows_host_image
        return images.resolve(
            state.home, pod, secrets, host_allowed=allowed, pulls=self._pulls, is_up=is_up
        )

    def _start_context(self) -> PodContext:
        """What starts in the present sandbox have in common."""
        if self._context is None:
            context = self._gather(is_up=True)
            sandbox_setup.create_volumes(context)
            self._write_contents(context, self._gather_contents(context))
            self._context = context
        return self._context

    def refresh_contents(self) -> None:
        """Writes volumes whose API objects or pod fields have changed; a missing object changes
        nothing. A pod that goes at once does not wait for what its node may not read any more.
        """
        record = self._state.record
        if not self._state.observed.up or (record.stage == REMOVING and not record.removal_grace):
            return
        with contextlib.suppress(VolumeError):
            self.rewrite_contents()

    def rewrite_contents(self) -> None:
        """Writes volumes whose API objects or pod fields have changed. Raises VolumeError."""
        volumes = self._state.pod.spec.volumes
        if all(volume.empty_dir is not None or volume.host_path is not None for volume in volumes):
            return
        context = self._start_context()
        self._write_contents(context, self._gather_contents(context))

    def _gather_contents(self, context: PodContext) -> Contents:
        """The files of volumes made of API objects. Raises SourceNotReady."""
        if not context.has_contents:
            return {}
        from kubelite.node.kubelet.act.volume_contents import gather_contents

        return gather_contents(context)

    def _write_contents(self, context: PodContext, contents: Contents) -> None:
        if contents:
            from kubelite.node.kubelet.act.volume_contents import write_contents

            write_contents(context, contents, self.joined().record.shim_pid)

    def _create_sandbox(self) -> None:
        began = time.perf_counter()
        state = self._state
        try:
            self.leave_sandbox()
            context = self._gather()
            contents = self._gather_contents(context)
            self._publish_volumes(context)
            self.sandbox = sandbox_setup.create_sandbox(
                context, state.ledger, lambda: self._prepare_first_attempts(context)
            )
            self._write_contents(context, contents)
        except START_ERRORS as error:
            if self._strict:
                raise
            self._sandbox_failed(error)
            return
        self._context, self._mount_failures = context, 0
        if state.record.blocked is not None:
            state.record.blocked = None
            state.save()
        self.warnings += context.warnings
        state.put_sandbox(self.sandbox.record, up=True)
        self._done("sandbox", ", ".join(context.node.pod_addresses), began)

    def _publish_volumes(self, context: PodContext) -> None:
        """Raises MountFailed for a volume of a driver that is not there yet."""
        if context.has_drivers:
            from kubelite.node.kubelet.act import driver_volumes  # few pods have one

            driver_volumes.publish(self._state, context.volumes, self._trace)

    def _prepare_first_attempts(self, context: PodContext) -> None:
        """While the kernel creates pause, all first attempts of a new pod are prepared."""
        spec = context.pod.spec
        if self._state.observed.containers:
            return
        for container in (*spec.init_containers, *spec.containers):
            if expand.needs_files(container):
                continue  # another container has yet to write them
            inputs = container_inputs(context, container)
            self._prepared[container.name] = self._containers.prepare(inputs, 0)

    def _sandbox_failed(self, error: Exception) -> None:
        state = self._state
        self.retry_at = state.now().now + restart_policy.RETRY
        if isinstance(error, MountFailed):
            self.retry_at = state.now().now + restart_policy.mount_retry(self._mount_failures)
            self._mount_failures += 1
            self._registered = self._registrations()
        if isinstance(error, SourceNotReady):
            state.event("FailedMount", str(error), warning=True)
        elif self._pulls.next_look:
            self.retry_at = self._pulls.next_look  # with events of its own
        elif isinstance(error, PullError):
            state.event("Failed", error.message, warning=True)
        else:
            message = f"Failed to create pod sandbox: {error}"
            state.event("FailedCreatePodSandBox", message, warning=True)
        blocked = _blocked(error)
        if blocked != state.record.blocked:
            state.record.blocked = blocked
            state.save()
        state.put_sandbox(state.ledger.sandbox(state.uid), up=False)

    def _clear_sandbox(self) -> None:
        from kubelite.node.runtime.removal import Remover

        state = self._state
        self.leave_sandbox()
        state.event("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        with (
            announcing_failure(state),
            closing(Remover(state.home, state.ledger, self._trace)) as remover,
        ):
            remover.clear_sandbox(state.uid)
        state.refresh()

    def joined(self) -> Sandbox:
        """The sandbox that runs. Raises ShimGone."""
        if self.sandbox is None:
            record = self._state.observed.sandbox
            if record is None:
                raise ShimGone("the pod has no sandbox")
            self.sandbox = sandbox.join(self._state.home, record)
        return self.sandbox

    def debug_inputs(self, container: Container) -> tuple[StartInputs, list[Mount]]:
        """The inputs of a container that is not of the pod, to run beside it. Raises ShimGone,
        ContainerConfigError and what else START_ERRORS holds.
        """
        context = self._start_context()
        inputs = container_inputs(context, container, self._pod_root())
        return inputs, container_mounts(context, self.joined().record, container, inputs, None)

    def _pod_root(self) -> str:
        """The root of the pod's mount namespace, which the shim is in."""
        return f"/proc/{self.joined().record.shim_pid}/root"

    def _done(self, name: str, detail: str, began: float) -> None:
        self._report(Step(name, detail, (time.perf_counter() - began) * 1000))

    # -- starts ------------------------------------------------------------------------------------

    def _start(self, starts: list[StartContainer]) -> None:
        """Requests all starts before the first answer is awaited: while the kernel works on one,
        the next is prepared.
        """
        state, began = self._state, time.perf_counter()
        pending = [p for start in starts if (p := self._request_start(start)) is not None]
        if state.record.stage == CREATING:
            self._trace("flush record")
            state.ledger.flush_pod(state.uid)  # while the kernel starts the containers
        for start in pending:
            self._await_start(start, began, resumed=False)

    def _request_start(self, start: StartContainer) -> PendingStart | None:
        """None for a start that failed here and was recorded as such."""
        declared, observed = self._declared(start.name), self._state.container(start.name)
        try:
            context, joined = self._start_context(), self.joined()
            if start.attempt > 0 and declared.container.image_pull_policy == "Always":
                only = images.only(self._state.pod, declared.container)
                context.images.update(self._resolve_images(only))
            with closing(self._prepare(context, declared.container, start.attempt)) as prepared:
                pending = self._containers.request_start(
                    joined.shim,
                    prepared,
                    container_mounts(
                        context, joined.record, declared.container, prepared.inputs, start.attempt
                    ),
                    sandbox=joined.record.pause,
                    backoff=start.backoff,
                    restarts=start.restarts,
                )
        except START_ERRORS as error:
            self._start_failed(start, error)
            return None
        previous_exit = _last_created(observed)
        self._state.put(ObservedContainer(pending.record, False, None, None, previous_exit))
        if observed is not None:
            self._forget_attempt(observed)
        return pending

    def _prepare(self, context: PodContext, container: Container, attempt: int) -> PreparedAttempt:
        prepared = self._prepared.pop(container.name, None) if attempt == 0 else None
        if prepared is not None:
            return prepared
        if isinstance(container, EphemeralContainer):
            inputs = self._ephemeral_inputs(context, container)
        else:
            inputs = container_inputs(context, container, self._pod_root())
        return self._containers.prepare(inputs, attempt)

    def _ephemeral_inputs(self, context: PodContext, container: EphemeralContainer) -> StartInputs:
        """Its image is resolved only now: one that is missing concerns no other container. Raises
        RuntimeFailure for a target that does not run.
        """
        from kubelite.node.runtime.exec.debug import refuse_exposed_host  # few pods are debugged

        state = self._state
        if container.image not in context.images:
            context.images.update(self._resolve_images(images.only(state.pod, container)))
        inputs = container_inputs(context, container, self._pod_root())
        # What the pod may open was settled without it.
        inputs = inputs._replace(all_devices=inputs.security.privileged)
        running = [observed.record for observed in state.observed.containers if observed.running]
        if inputs.shared.share_pid or inputs.shared.host_pid:
            refuse_exposed_host(inputs, running)
            return inputs
        name = container.target_container_name
        if not name:
            return inputs
        target = next((record for record in running if record.name == name), None)
        if target is None:
            raise RuntimeFailure(f'unable to find target container "{name}"')
        refuse_exposed_host(inputs, [target])
        return inputs._replace(target=target.id)

    def _resume_start(self, name: str) -> None:
        """Gets the answer to a recorded start; requests it again where the shim has never heard of
        it.
        """
        declared, observed = self._declared(name), self._state.container(name)
        if observed is None:
            return
        try:
            pending = self._find_or_repeat_start(declared.container, observed.record)
        except START_ERRORS as error:
            self._start_failed(_start_of(observed.record), error)
            return
        self._await_start(pending, time.perf_counter(), resumed=True)

    def _find_or_repeat_start(self, container: Container, record: ContainerRecord) -> PendingStart:
        joined = self.joined()
        unread_messages = len(self._state.pod.spec.containers)
        pending = self._containers.find_start(joined.shim, record, unread_messages)
        if pending is not None:
            return pending
        context = self._start_context()
        with closing(self._prepare(context, container, record.attempt)) as prepared:
            mounts = container_mounts(
                context, joined.record, container, prepared.inputs, record.attempt
            )
            return self._containers.resume_start(joined.shim, prepared, mounts, record)

    def _await_start(self, pending: PendingStart, began: float, *, resumed: bool) -> None:
        state, name = self._state, pending.record.name
        observed = state.container(name)
        previous_exit = observed.previous_exit if observed is not None else None
        try:
            record = self._containers.await_start(self.joined().shim, pending)
        except CannotStart as error:
            self._start_failed(_start_of(pending.record), error)
            return
        # The events first: a start that is on record as answered is not announced again.
        self._trace(f"announce start of {name}")
        state.announce_start(record, unless_announced=resumed)
        state.save_container(record)
        state.put(ObservedContainer(record, True, None, None, previous_exit))
        self._started_at[name] = began
        if not record.init:
            self._done("container", name, began)
        elif is_sidecar(self._declared(name).container):
            self._done("sidecar", name, began)

    def _declared(self, name: str) -> DeclaredContainer:
        declared = self._state.declared(name)
        if declared is None:
            raise RuntimeFailure(f'the pod has no container "{name}" any more')
        return declared

    def _start_failed(self, start: StartContainer, error: Exception) -> None:
        """Raises ``error``, or records the attempt as finished."""
        if self._strict:
            raise error
        state, declared = self._state, self._declared(start.name)
        if not isinstance(error, PullError):  # which has events of its own
            state.event("Failed", f"Error: {error}", start.name, warning=True)
        observed = state.container(start.name)
        if observed is None or observed.record.attempt != start.attempt:
            record = _record_of_no_process(declared, start, state.sandbox_id)
            state.save_container(record)
            observed = ObservedContainer(record, False, None, None, _last_created(observed))
        finished, _ = self._record(observed, declared)
        finished.reason, finished.message = _failure_reason(error), str(error)
        finished.code = error.exit_code if isinstance(error, CannotStart) else 128
        self._exit_recorder().append(observed, finished, durable=True)
        state.put(observed._replace(last_exit=finished))

    def _forget_attempt(self, observed: ObservedContainer) -> None:
        """Removes what only an attempt needed that a later one has followed. The record of its exit
        and the previous log stay.
        """
        from kubelite.node.runtime.removal import remove_attempt

        state, record, pod = self._state, observed.record, self._state.record
        state.ledger.drop_container(state.uid, record.id)
        logs = state.home.pod_logs(pod.namespace, pod.name, pod.uid)
        remove_attempt(state.home.pod(state.uid), logs, record.name, record.attempt)

    # -- exits -------------------------------------------------------------------------------------

    def _exit_recorder(self) -> ExitRecorder:
        from kubelite.node.kubelet.act.exit_recorder import ExitRecorder

        state = self._state
        return ExitRecorder(state.home, state.ledger, self.tree, state.record)

    def _record(
        self, observed: ObservedContainer, declared: DeclaredContainer | None
    ) -> tuple[FinishedAttempt, bool]:
        return self._exit_recorder().record(
            observed,
            declared.container if declared is not None else None,
            declared.init if declared is not None else observed.record.init,
            self._state.now(),
            self._node_max_backoff,
        )

    def _record_exit(self, name: str) -> None:
        state = self._state
        observed, declared = state.container(name), state.declared(name)
        if observed is None:
            return
        self._trace(f"record exit of {name}")
        if observed.record.ticks == 0 and observed.exit is not None and observed.exit.started_at:
            # It started and exited before anybody had the answer to its start.
            state.announce_start(observed.record, unless_announced=True)
            state.timeline.flush()
        finished, is_written = self._record(observed, declared)
        state.put(observed._replace(last_exit=finished, running=False))
        if finished.init and name in self._started_at and finished.code == 0:
            self._done("init", name, self._started_at.pop(name))
        if not is_written:
            return  # the shim has to remember it
        self._trace(f"acknowledge exit of {name}")
        if state.observed.up:
            with contextlib.suppress(ShimGone, NativeError):
                self.joined().shim.acknowledge(observed.record.id)

    def _fail_pod(self, reason: str, message: str) -> None:
        state, clock = self._state, self._state.now()
        record = state.record
        record.reason, record.message = reason, message
        record.stop = PodStop(
            since=clock.now, boot=clock.boot, grace=restart_policy.grace(state.pod) * SECOND
        )
        self._trace("record failure")
        state.event(reason, message)
        state.save()

    # -- restarts ----------------------------------------------------------------------------------

    def _restart_all(self, name: str, code: int) -> None:
        """As in Kubernetes, without hooks and without grace."""
        state, clock = self._state, self._state.now()
        record = state.record
        record.goal, record.stop = RESTART, PodStop(since=clock.now, boot=clock.boot, grace=0)
        record.restart_reason = f"Container {name} exited with code {code}, triggering pod restart"
        self._trace("record that all containers restart")
        state.event("AllContainersRestarting", record.restart_reason)
        state.save()

    def _finish_restart(self) -> None:
        """Lets every container start again, then the pod run: in this order, so that a kill in
        between loses nothing.
        """
        state, record = self._state, self._state.record
        for observed in state.observed.containers:
            self._allow_restart(observed)
        record.goal, record.stop, record.reason, record.message = RUN, None, "", ""
        self._trace("record that the pod runs again")
        state.save()

    def _allow_restart(self, observed: ObservedContainer) -> None:
        state = self._state
        declared = state.declared(observed.record.name)
        if declared is None or declared.ephemeral or observed.last_exit is None:
            return
        member = restart_policy.Member(declared.container, declared.init, observed)
        by_rule = bool(state.record.restart_reason)
        if by_rule:
            # As in a new sandbox: init containers run once more.
            observed.record.sandbox = ""
            state.save_container(observed.record)
            if observed.last_exit.force_restart:
                return  # a killed process has done it already, or it was stopped for this restart
        if by_rule or restart_policy.restarts_on_request(member):
            # The container whose exit caused the restart keeps its back-off.
            self.force_restart(observed, without_backoff=not restart_policy.restarts_all(member))

    def force_restart(self, observed: ObservedContainer, *, without_backoff: bool = True) -> None:
        """Records that a finished container restarts whatever its policy says."""
        if observed.last_exit is not None:
            observed.last_exit.force_restart = True
            if without_backoff:
                observed.last_exit.not_before = observed.last_exit.backoff = 0
            self._exit_recorder().append(observed, observed.last_exit, durable=True)

    def _resize(self) -> None:
        from kubelite.node.kubelet.act import resizing

        state = self._state
        self._trace("set limits")
        fault = ""
        if state.observed.up:
            running = [container for container in state.observed.containers if container.running]
            fault = resizing.fault(self.tree, state.uid, state.pod, running)
        if fault:
            self._resize_failed(fault)
        else:
            from kubelite.node.kubelet.decide.resize_allocation import event_message

            message = event_message("Pod resize completed", state.pod)
            state.event("ResizeCompleted", message)
            state.record.resize, state.record.resizing = False, None
        self._trace("record that limits are set")
        state.save()

    def _resize_failed(self, fault: str) -> None:
        """The same fault is told once; what it is about changes with each look at the memory."""
        state = self._state
        before = state.record.resizing or ResizeInProgress(since=state.now().wall)
        if not before.error:
            from kubelite.node.kubelet.decide.resize_allocation import event_message

            message = event_message("Pod resize error", state.pod, fault)
            state.event("ResizeError", message, warning=True)
        retry_at = boottime() + actions.RESIZE_RETRY
        state.record.resizing = replace(before, error=fault, retry_at=retry_at)

    # -- stops -------------------------------------------------------------------------------------

    def _stop_reason(self, name: str) -> str:
        observed = self._state.container(name)
        outdated = observed is not None and actions.is_outdated(observed, self._state.record)
        return f"Container {name} definition changed, will be restarted" if outdated else ""

    def mark_stop(self, name: str, grace: int, *, restart: bool = False, reason: str = "") -> None:
        """Records that a container is to stop; ``grace`` is in nanoseconds."""
        state = self._state
        observed = state.container(name)
        if observed is None or observed.record.stop is not None:
            return
        observed.record.stop = Stop(
            since=state.now().now, grace=grace, reason=reason, restart=restart
        )
        self._trace(f"mark {name} as stopping")
        state.event("Killing", reason or f"Stopping container {name}", name)
        state.save_container(observed.record)

    def _run_hook(self, name: str, kind: str, until: int) -> None:
        state = self._state
        observed, declared = state.container(name), self._declared(name)
        if observed is None:
            return
        record = observed.record
        if kind == "post_start":
            record.post_start_hook = HOOK_BEGUN
        elif record.stop is not None:
            record.stop.hook = HOOK_BEGUN
        self._trace(f"hook {kind} of {name}")
        state.save_container(record)
        left = (until - state.now().now) / SECOND if until else float("inf")
        target = self.target(record)
        if target is not None and not self._runner.is_hook_running(record.id, kind):
            self._runner.start_hook(
                target._replace(container=declared.container), kind, max(left, 0)
            )

    def target(self, record: ContainerRecord) -> Target | None:
        """What probes and hooks of a running attempt address; None without a sandbox."""
        from kubelite.node.kubelet.probe.target import Target

        state, declared = self._state, self._state.declared(record.name)
        pod_sandbox = state.observed.sandbox
        if declared is None or pod_sandbox is None:
            return None
        on_host = state.pod.spec.host_network
        return Target(
            state.home,
            state.uid,
            os.getpid() if on_host else pod_sandbox.pause_pid,
            facts.node_address() if on_host else pod_sandbox.address,
            declared.container,
            record,
        )

    def _terminate(self, name: str, number: int) -> None:
        observed = self._state.container(name)
        if observed is None or observed.record.stop is None:
            return
        self._trace(f"stop container {name}")
        # The signal first: one that is sent twice does no harm, one that is only recorded does.
        self._signal(observed, number)
        observed.record.stop.signalled = self._state.now().now
        self._state.save_container(observed.record)

    def _kill(self, name: str) -> None:
        observed = self._state.container(name)
        if observed is None or observed.record.stop is None:
            return
        self._trace(f"kill container {name}")
        self._signal(observed, SIGKILL)
        observed.record.stop.killed = self._state.now().now
        self._state.save_container(observed.record)

    def _signal(self, observed: ObservedContainer, number: int) -> None:
        with contextlib.suppress(NativeError):
            self.joined().shim.signal(observed.record.id, number)


def _failure_reason(error: Exception) -> str:
    """The kubelet's reason for a container that could not be started."""
    if isinstance(error, CannotStart):
        return "StartError"
    if isinstance(error, PullError):
        return error.reason
    if isinstance(error, (ContainerConfigError, VolumeError)):
        return "CreateContainerConfigError"
    return "CreateContainerError"


def _start_of(record: ContainerRecord) -> StartContainer:
    """The action that an attempt was started by."""
    return StartContainer(record.name, record.attempt, record.backoff, record.restarts)


def _last_created(observed: ObservedContainer | None) -> FinishedAttempt | None:
    """How the last attempt ended that was created: this one or the one before it."""
    if observed is None:
        return None
    last_exit = observed.last_exit
    never_created = last_exit is not None and last_exit.never_created
    return observed.previous_exit if never_created else last_exit


def _record_of_no_process(
    declared: DeclaredContainer, start: StartContainer, sandbox_id: str
) -> ContainerRecord:
    """The record of an attempt that failed before anything of it was created."""
    container = declared.container
    return without_process(
        new_id(),
        container.name,
        start.attempt,
        init=declared.init,
        image=container.image or "",
        created_at=time.time_ns(),
        sandbox=sandbox_id,
        backoff=start.backoff,
        restarts=start.restarts,
    )


def _blocked(error: Exception) -> Blocked | None:
    """What a pod says that waits for the mending of ``error``."""
    if isinstance(error, ImageError):
        reason = error.reason if isinstance(error, PullError) else "ErrImagePull"
        image = error.image if isinstance(error, PullError) else ""
        return Blocked(reason=reason, message=error.message, image=image)
    if isinstance(error, ContainerConfigError):
        return Blocked(reason="CreateContainerConfigError", message=str(error))
    return None
