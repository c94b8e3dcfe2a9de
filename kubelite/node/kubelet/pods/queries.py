"""The pods of one home, looked at and talked to: nothing of them is changed.

Every verb works from records, files and what the kernel shows; the shim is asked where it alone
knows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.lib.files import FileLock
from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act import facts, images, timeline
from kubelite.node.kubelet.decide import status
from kubelite.node.runtime import sandbox
from kubelite.node.runtime.errors import NotFound, NotRunning
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.observe import note_oom_kills, observe
from kubelite.node.runtime.records import Observed, PodRecord, Seen
from kubelite.node.runtime.removal import Remover
from kubelite.objects.pod.pod import Pod

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kubelite.node.kubelet.act.timeline import Event
    from kubelite.node.kubelet.act.updating import Plan
    from kubelite.node.kubelet.pods.copying import Side
    from kubelite.node.kubelet.pods.file_changes import FileChange
    from kubelite.node.kubelet.pods.usage import Process, Sample
    from kubelite.node.runtime.exec.session import Session
    from kubelite.node.runtime.logs import LogLine


def _quiet(_: str) -> None:
    return


class Looking:
    """The pods of ``home``, for whoever only looks. ``trace`` is told the name of each act just
    before it is done.
    """

    def __init__(self, home: Home, *, trace: Callable[[str], None] | None = None) -> None:
        self._home = home
        self._trace = trace or _quiet
        self._ledger = Ledger(home)

    @property
    def damaged(self) -> list[str]:
        """Sentences on records that could not be read; their pods are left out of everything but
        :meth:`reset`.
        """
        return self._ledger.damaged

    # -- looking --------------------------------------------------------------------------------------------------------

    def list(self, namespace: str | None) -> list[Pod]:
        """Every pod of a namespace, None for all, by namespace and name."""
        records = [r for r in self._ledger.pods() if namespace in (None, r.namespace)]
        return [
            self._shown(record) for record in sorted(records, key=lambda r: (r.namespace, r.name))
        ]

    def get(self, namespace: str, name: str) -> Pod:
        """One pod with its status. Raises NotFound."""
        return self._shown(self._find(namespace, name))

    def inspect(self, namespace: str, name: str) -> dict[str, Any]:
        """Everything known about a pod: object, sandbox, containers, kernel objects, as plain
        values. Raises NotFound.
        """
        from kubelite.node.kubelet.pods.describe import describe

        record = self._find(namespace, name)
        return describe(self._home, self._shown(record), self._observe(record))

    def events(self, namespace: str, name: str) -> Sequence[Event]:
        """What has happened to a pod, oldest first. Raises NotFound."""
        return timeline.read(timeline.path(self._home.pod(self._find(namespace, name).uid)))

    def follow_events(self, namespace: str, name: str) -> Iterator[Sequence[Event]]:
        """The same, again whenever there may be more, until the pod is gone. Raises NotFound."""
        return timeline.follow(self._home.pod(self._find(namespace, name).uid))

    def stats(self, namespace: str, name: str | None = None) -> Sequence[Sample]:
        """What each running container uses, of one pod or of a whole namespace. Raises NotFound."""
        from kubelite.node.kubelet.pods.usage import samples

        records = (
            [self._find(namespace, name)]
            if name
            else [r for r in self._ledger.pods() if r.namespace == namespace]
        )
        with CgroupTree(read_world(), self._home.cgroup) as tree:
            return [
                each
                for record in records
                for each in samples(tree, self._pod(record), self._observe(record))
            ]

    def top(self, namespace: str, name: str) -> Sequence[Process]:
        """The processes in the containers of a pod. Raises NotFound."""
        from kubelite.node.kubelet.pods.usage import running

        with CgroupTree(read_world(), self._home.cgroup) as tree:
            return list(running(tree, self._observe(self._find(namespace, name))))

    def diff(self, namespace: str, name: str, container: str) -> Sequence[FileChange]:
        """What the last attempt of a container has changed in its image's files. Raises NotFound,
        NotRunning for one that has not run in this boot, ImageError for an image that is no
        more."""
        from kubelite.node.kubelet.pods.file_changes import changes

        record = self._find(namespace, name)
        self._check_container(record, container)
        seen = next(
            (s for s in self._observe(record).containers if s.record.name == container), None
        )
        upper = (
            f"{self._home.pod(record.uid)}/root/{container}/{seen.record.attempt}/upper"
            if seen is not None
            else ""
        )
        if seen is None or not os.path.isdir(upper):
            raise NotRunning(f'container "{container}" of pod "{name}" has left no files')
        found = images.resolve(self._home, self._pod(record))[seen.record.image]
        return list(changes(upper, [str(layer) for layer in found.image.layers]))

    def plan(self, pod: Pod) -> Plan:
        """What :meth:`up` would do with a checked and defaulted pod; nothing is done."""
        from kubelite.node.kubelet.act import updating
        from kubelite.node.kubelet.act.pod_state import Scene

        record = self._ledger.find(pod.metadata.namespace or "default", pod.metadata.name or "")
        if record is None:
            return updating.plan(None, pod)
        scene = Scene(self._home, self._ledger, record)
        scene.look()
        return updating.plan(scene, pod)

    def manifest(self, namespace: str, name: str) -> Pod:
        """The pod as it was asked for last, with every default and no status. Raises NotFound."""
        return self._pod(self._find(namespace, name))

    def info(self) -> dict[str, Any]:
        """This machine and this home, as plain values."""
        return facts.info(self._home)

    def exit_code(self, pod: Pod) -> int:
        """The first exit code other than 0 among the containers of an ended pod, else 0."""
        from kubelite.node.kubelet.pods.waiting import exit_code

        return exit_code(pod)

    def wait(self, namespace: str, name: str, condition: str, timeout: float | None) -> Pod | None:
        """Waits until the pod is "ready", "exited" or "deleted" (then None). Raises TimeoutError
        after ``timeout`` seconds, NotFound, and RuntimeFailure for a pod that cannot become ready
        any more."""
        from kubelite.node.kubelet.pods.waiting import wait

        return wait(
            self._home,
            lambda: self._ledger.find(namespace, name),
            self._shown,
            name,
            condition,
            timeout,
        )

    def _find(self, namespace: str, name: str) -> PodRecord:
        record = self._ledger.find(namespace, name)
        if record is None:
            raise not_found(namespace, name)
        return record

    def _pod(self, record: PodRecord) -> Pod:
        return msgspec.json.decode(record.pod, type=Pod)

    def _shown(self, record: PodRecord, pod: Pod | None = None) -> Pod:
        return self._with_status(pod or self._pod(record), self._observe(record))

    def _with_status(self, pod: Pod, seen: Observed) -> Pod:
        return status.with_status(pod, seen, facts.node_name(), facts.node_address())

    def _observe(self, record: PodRecord) -> Observed:
        """Looks at a pod; a sandbox that died, and whose clean-up was killed too, is cleared on the
        way.
        """
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
        """What a container has said, and with ``follow`` what it says until it ends. ``since_ns``
        counts from 1970.

        Raises NotFound, NotRunning for a container that has not started.
        """
        from kubelite.node.kubelet.pods.pod_logs import logs

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
        """A further program in a running container; the caller closes the session. Raises NotFound,
        NotRunning, CannotStart.
        """
        from kubelite.node.runtime.exec.execute import execute

        record = self._find(namespace, name)
        seen = self._running(record, container)
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

    def attach(self, namespace: str, name: str, container: str, *, stdin: bool = False) -> Session:
        """The streams of a container's main process; the caller closes the session, which does
        nothing to the process. Raises NotFound, NotRunning."""
        from kubelite.node.runtime.exec.session import Session

        record = self._find(namespace, name)
        seen = self._running(record, container)
        shim = sandbox.connect(self._home, record.uid)
        try:
            shim.attach(seen.record.id, 0b111 if stdin else 0b110)
        except BaseException:
            shim.close()
            raise
        return Session(shim)

    def files(self, namespace: str, name: str, container: str) -> AbstractContextManager[Side]:
        """The files of a running container, for :mod:`kubelite.node.kubelet.pods.copying`. Raises
        NotFound, NotRunning.
        """
        from kubelite.node.kubelet.pods import copying

        record = self._running(self._find(namespace, name), container).record
        return copying.container(record.pid, record.uid, record.gid)

    def _running(self, record: PodRecord, container: str) -> Seen:
        self._check_container(record, container)
        seen = next(
            (s for s in self._observe(record).containers if s.record.name == container), None
        )
        if seen is None or not seen.running:
            raise NotRunning(
                f'container "{container}" of pod "{record.name}" does not run',
                hint=f"`kubelite pod logs {record.name} -c {container}` shows what it said"
                if seen
                else None,
            )
        return seen

    def _check_container(self, record: PodRecord, container: str) -> None:
        spec = self._pod(record).spec
        names = [c.name for c in (*spec.containers, *spec.init_containers)]
        if container not in names:
            raise NotFound(
                f'pod "{record.name}" has no container "{container}"',
                hint=f"it has {', '.join(names)}",
            )


def not_found(namespace: str, name: str) -> NotFound:
    """The error of a name that no pod has."""
    return NotFound(
        f'pod "{name}" not found in namespace "{namespace}"',
        hint="`kubelite pod ls -A` shows the pods of every namespace",
    )
