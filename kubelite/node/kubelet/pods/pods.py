"""Commands on the pods of one state root: the engine behind the command line.

Every command works in the caller's process, under the pod's lock and from records. It judges only
what it has read while it holds the lock. A pod that needs care is left to the node agent
afterwards.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.core.errors import NativeError, ShimSilent
from kubelite.lib.files import FileLock
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act import config_file, facts, images, pod_events, pod_names
from kubelite.node.kubelet.act.executor import Step
from kubelite.node.kubelet.act.pod_state import PodState
from kubelite.node.kubelet.act.worker import Worker
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.kubelet.decide.actions import needs_care
from kubelite.node.kubelet.pods.queries import PodQueries, pod_not_found
from kubelite.node.runtime import sandbox
from kubelite.node.runtime.clock import SECOND, boottime
from kubelite.node.runtime.errors import Conflict, NotFound, NotRunning
from kubelite.node.runtime.home import Home, boot_id
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import (
    API,
    CREATED,
    CREATING,
    REMOVING,
    RESTART,
    STOP,
    PodRecord,
    PodStop,
)
from kubelite.objects.pod.pod import Pod

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kubelite.node.kubelet.act.images import ResolvedImage
    from kubelite.node.kubelet.act.pod_names import Documents
    from kubelite.node.kubelet.pods.copying import Side
    from kubelite.node.network.cni import Directories
    from kubelite.node.runtime.exec.session import Session
    from kubelite.objects.pod.container import Container

Report = Callable[[Step], None]


_AGENT_STARTS = 30 * SECOND
"""How long an agent may take until it has registered, on a machine that is slow and loaded."""


class UpResult(NamedTuple):
    """What :meth:`Pods.up` did. ``created`` is False for a pod that was up already; ``failed``: an
    init container failed and the others were not started; ``engine_ms`` are milliseconds;
    ``changed`` lists what was changed in place."""

    pod: Pod
    created: bool
    failed: bool
    warnings: tuple[str, ...]
    engine_ms: float
    changed: tuple[str, ...] = ()


def _ignore(_: str) -> None:
    return


class Pods:
    """The pods of ``home``. ``queries`` looks at them; the methods change them. ``trace`` is called
    with each act just before it is done.
    """

    def __init__(self, home: Home, *, trace: Callable[[str], None] | None = None) -> None:
        home.check()
        self._home = home
        self._trace = trace or _ignore
        self._ledger = Ledger(home)
        self.queries = PodQueries(home, self._ledger)

    # -- up ----------------------------------------------------------------------------------------

    def up(
        self,
        pod: Pod,
        *,
        documents: Documents | None = None,
        replace: bool = False,
        unsafe_sysctls: Sequence[str] = (),
        cni: Directories | None = None,
        pulls: images.ImagePulls | None = None,
        report: Report,
    ) -> UpResult:
        """Brings a checked and defaulted pod up. Returns once all its containers run, or one of its
        init containers has failed.

        An identical pod is left alone, one that another command is bringing up is waited for, and
        one whose command was killed is continued. A different pod is changed in place, or with
        ``replace`` removed first. When anything raises, nothing of a new pod is left.
        ``documents`` are the ConfigMaps and Secrets that the pod refers to; None leaves those of an
        existing pod as they are. ``unsafe_sysctls`` are names or patterns that this pod may set,
        ``cni`` says where the plug-ins of its network are if that is not the node's setting.
        ``pulls`` shows how far those of missing images are.
        Raises Conflict for a change that needs a new pod, RuntimeFailure, ImageError, VolumeError,
        CgroupError, NetworkError, NativeError, OSError.
        """
        began = time.perf_counter()
        self._home.make()
        resolved = images.resolve(self._home, pod, pulls=pulls)
        for name, image in resolved.items():
            report(Step("image", name, image.milliseconds))
        result = None
        while result is None:
            record, lock = pod_names.claim(
                self._home,
                self._ledger,
                pod,
                tuple(unsafe_sysctls),
                documents=documents or (),
                cni=cni,
            )
            if lock is None:
                result = self._up_existing(record, pod, documents, resolved, replace, report)
            else:
                try:
                    result = self._bring_up(record, pod, resolved, report, lock)
                finally:
                    lock.release()
        return result._replace(engine_ms=(time.perf_counter() - began) * 1000)

    def _up_existing(
        self,
        claimed: PodRecord,
        pod: Pod,
        documents: Documents | None,
        resolved: dict[str, ResolvedImage],
        replace: bool,
        report: Report,
    ) -> UpResult | None:
        """The name is taken. None where its pod is gone now and the name can be claimed again."""
        self._refuse_of_cluster(claimed)
        with self._locked(claimed, report) as lock:
            record = self._ledger.pod(claimed.uid) if lock is not None else None
            if lock is None or record is None:
                return None
            is_same = pod_names.is_recorded(record, pod, documents)
            if record.stage == CREATING and is_same:
                # Nobody holds the lock: the command that was bringing it up was killed.
                self._trace("continue an interrupted up")
                return self._bring_up(record, pod, resolved, report, lock)
            if record.stage != CREATED:
                self._trace("remove what a killed command left")
                self._remove_locked(record, lock, 0)
                return None
            if is_same:
                shown = self.queries.shown(record, pod)
                if not (replace and _has_finished(shown)):
                    if documents:
                        self._finish_update(record)
                    return UpResult(shown, False, _has_failed_init(shown), (), 0)
            elif not replace:
                with self._worker_under_lock(record) as worker:
                    return self._update(worker, pod, documents)
            self._remove_locked(record, lock, None)
            report(Step("removed", record.name, -1))
            return None

    def _bring_up(
        self,
        record: PodRecord,
        pod: Pod,
        resolved: dict[str, ResolvedImage],
        report: Report,
        lock: FileLock,
    ) -> UpResult:
        """Brings up a pod whose record is on disk and whose lock is held, from wherever it is."""
        state = PodState(self._home, self._ledger, record, pod)
        worker = self._worker(state, resolved=resolved, strict=True, report=report)
        try:
            if not pod_events.read(state.timeline.path):
                where = f"{record.namespace}/{record.name}"
                message = f"Successfully assigned {where} to {facts.node_name()}"
                state.event("Scheduled", message)
            worker.refresh()
            _advance_until_up(worker)
        except BaseException as error:
            from kubelite.node.kubelet.pods.signals import signals_blocked

            with signals_blocked():
                worker.close()
                self._undo(record, lock, error)
            raise
        worker.close()
        if needs_care(pod, state.observed):
            agent_control.ensure_agent(self._home, record.uid)
        shown = self.queries.with_status(pod, state.observed)
        warnings = tuple(worker.executor.warnings)
        return UpResult(shown, True, _has_failed_init(shown), warnings, 0)

    def _undo(self, record: PodRecord, lock: FileLock, error: BaseException) -> None:
        """Removes what there is of the pod; what stays is on record for `pod down`."""
        self._trace("undo")
        try:
            from kubelite.node.runtime.removal import remove_pod

            remove_pod(self._home, self._ledger, record, self._trace)
            lock.remove()
            self._close_home()
        except Exception as second:  # noqa: BLE001 - the first error is the one to report
            error.add_note(f"something of the pod is left: {second}")

    def _finish_update(self, record: PodRecord) -> None:
        """A killed command may have recorded new ConfigMaps without writing their files."""
        with self._worker_under_lock(record) as worker:
            if worker.state.observed.up:
                worker.executor.rewrite_contents()

    def _update(self, worker: Worker, pod: Pod, documents: Documents | None) -> UpResult:
        """Changes a pod in place. Raises Conflict for what needs a new one."""
        from kubelite.node.kubelet.act import updating

        state = worker.state
        with CgroupTree(read_world(), self._home.cgroup) as tree:
            self._trace("record update")
            changes = updating.put(worker, tree, pod, documents)
            if state.observed.up:
                worker.executor.rewrite_contents()
            if state.record.goal == STOP:
                worker.advance()
            else:
                _advance_until_up(worker)
        warnings = tuple(
            f'container "{name}" is not running; `kubelite pod events` shows why'
            for name in changes.restarts
            if (observed := state.container(name)) is not None and not observed.running
        )
        shown = self.queries.with_status(state.pod, state.observed)
        return UpResult(shown, False, _has_failed_init(shown), warnings, 0, changes.notes)

    def _worker(self, state: PodState, **options: Any) -> Worker:
        return Worker(state, config_file.read(self._home).max_backoff, trace=self._trace, **options)

    # -- down --------------------------------------------------------------------------------------

    def down(self, namespace: str, name: str, *, grace: int | None = None, report: Report) -> None:
        """Stops a pod's containers and removes everything of it. ``grace`` seconds override the
        pod's own. Raises NotFound, Conflict for a pod of a running cluster, RuntimeFailure for what
        cannot be removed.
        """
        began = time.perf_counter()
        claimed = self.queries.find(namespace, name)
        self._refuse_of_cluster(claimed)
        with self._locked(claimed, report) as lock:
            record = self._ledger.pod(claimed.uid) if lock is not None else None
            if lock is None or record is None:
                raise pod_not_found(namespace, name)
            self._remove_locked(record, lock, grace)
        agent_control.notify(self._home, claimed.uid)
        report(Step("removed", name, (time.perf_counter() - began) * 1000))

    def remove_damaged(self, uid: str) -> None:
        """Removes the pod with this uid though its record cannot be read. Raises NotFound,
        RuntimeFailure for what cannot be removed.
        """
        from kubelite.node.kubelet.pods.reset import remove_by_uid

        if "/" in uid or not os.path.lexists(self._home.pod(uid)):
            raise NotFound(f'no pod has the uid "{uid}"')
        remove_by_uid(self._home, self._ledger, uid, self._trace)
        self._close_home()

    def _remove_locked(self, record: PodRecord, lock: FileLock, grace: int | None) -> None:
        # The agent waits for the lock, and continues the removal if this process is killed.
        agent_control.notify(self._home, record.uid)
        from kubelite.node.runtime.removal import remove_pod

        with contextlib.suppress(ShimSilent):  # it is killed, and all of the pod with it
            self._end(record, grace)
        remove_pod(self._home, self._ledger, record, self._trace)
        lock.remove()
        self._close_home()

    def _end(self, record: PodRecord, grace: int | None) -> None:
        """Ends the pod's containers in the documented order within the grace period. The request is
        on record first.
        """
        if grace == 0:
            return
        state = PodState(self._home, self._ledger, record)
        seconds = restart_policy.grace(state.pod) if grace is None else grace
        from kubelite.node.runtime.removal import mark_removing

        self._trace("mark as removing")
        mark_removing(record, seconds * SECOND)
        record.stop = _stop_now(seconds)
        self._ledger.save_pod(record)
        self._thaw(record)
        with contextlib.closing(self._worker(state)) as worker:
            worker.refresh()
            _advance_until_still(worker)

    def _close_home(self) -> None:
        if not self._home.has_pods():
            from kubelite.node.runtime.removal import close_home

            close_home(self._home)

    def reset(self, report: Report) -> list[str]:
        """Removes all pods, damaged ones too, all images, logs and kernel objects of this state
        root; returns what was removed, a phrase each.
        """
        from kubelite.node.kubelet.pods.reset import reset

        return reset(self._home, self._ledger, self._trace, report)

    # -- stop, start, restart, kill, pause ---------------------------------------------------------

    def stop(self, namespace: str, name: str, *, grace: int | None = None) -> Pod:
        """Stops a pod's containers; sandbox, address and volumes stay, and nothing is started until
        :meth:`start`. Raises NotFound, Conflict for a pod that is being removed.
        """
        with self._held(self.queries.find(namespace, name)) as worker:
            state = worker.state
            seconds = restart_policy.grace(state.pod) if grace is None else grace
            state.record.goal = STOP
            state.record.stop = _stop_now(seconds)
            self._trace("record that the pod stops")
            state.save()
            self._thaw(state.record)
            _advance_until_still(worker)
            return self.queries.with_status(state.pod, state.observed)

    def start(self, namespace: str, name: str) -> Pod:
        """Starts the containers of a pod that was stopped or has finished; one that runs is left
        alone. Raises NotFound, Conflict, and RuntimeFailure and its like for what cannot be
        started.
        """
        with self._held(self.queries.find(namespace, name)) as worker:
            state = worker.state
            if state.record.goal == STOP or restart_policy.is_finished(state.pod, state.observed):
                self._restart(worker, 0)
            return self.queries.with_status(state.pod, state.observed)

    def restart(
        self, namespace: str, name: str, *, container: str | None = None, grace: int | None = None
    ) -> Pod:
        """Stops and starts the containers of a pod, or one of them, without back-off; the sandbox
        stays. Raises NotFound, Conflict, and RuntimeFailure and its like for what cannot be
        started.
        """
        record = self.queries.find(namespace, name)
        if container is not None:
            self.queries.check_container(record, container)
        with self._held(record) as worker:
            state = worker.state
            seconds = restart_policy.grace(state.pod) if grace is None else grace
            self._thaw(state.record)
            if container is None:
                self._restart(worker, seconds)
            else:
                worker.restart(container, seconds)
                _advance_until_up(worker)
            return self.queries.with_status(state.pod, state.observed)

    def _restart(self, worker: Worker, seconds: int) -> None:
        record = worker.state.record
        record.goal = RESTART
        record.stop = _stop_now(seconds)
        record.restart_reason = ""
        self._trace("record that the pod restarts")
        worker.state.save()
        _advance_until_up(worker)

    def kill(
        self, namespace: str, name: str, number: int, *, container: str | None = None
    ) -> Sequence[str]:
        """Sends a signal to every running container of a pod, or to one; returns their names. The
        restart policy decides what follows. Raises NotFound, NotRunning."""
        record = self.queries.find(namespace, name)
        if container is not None:
            self.queries.check_container(record, container)
        running = [
            observed.record
            for observed in self.queries.observe(record).containers
            if observed.running and container in (None, observed.record.name)
        ]
        if not running:
            which = "no container" if container is None else f'no container "{container}"'
            raise NotRunning(f'{which} of pod "{name}" is running')
        with sandbox.connect(self._home, record.uid) as shim:
            for target in running:
                with contextlib.suppress(NativeError):
                    shim.signal(target.id, number)
        return [container.name for container in running]

    def pause(self, namespace: str, name: str) -> Pod:
        """Freezes all processes of a pod. Raises NotFound, Conflict, NotRunning, CgroupError."""
        from kubelite.node.cgroup import control

        with self._held(self.queries.find(namespace, name)) as worker:
            state = worker.state
            if not worker.any_running:
                raise NotRunning(f'no container of pod "{name}" is running')
            state.record.paused = True
            self._trace("record that the pod is paused")
            state.save()
            with CgroupTree(read_world(), self._home.cgroup) as tree:
                control.freeze(tree, state.uid)
            return self.queries.with_status(state.pod, state.observed)

    def unpause(self, namespace: str, name: str) -> Pod:
        """Thaws the processes of a pod. Raises NotFound, Conflict, CgroupError."""
        with self._held(self.queries.find(namespace, name)) as worker:
            self._thaw(worker.state.record)
            worker.state.save()
            return self.queries.with_status(worker.state.pod, worker.state.observed)

    def _thaw(self, record: PodRecord) -> None:
        """A frozen process would not see a signal."""
        from kubelite.node.cgroup import control

        if record.paused:
            with CgroupTree(read_world(), self._home.cgroup) as tree:
                control.thaw(tree, record.uid)
            record.paused = False
            self._ledger.save_pod(record)

    # -- pods of a cluster -------------------------------------------------------------------------

    def is_of_cluster(self, record: PodRecord) -> bool:
        """Whether an API server whose node is at work here asks for the pod."""
        agent = agent_control.running(self._home) if record.origin == API else None
        return agent is not None and agent.stays

    def _refuse_of_cluster(self, record: PodRecord) -> None:
        """The node reports, and starts, what the API says. Raises Conflict."""
        if self.is_of_cluster(record):
            raise Conflict(
                f'pod "{record.name}" of namespace "{record.namespace}" is one of the cluster, '
                "which is changed through its API",
                hint=f"`kubectl -n {record.namespace} delete pod {record.name}` removes it",
            )

    # -- locks -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self, record: PodRecord, report: Report | None = None) -> Iterator[FileLock | None]:
        """Holds the pod's lock; None where the pod is gone. ``report`` is told when that has to
        wait for another command.
        """
        from kubelite.node.runtime.pod_lock import hold_pod

        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context(hold_pod(self._home, record.uid, timeout=0))
            except TimeoutError:
                if report is not None:
                    report(Step("waiting", f"another command works on pod {record.name}", -1))
                lock = stack.enter_context(hold_pod(self._home, record.uid))
            yield lock

    @contextlib.contextmanager
    def _held(self, record: PodRecord) -> Iterator[Worker]:
        """The pod's worker, under its lock. Raises NotFound, Conflict."""
        self._refuse_of_cluster(record)
        with self._locked(record) as lock:
            if lock is None:
                raise pod_not_found(record.namespace, record.name)
            with self._worker_under_lock(record) as worker:
                yield worker

    @contextlib.contextmanager
    def _worker_under_lock(self, record: PodRecord) -> Iterator[Worker]:
        """The pod's worker, after a look at the pod. An agent looks after the pod afterwards if it
        needs care. Raises NotFound, Conflict for a pod that is being removed.
        """
        # The agent waits for the lock, and continues if this process is killed.
        agent_control.notify(self._home, record.uid)
        worker = self._worker(PodState(self._home, self._ledger, record))
        try:
            if not worker.refresh():
                raise pod_not_found(record.namespace, record.name)
            if worker.state.record.stage == REMOVING:
                raise Conflict(f'pod "{record.name}" is being removed')
            yield worker
        finally:
            worker.close()
        if needs_care(worker.state.pod, worker.state.observed):
            agent_control.ensure_agent(self._home, record.uid)

    def restart_missing_agent(self) -> bool:
        """Starts the node agent where a pod that was looked at needs one and none runs. One that
        runs is told of pods whose shim has died. Returns whether there was none for long: it was
        killed, or the pod has not just been made by a command that has started one.
        """
        pods = dict(self.queries.needing_care)
        self.queries.needing_care.clear()
        if not pods or agent_control.running(self._home) is not None:
            for uid in (uid for uid, is_dead in pods.items() if is_dead):
                agent_control.notify(self._home, uid)
            return False
        for uid in sorted(pods):
            if self._is_unlocked(uid):
                was_killed = agent_control.has_died(self._home)
                agent_control.ensure_agent(self._home, uid)
                return was_killed or not self._is_new(uid)
        return False

    def _is_new(self, uid: str) -> bool:
        record = self._ledger.pod(uid)
        return record is None or time.time_ns() - record.created_at < _AGENT_STARTS

    def _is_unlocked(self, uid: str) -> bool:
        """Whether the pod is there and no command works on it, which would start an agent."""
        from kubelite.node.runtime.pod_lock import hold_pod

        try:
            with hold_pod(self._home, uid, timeout=0) as lock:
                return lock is not None
        except (OSError, TimeoutError):
            return False

    # -- sessions in containers --------------------------------------------------------------------

    def exec(
        self,
        namespace: str,
        name: str,
        container: str,
        args: Sequence[str],
        *,
        stdin: bool = False,
        tty: bool = False,
        rows: int = 0,
        columns: int = 0,
    ) -> Session:
        """A further process in a running container; the caller closes the session. Raises NotFound,
        NotRunning, Conflict for a paused pod, CannotStart.
        """
        from kubelite.node.runtime.exec.execute import execute

        record = self._unpaused(namespace, name)
        observed = self.queries.running(record, container)
        with CgroupTree(read_world(), self._home.cgroup) as tree:
            return execute(
                self._home,
                tree,
                record.uid,
                observed.record,
                args,
                stdin=stdin,
                tty=tty,
                rows=rows,
                columns=columns,
            )

    def attach(self, namespace: str, name: str, container: str, *, stdin: bool = False) -> Session:
        """The streams of a container's main process; the caller closes the session, which leaves
        the process running. Raises NotFound, NotRunning."""
        from kubelite.node.runtime.exec.session import Session

        record = self.queries.find(namespace, name)
        observed = self.queries.running(record, container)
        shim = sandbox.connect(self._home, record.uid)
        try:
            shim.attach(observed.record.id, 0b111 if stdin else 0b110)
        except BaseException:
            shim.close()
            raise
        return Session(shim)

    def files(self, namespace: str, name: str, container: str) -> AbstractContextManager[Side]:
        """The files of a running container, for :mod:`kubelite.node.kubelet.pods.copying`. Raises
        NotFound, NotRunning.
        """
        from kubelite.node.kubelet.pods import copying

        record = self.queries.running(self.queries.find(namespace, name), container).record
        return copying.container(record.pid, record.uid, record.gid)

    @contextlib.contextmanager
    def debug(
        self,
        namespace: str,
        name: str,
        container: str,
        tools: Container,
        *,
        rows: int = 0,
        columns: int = 0,
    ) -> Iterator[Session]:
        """Runs ``tools`` beside a running container: they see its processes and the pod's network,
        and are gone with the session. Raises NotFound, NotRunning, Conflict for a paused pod,
        RuntimeFailure, CannotStart, ImageError."""
        from kubelite.node.runtime.exec.debug import debug_session, refuse_exposed_host

        record = self._unpaused(namespace, name)
        target = self.queries.running(record, container).record
        resolved = images.resolve(self._home, images.only(self.queries.pod(record), tools))
        state = PodState(self._home, self._ledger, record)
        with contextlib.closing(self._worker(state, resolved=resolved)) as worker:
            worker.refresh()
            inputs, mounts = worker.executor.debug_inputs(tools)
            running = [
                observed.record for observed in state.observed.containers if observed.running
            ]
        refuse_exposed_host(inputs, running if inputs.shared.share_pid else [target])
        with (
            CgroupTree(read_world(), self._home.cgroup) as tree,
            debug_session(
                self._home, tree, record.uid, inputs, mounts, target, rows=rows, columns=columns
            ) as session,
        ):
            yield session

    def _unpaused(self, namespace: str, name: str) -> PodRecord:
        """The record of a pod in which a process can be started: in a frozen cgroup none comes as
        far as its program. Raises NotFound, Conflict.
        """
        record = self.queries.find(namespace, name)
        if record.paused:
            raise Conflict(
                f'pod "{name}" is paused: nothing can be started in it',
                hint=f"`kubelite pod unpause {name}` first",
            )
        return record


def _has_finished(pod: Pod) -> bool:
    return pod.status is not None and pod.status.phase in ("Succeeded", "Failed")


def _has_failed_init(pod: Pod) -> bool:
    states = [status.state for status in pod.status.init_container_statuses] if pod.status else []
    return any(
        state is not None and state.terminated is not None and state.terminated.exit_code
        for state in states
    )


def _stop_now(seconds: int) -> PodStop:
    return PodStop(since=boottime(), boot=boot_id(), grace=seconds * SECOND)


def _advance_until_up(worker: Worker) -> None:
    """Until everything runs that should, or the pod has finished, or it waits for a back-off."""
    while True:
        decision = worker.advance()
        state = worker.state
        if decision.up or decision.waiting or restart_policy.is_finished(state.pod, state.observed):
            return
        worker.wait(decision)


def _advance_until_still(worker: Worker) -> None:
    """Until no container runs."""
    while True:
        decision = worker.advance()
        if not worker.any_running:
            return
        worker.wait(decision)
