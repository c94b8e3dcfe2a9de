"""The pods of one home: up, down, stopped, changed, and all of looking. The face of this wing for
whoever has no cluster.

Every verb works in the caller's process under the pod's lock and from records; a pod that has to be
looked after is left to the node agent afterwards.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.core.errors import NativeError
from kubelite.lib.files import FileLock
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act import claims, facts, images
from kubelite.node.kubelet.act.bringup import Step
from kubelite.node.kubelet.act.node_config import longest_backoff
from kubelite.node.kubelet.act.pod_state import Scene
from kubelite.node.kubelet.act.undo import uninterrupted
from kubelite.node.kubelet.act.worker import Worker
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.decide import policy
from kubelite.node.kubelet.decide.actions import needs_care
from kubelite.node.kubelet.decide.prepare import Unstartable
from kubelite.node.kubelet.pods.queries import Looking, not_found
from kubelite.node.runtime import sandbox
from kubelite.node.runtime.clock import SECOND, boottime
from kubelite.node.runtime.errors import Conflict, NotRunning, RuntimeFailure
from kubelite.node.runtime.home import boot_id
from kubelite.node.runtime.records import (
    CREATED,
    CREATING,
    REMOVING,
    RESTART,
    STOP,
    Observed,
    PodRecord,
    PodStop,
)
from kubelite.node.runtime.removal import Remover, mark
from kubelite.objects.pod.pod import Pod

if TYPE_CHECKING:
    from kubelite.node.kubelet.act.images import FoundImage
    from kubelite.node.runtime.exec.session import Session
    from kubelite.objects.pod.container import Container


class UpResult(NamedTuple):
    """What :meth:`Pods.up` did. ``created`` is False for a pod that was up already, ``failed`` says
    that an init container failed and the others were not started; ``engine_ms`` are milliseconds;
    ``changed`` says what was changed in place."""

    pod: Pod
    created: bool
    failed: bool
    warnings: tuple[str, ...]
    engine_ms: float
    changed: tuple[str, ...] = ()


class Pods(Looking):
    """The pods of ``home``: all that can be done with them."""

    # -- up -------------------------------------------------------------------------------------------------------------

    def up(
        self,
        pod: Pod,
        *,
        replace: bool = False,
        unsafe_sysctls: Sequence[str] = (),
        report: Callable[[Step], None],
    ) -> UpResult:
        """Brings a checked and defaulted pod up and returns once all its containers run, or it has
        failed in an init container.

        A pod of that name that is the same is left alone; one that differs is changed in place
        where that can be, or else a Conflict, and taken down first with ``replace``. When anything
        raises, nothing of a new pod is left. ``unsafe_sysctls`` are names or patterns that this pod
        may set. Raises RuntimeFailure, ImageError, VolumeError, CgroupError, NetworkError,
        NativeError, OSError.
        """
        began = time.perf_counter()
        self._home.make()
        found = images.resolve(self._home, pod)
        for name, image in found.items():
            report(Step("image", name, image.milliseconds))
        while True:
            record, lock = claims.claim(self._home, self._ledger, pod, tuple(unsafe_sysctls))
            if lock is not None:
                break
            existing = self._existing(record, pod, replace, report)
            if existing is not None:
                return existing._replace(engine_ms=(time.perf_counter() - began) * 1000)
        try:
            seen, warnings = self._create(record, pod, found, report, lock)
        finally:
            lock.release()
        if needs_care(pod, seen):
            agent_control.summon(self._home, record.uid)
        shown = self._with_status(pod, seen)
        return UpResult(
            shown, True, _init_failed(shown), warnings, (time.perf_counter() - began) * 1000
        )

    def _existing(
        self, record: PodRecord, pod: Pod, replace: bool, report: Callable[[Step], None]
    ) -> UpResult | None:
        """The pod that is there, once it is the one wanted; None when it has made room."""
        where = f'pod "{record.name}" of namespace "{record.namespace}"'
        if record.stage != CREATED and self._abandoned(record):
            self._trace("remove what a killed command left")
            self._remove(record, 0)
            return None
        if record.stage != CREATED:
            raise Conflict(
                f"{where} is being {'created' if record.stage == CREATING else 'removed'} by another command"
            )
        if record.source == claims.digest(pod):
            shown = self._shown(record, pod)
            if not (
                replace
                and shown.status is not None
                and shown.status.phase in ("Succeeded", "Failed")
            ):
                return UpResult(shown, False, _init_failed(shown), (), 0)
        elif not replace:
            return self._update(record, pod)
        self.down(record.namespace, record.name, report=report)
        return None

    def _abandoned(self, record: PodRecord) -> bool:
        """Whether nobody works on a pod that is half there."""
        try:
            with FileLock(self._home.pod_lock(record.uid), timeout=0):
                return True
        except TimeoutError:
            return False

    def _create(
        self,
        record: PodRecord,
        pod: Pod,
        found: dict[str, FoundImage],
        report: Callable[[Step], None],
        lock: FileLock,
    ) -> tuple[Observed, tuple[str, ...]]:
        worker = self._worker(
            Scene(self._home, self._ledger, record, pod), found=found, strict=True, report=report
        )
        try:
            worker.scene.event(
                "Scheduled",
                f"Successfully assigned {record.namespace}/{record.name} to {facts.node_name()}",
            )
            _until_up(worker)
        except BaseException as error:
            with uninterrupted():
                self._undo(record, lock, error)
            if isinstance(error, Unstartable):
                raise RuntimeFailure(str(error)) from error
            raise
        finally:
            worker.close()
        return worker.scene.seen, tuple(worker.warnings)

    def _worker(self, scene: Scene, **options: Any) -> Worker:
        return Worker(scene, longest_backoff(self._home), trace=self._trace, **options)

    def _undo(self, record: PodRecord, lock: FileLock, error: BaseException) -> None:
        """Removes what there is of the pod; what would not go stays on record for ``pod down``."""
        self._trace("undo")
        try:
            remover = Remover(self._home, self._ledger, self._trace)
            remover.remove(record)
            lock.remove()
            self._close_home(remover)
        except Exception as second:  # noqa: BLE001 - the first error is the one to be told
            error.add_note(f"something of the pod is left: {second}")

    # -- update ---------------------------------------------------------------------------------------------------------

    def _update(self, record: PodRecord, pod: Pod) -> UpResult:
        """Changes a pod in place. Raises Conflict for what needs a new one."""
        from kubelite.node.kubelet.act import updating

        with self._held(record) as worker, CgroupTree(read_world(), self._home.cgroup) as tree:
            self._trace("record update")
            found = updating.put(worker, tree, pod)
            if worker.scene.record.goal == STOP:
                worker.advance()
            else:
                _until_up(worker)
            down = [
                name
                for name in found.swaps
                if (seen := worker.scene.of(name)) is not None and not seen.running
            ]
            shown = self._with_status(worker.scene.pod, worker.scene.seen)
        said = tuple(
            f'container "{name}" does not run; `kubelite pod events` says why' for name in down
        )
        return UpResult(shown, False, _init_failed(shown), said, 0, found.notes)

    # -- down -----------------------------------------------------------------------------------------------------------

    def down(
        self, namespace: str, name: str, *, grace: int | None = None, report: Callable[[Step], None]
    ) -> None:
        """Stops a pod's containers and removes everything of it. ``grace`` seconds replace the
        pod's own.

        Raises NotFound, RuntimeFailure for what would not go.
        """
        began = time.perf_counter()
        record = self._find(namespace, name)
        if not self._remove(record, grace):
            raise not_found(namespace, name)
        report(Step("removed", name, (time.perf_counter() - began) * 1000))

    def _remove(self, record: PodRecord, grace: int | None) -> bool:
        """False when another command was faster."""
        with FileLock(self._home.pod_lock(record.uid)) as lock:
            current = self._ledger.pod(record.uid)
            if current is None:
                lock.remove()
                return False
            agent_control.nudge(
                self._home, record.uid
            )  # it waits for the lock, and goes on where this process is killed
            self._end(current, grace)
            remover = Remover(self._home, self._ledger, self._trace)
            remover.remove(current)
            lock.remove()
            self._close_home(remover)
        agent_control.nudge(self._home, record.uid)
        return True

    def _end(self, record: PodRecord, grace: int | None) -> None:
        """Ends the pod's containers in the documented order, as far as they are given time; what is
        asked is on record first.
        """
        if grace == 0:
            return
        scene = Scene(self._home, self._ledger, record)
        seconds = policy.grace(scene.pod) if grace is None else grace
        self._trace("mark as removing")
        mark(record, seconds * SECOND)
        record.stop = _stop_now(seconds)
        self._ledger.save_pod(record)
        self._thaw(record)
        worker = self._worker(scene)
        try:
            worker.look()
            _until_still(worker)
        finally:
            worker.close()

    def _close_home(self, remover: Remover) -> None:
        if not self._home.has_pods():
            remover.close_home()

    def reset(self, report: Callable[[Step], None]) -> list[str]:
        """Removes all pods, damaged ones too, all images, logs and kernel objects of this home;
        returns what went.
        """
        from kubelite.node.kubelet.pods.reset import reset

        return reset(self._home, self._ledger, self._trace, report)

    # -- stop, start, restart, kill, pause --------------------------------------------------------------------------------

    def stop(self, namespace: str, name: str, *, grace: int | None = None) -> Pod:
        """Ends a pod's containers; sandbox, address and volumes stay, and nothing is started until
        :meth:`start`.

        Raises NotFound, Conflict for a pod that is being removed.
        """
        record = self._find(namespace, name)
        with self._held(record) as worker:
            pod = worker.scene.record
            pod.goal, pod.stop = (
                STOP,
                _stop_now(policy.grace(worker.scene.pod) if grace is None else grace),
            )
            self._trace("record that the pod stops")
            worker.scene.save()
            self._thaw(pod)
            _until_still(worker)
            return self._with_status(worker.scene.pod, worker.scene.seen)

    def start(self, namespace: str, name: str) -> Pod:
        """Starts the containers of a pod that was stopped or has ended; one that runs is left
        alone.

        Raises NotFound, Conflict, and RuntimeFailure and its like for what cannot be started.
        """
        record = self._find(namespace, name)
        with self._held(record) as worker:
            scene = worker.scene
            if scene.record.goal == STOP or policy.is_over(scene.pod, scene.seen):
                self._restart(worker, 0)
            return self._with_status(scene.pod, scene.seen)

    def restart(
        self, namespace: str, name: str, *, container: str | None = None, grace: int | None = None
    ) -> Pod:
        """Ends and starts the containers of a pod, or one of them, and forgets every back-off; the
        sandbox stays.

        Raises NotFound, Conflict, and RuntimeFailure and its like for what cannot be started.
        """
        record = self._find(namespace, name)
        if container is not None:
            self._check_container(record, container)
        with self._held(record) as worker:
            seconds = policy.grace(worker.scene.pod) if grace is None else grace
            self._thaw(worker.scene.record)
            if container is None:
                self._restart(worker, seconds)
            else:
                worker.restart(container, seconds)
                _until_up(worker)
            return self._with_status(worker.scene.pod, worker.scene.seen)

    def _restart(self, worker: Worker, seconds: int) -> None:
        record = worker.scene.record
        record.goal, record.stop, record.anew = RESTART, _stop_now(seconds), ""
        self._trace("record that the pod restarts")
        worker.scene.save()
        _until_up(worker)

    def kill(
        self, namespace: str, name: str, number: int, *, container: str | None = None
    ) -> Sequence[str]:
        """Sends a signal to every running container of a pod, or to one; returns their names. What
        follows is up to the restart policy. Raises NotFound, NotRunning."""
        record = self._find(namespace, name)
        if container is not None:
            self._check_container(record, container)
        seen = [
            s
            for s in self._observe(record).containers
            if s.running and container in (None, s.record.name)
        ]
        if not seen:
            which = "no container" if container is None else f'no container "{container}"'
            raise NotRunning(f'{which} of pod "{name}" runs')
        with sandbox.connect(self._home, record.uid) as shim:
            for each in seen:
                with contextlib.suppress(NativeError):
                    shim.signal(each.record.id, number)
        return [each.record.name for each in seen]

    def pause(self, namespace: str, name: str) -> Pod:
        """Holds all processes of a pod still. Raises NotFound, Conflict, NotRunning, CgroupError."""
        from kubelite.node.cgroup import control

        record = self._find(namespace, name)
        with self._held(record) as worker:
            scene = worker.scene
            if not worker.running:
                raise NotRunning(f'no container of pod "{name}" runs')
            scene.record.paused = True
            scene.save()
            with CgroupTree(read_world(), self._home.cgroup) as tree:
                control.freeze(tree, record.uid)
            return self._with_status(scene.pod, scene.seen)

    def unpause(self, namespace: str, name: str) -> Pod:
        """Lets the processes of a pod go on. Raises NotFound, Conflict, CgroupError."""
        record = self._find(namespace, name)
        with self._held(record) as worker:
            self._thaw(worker.scene.record)
            worker.scene.save()
            return self._with_status(worker.scene.pod, worker.scene.seen)

    def _thaw(self, record: PodRecord) -> None:
        """A process that is held still would not hear a signal."""
        from kubelite.node.cgroup import control

        if record.paused:
            with CgroupTree(read_world(), self._home.cgroup) as tree:
                control.thaw(tree, record.uid)
            record.paused = False
            self._ledger.save_pod(record)

    @contextlib.contextmanager
    def _held(self, record: PodRecord) -> Iterator[Worker]:
        """The pod's worker under its lock; afterwards an agent looks after the pod if it has to be
        looked after.
        """
        with FileLock(self._home.pod_lock(record.uid)) as lock:
            agent_control.nudge(
                self._home, record.uid
            )  # it waits for the lock, and goes on where this process is killed
            worker = self._worker(Scene(self._home, self._ledger, record))
            try:
                if not worker.look():
                    lock.remove()
                    raise not_found(record.namespace, record.name)
                if worker.scene.record.stage == REMOVING:
                    raise Conflict(f'pod "{record.name}" is being removed')
                yield worker
            finally:
                worker.close()
        if needs_care(worker.scene.pod, worker.scene.seen):
            agent_control.summon(self._home, record.uid)

    # -- beside a container ------------------------------------------------------------------------------------------------

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
        """A container with other tools beside a running one: it sees that one's processes and the
        pod's network, and is gone with the session. Raises NotFound, NotRunning, Unstartable,
        CannotStart, ImageError."""
        from kubelite.node.runtime.exec.visit import visit

        record = self._find(namespace, name)
        target = self._running(record, container).record
        pod = self._pod(record)
        found = images.resolve(
            self._home,
            msgspec.structs.replace(
                pod, spec=msgspec.structs.replace(pod.spec, containers=(tools,), init_containers=())
            ),
        )
        worker = self._worker(Scene(self._home, self._ledger, record), found=found)
        try:
            worker.look()
            made, mounts = worker.visitor(tools)
        except Unstartable as error:
            raise RuntimeFailure(str(error)) from error
        finally:
            worker.close()
        with (
            CgroupTree(read_world(), self._home.cgroup) as tree,
            visit(
                self._home, tree, record.uid, made, mounts, target, rows=rows, columns=columns
            ) as session,
        ):
            yield session


def _init_failed(pod: Pod) -> bool:
    states = [each.state for each in pod.status.init_container_statuses] if pod.status else []
    return any(
        state is not None and state.terminated is not None and state.terminated.exit_code
        for state in states
    )


def _stop_now(seconds: int) -> PodStop:
    return PodStop(since=boottime(), boot=boot_id(), grace=seconds * SECOND)


def _until_up(worker: Worker) -> None:
    """Until everything runs that should, or the pod is over, or it has to wait for a back-off."""
    while True:
        decision = worker.advance()
        if decision.up or decision.waiting or policy.is_over(worker.scene.pod, worker.scene.seen):
            return
        worker.wait(decision)


def _until_still(worker: Worker) -> None:
    """Until no container runs."""
    while True:
        decision = worker.advance()
        if not worker.running:
            return
        worker.wait(decision)
