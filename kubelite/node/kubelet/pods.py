"""The pods of one home: up, down, looked at, waited for, talked to. The face of this wing for whoever has no cluster.

Every verb works in the caller's process under the pod's lock and from records; nothing here runs in the background.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.lib.files import FileLock
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet import claims, facts, images, status
from kubelite.node.kubelet.bringup import Bringup, InitFailed, Step
from kubelite.node.kubelet.prepare import NodeFacts, Unstartable
from kubelite.node.kubelet.undo import uninterrupted
from kubelite.node.network.hostfiles import read_host_files
from kubelite.node.network.resolver import pod_names
from kubelite.node.runtime.errors import Conflict, NotFound, NotRunning, RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.observe import note_oom_kills, observe
from kubelite.node.runtime.records import CREATED, CREATING, Observed, PodRecord
from kubelite.node.runtime.removal import Remover
from kubelite.objects.pod import Pod

if TYPE_CHECKING:
    from kubelite.node.kubelet.images import FoundImage
    from kubelite.node.runtime.logs import LogLine
    from kubelite.node.runtime.session import Session

DEFAULT_GRACE = 30
"""terminationGracePeriodSeconds where a pod does not say."""


class UpResult(NamedTuple):
    """What :meth:`Pods.up` did. ``created`` is False for a pod that was up already, ``failed`` says that an init container
    failed and the others were not started; ``engine_ms`` are milliseconds."""

    pod: Pod
    created: bool
    failed: bool
    warnings: tuple[str, ...]
    engine_ms: float


def _quiet(_: str) -> None:
    return


class Pods:
    """The pods of ``home``. ``trace`` is told the name of each act just before it is done."""

    def __init__(self, home: Home, *, trace: Callable[[str], None] | None = None) -> None:
        self._home = home
        self._trace = trace or _quiet
        self._ledger = Ledger(home)

    @property
    def damaged(self) -> list[str]:
        """Sentences on records that could not be read; their pods are left out of everything but :meth:`reset`."""
        return self._ledger.damaged

    # -- up -------------------------------------------------------------------------------------------------------------

    def up(
        self,
        pod: Pod,
        *,
        replace: bool = False,
        unsafe_sysctls: Sequence[str] = (),
        report: Callable[[Step], None],
    ) -> UpResult:
        """Brings a checked and defaulted pod up and returns once all its containers run, or it has failed in an init container.

        A pod of that name that is the same is left alone; one that differs is a Conflict unless ``replace``. When anything
        raises, nothing of the pod is left. ``unsafe_sysctls`` are names or patterns that this pod may set.
        Raises RuntimeFailure, ImageError, VolumeError, CgroupError, NetworkError, NativeError, OSError.
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
                return UpResult(existing, False, _init_failed(existing), (), (time.perf_counter() - began) * 1000)
        try:
            warnings = self._create(record, pod, found, report, lock)
        finally:
            lock.__exit__()
        shown = self._shown(record, pod)
        return UpResult(shown, True, _init_failed(shown), warnings, (time.perf_counter() - began) * 1000)

    def _existing(
        self, record: PodRecord, pod: Pod, replace: bool, report: Callable[[Step], None]
    ) -> Pod | None:
        """The pod that is there, if it is the one wanted; None when it has made room."""
        where = f'pod "{record.name}" of namespace "{record.namespace}"'
        if record.stage != CREATED and self._abandoned(record):
            self._trace("remove what a killed command left")
            self._remove(record, 0)
            return None
        if record.stage != CREATED:
            raise Conflict(f"{where} is being {'created' if record.stage == CREATING else 'removed'} by another command")
        if record.source == claims.digest(pod):
            return self._shown(record, pod)
        if not replace:
            raise Conflict(
                f"{where} is up already, from another manifest",
                hint="--replace takes it down first; a pod cannot be changed in place yet",
            )
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
    ) -> tuple[str, ...]:
        try:
            warnings = self._bring_up(record, pod, found, report)
        except InitFailed:
            warnings = ()
        except BaseException as error:
            with uninterrupted():
                self._undo(record, lock, error)
            if isinstance(error, Unstartable):
                raise RuntimeFailure(str(error)) from error
            raise
        record.stage, record.up_at = CREATED, time.time_ns()
        self._trace("record that the pod is up")
        self._ledger.save_pod(record)
        return warnings

    def _bring_up(
        self, record: PodRecord, pod: Pod, found: dict[str, FoundImage], report: Callable[[Step], None]
    ) -> tuple[str, ...]:
        host_files = read_host_files()
        names = pod_names(pod, host_files.hostname)
        address = facts.node_address() if pod.spec.host_network else ""
        node = NodeFacts(
            name=facts.node_name(),
            address=address,
            pod_address=address,
            cpus=facts.cpus(),
            memory=facts.memory(),
            capabilities=facts.capabilities(),
            hostname=names.hostname,
            modules=facts.security_modules(),
            pids_limit=facts.pids_limit(),
            huge_pages=facts.huge_pages(),
        )
        with CgroupTree(read_world(), self._home.cgroup) as tree:
            bringup = Bringup(
                self._home,
                self._ledger,
                tree,
                record,
                msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, uid=record.uid)),
                found,
                node,
                host_files,
                trace=self._trace,
                report=report,
            )
            bringup.run()
        return (*bringup.warnings, *_unrestarted(pod))

    def _undo(self, record: PodRecord, lock: FileLock, error: BaseException) -> None:
        """Removes what there is of the pod; what would not go stays on record for ``pod down``."""
        self._trace("undo")
        try:
            remover = Remover(self._home, self._ledger, self._trace)
            remover.remove(record, 0)
            lock.remove()
            self._close_home(remover)
        except Exception as second:  # noqa: BLE001 - the first error is the one to be told
            error.add_note(f"something of the pod is left: {second}")

    # -- down -----------------------------------------------------------------------------------------------------------

    def down(
        self, namespace: str, name: str, *, grace: int | None = None, report: Callable[[Step], None]
    ) -> None:
        """Stops a pod's containers and removes everything of it. ``grace`` seconds replace the pod's own.

        Raises NotFound, RuntimeFailure for what would not go.
        """
        began = time.perf_counter()
        record = self._find(namespace, name)
        own = self._pod(record).spec.termination_grace_period_seconds
        if not self._remove(record, grace if grace is not None else DEFAULT_GRACE if own is None else own):
            raise _not_found(namespace, name)
        report(Step("removed", name, (time.perf_counter() - began) * 1000))

    def _remove(self, record: PodRecord, grace: float) -> bool:
        """False when another command was faster."""
        with FileLock(self._home.pod_lock(record.uid)) as lock:
            current = self._ledger.pod(record.uid)
            remover = Remover(self._home, self._ledger, self._trace)
            if current is not None:
                remover.remove(current, grace)
            lock.remove()
            self._close_home(remover)
            return current is not None

    def _close_home(self, remover: Remover) -> None:
        if not os.listdir(self._home.pods):
            remover.close_home()

    def reset(self, report: Callable[[Step], None]) -> list[str]:
        """Removes all pods, damaged ones too, all images, logs and kernel objects of this home; returns what went."""
        from kubelite.node.kubelet.reset import reset

        return reset(self._home, self._ledger, self._trace, report)

    # -- looking --------------------------------------------------------------------------------------------------------

    def list(self, namespace: str | None) -> list[Pod]:
        """Every pod of a namespace, None for all, by namespace and name."""
        records = [r for r in self._ledger.pods() if namespace in (None, r.namespace)]
        return [self._shown(record) for record in sorted(records, key=lambda r: (r.namespace, r.name))]

    def get(self, namespace: str, name: str) -> Pod:
        """One pod with its status. Raises NotFound."""
        return self._shown(self._find(namespace, name))

    def inspect(self, namespace: str, name: str) -> dict[str, Any]:
        """Everything known about a pod: object, sandbox, containers, kernel objects, as plain values. Raises NotFound."""
        from kubelite.node.kubelet.describe import describe

        record = self._find(namespace, name)
        return describe(self._home, self._shown(record), self._observe(record))

    def stats(self, namespace: str, name: str) -> dict[str, Any]:
        """What a pod and its containers use, as plain values. Raises NotFound."""
        from kubelite.node.kubelet.stats import stats

        return stats(self._home, self._observe(self._find(namespace, name)))

    def info(self) -> dict[str, Any]:
        """This machine and this home, as plain values."""
        return facts.info(self._home)

    def exit_code(self, pod: Pod) -> int:
        """The first exit code other than 0 among the containers of an ended pod, else 0."""
        from kubelite.node.kubelet.waiting import exit_code

        return exit_code(pod)

    def wait(self, namespace: str, name: str, condition: str, timeout: float | None) -> Pod | None:
        """Waits until the pod is "ready", "exited" or "deleted" (then None). Raises TimeoutError after ``timeout`` seconds,
        NotFound, and RuntimeFailure for a pod that cannot become ready any more."""
        from kubelite.node.kubelet.waiting import wait

        return wait(self._home, lambda: self._ledger.find(namespace, name), self._shown, name, condition, timeout)

    def _find(self, namespace: str, name: str) -> PodRecord:
        record = self._ledger.find(namespace, name)
        if record is None:
            raise _not_found(namespace, name)
        return record

    def _pod(self, record: PodRecord) -> Pod:
        return msgspec.json.decode(record.pod, type=Pod)

    def _shown(self, record: PodRecord, pod: Pod | None = None) -> Pod:
        return status.with_status(pod or self._pod(record), self._observe(record), facts.node_name(), facts.node_address())

    def _observe(self, record: PodRecord) -> Observed:
        """Looks at a pod; a sandbox that died, and whose clean-up was killed too, is cleared on the way."""
        seen = observe(self._home, self._ledger, record)
        if seen.sandbox is None or seen.sandbox.gone:
            return seen
        if not seen.up:
            return self._cleared(record) or seen
        if any(each.exit is not None and each.exit.signal for each in seen.containers):
            with CgroupTree(read_world(), self._home.cgroup) as tree:
                note_oom_kills(tree, self._ledger, seen)
        return seen

    def _cleared(self, record: PodRecord) -> Observed | None:
        """What is there afterwards; None while another process works on the pod."""
        try:
            with FileLock(self._home.pod_lock(record.uid), timeout=0) as lock:
                if self._ledger.pod(record.uid) is None:
                    lock.remove()
                    return None
                Remover(self._home, self._ledger, self._trace).clear_sandbox(record.uid)
        except TimeoutError:
            return None
        return observe(self._home, self._ledger, record)

    # -- talking --------------------------------------------------------------------------------------------------------

    def logs(
        self,
        namespace: str,
        name: str,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since_ns: int | None = None,
        previous: bool = False,
    ) -> Iterator[LogLine]:
        """What a container has said, and with ``follow`` what it says until it ends. ``since_ns`` counts from 1970.

        Raises NotFound, NotRunning for a container that has not started.
        """
        from kubelite.node.kubelet.speech import logs

        record = self._find(namespace, name)
        self._check_container(record, container)
        return logs(self._home, self._ledger, record, container, follow, tail, since_ns, previous)

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
        """A further program in a running container; the caller closes the session. Raises NotFound, NotRunning, CannotStart."""
        from kubelite.node.runtime.execute import execute

        record = self._find(namespace, name)
        self._check_container(record, container)
        seen = next((s for s in self._observe(record).containers if s.record.name == container), None)
        if seen is None or not seen.running:
            raise NotRunning(
                f'container "{container}" of pod "{name}" does not run',
                hint=f"`kubelite pod logs {name} -c {container}` shows what it said" if seen else None,
            )
        with CgroupTree(read_world(), self._home.cgroup) as tree:
            return execute(
                self._home,
                tree,
                record.uid,
                seen.record,
                args,
                stdin=stdin,
                tty=tty,
                rows=rows,
                columns=columns,
            )

    def _check_container(self, record: PodRecord, container: str) -> None:
        spec = self._pod(record).spec
        names = [c.name for c in (*spec.containers, *spec.init_containers)]
        if container not in names:
            raise NotFound(
                f'pod "{record.name}" has no container "{container}"', hint=f"it has {', '.join(names)}"
            )


def _init_failed(pod: Pod) -> bool:
    states = [each.state for each in pod.status.init_container_statuses] if pod.status else []
    return any(state is not None and state.terminated is not None and state.terminated.exit_code for state in states)


def _unrestarted(pod: Pod) -> list[str]:
    policy = pod.spec.restart_policy or "Always"
    return [] if policy == "Never" else [f"restartPolicy {policy}: this version does not restart containers that end"]


def _not_found(namespace: str, name: str) -> NotFound:
    return NotFound(
        f'pod "{name}" not found in namespace "{namespace}"', hint="`kubelite pod ls -A` shows the pods of every namespace"
    )
