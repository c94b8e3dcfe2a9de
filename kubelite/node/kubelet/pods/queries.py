"""Looks at the pods of one state root. Nothing is changed: every answer comes from records, files
and what the kernel shows; the shim is asked where it alone knows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.node.cgroup.detect import read_world
from kubelite.node.cgroup.tree import CgroupTree
from kubelite.node.kubelet.act import facts, images, pod_events
from kubelite.node.kubelet.decide import status
from kubelite.node.kubelet.decide.actions import has_dead_sandbox, needs_care
from kubelite.node.runtime.errors import NotFound, NotRunning
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.observe import observe
from kubelite.node.runtime.records import ObservedContainer, ObservedPod, PodRecord
from kubelite.objects.pod.pod import Pod

if TYPE_CHECKING:
    from kubelite.node.image.content.changes import FileChange
    from kubelite.node.image.model import Image
    from kubelite.node.image.store import ImageStore
    from kubelite.node.kubelet.act.pod_events import Event
    from kubelite.node.kubelet.act.pod_names import Documents
    from kubelite.node.kubelet.act.updating import Plan
    from kubelite.node.kubelet.pods.usage import Process, Sample
    from kubelite.node.runtime.log_reader import LogLine


class PodQueries:
    """Answers questions about the pods of ``home``."""

    def __init__(self, home: Home, ledger: Ledger) -> None:
        self._home = home
        self._ledger = ledger
        self.needing_care: dict[str, bool] = {}
        """The uids of the pods seen so far that an agent has to look after; true where their shim
        has died, of which an agent that was not needed before knows nothing.
        """

    @property
    def damaged(self) -> list[str]:
        """A sentence for each unreadable record. Its pod is left out of every answer."""
        return self._ledger.damaged

    @property
    def damaged_pods(self) -> list[str]:
        """The uids of pods whose own record could not be read."""
        return self._ledger.damaged_pods

    # -- pods and their state ----------------------------------------------------------------------

    def list(self, namespace: str | None) -> list[Pod]:
        """Every pod of a namespace, None for all, by namespace and name."""
        records = [r for r in self._ledger.pods() if namespace in (None, r.namespace)]
        address = facts.node_address()
        ordered = sorted(records, key=lambda record: (record.namespace, record.name))
        return [self.shown(record, address=address) for record in ordered]

    def get(self, namespace: str, name: str) -> Pod:
        """One pod with its status. Raises NotFound."""
        return self.shown(self.find(namespace, name))

    def manifest(self, namespace: str, name: str) -> Pod:
        """The pod as it was last requested, with every default and without status. Raises
        NotFound.
        """
        return self.pod(self.find(namespace, name))

    def inspect(self, namespace: str, name: str) -> dict[str, Any]:
        """Everything known about a pod: object, sandbox, containers, kernel objects, as plain
        values. Raises NotFound.
        """
        from kubelite.node.kubelet.pods.describe import describe

        record = self.find(namespace, name)
        return describe(self._home, self.shown(record), self.observe(record))

    def events(self, namespace: str, name: str) -> Sequence[Event]:
        """The events of a pod, oldest first. Raises NotFound."""
        return pod_events.read(pod_events.path(self._home.pod(self.find(namespace, name).uid)))

    def follow_events(self, namespace: str, name: str) -> Iterator[Sequence[Event]]:
        """The events of a pod, again after each change, until the pod is gone. Raises NotFound."""
        return pod_events.follow(self._home.pod(self.find(namespace, name).uid))

    def exit_code(self, pod: Pod) -> int:
        """The first exit code other than 0 among the containers of a finished pod, else 0."""
        from kubelite.node.kubelet.pods.waiting import exit_code

        return exit_code(pod)

    def wait(
        self,
        namespace: str,
        name: str,
        condition: str,
        timeout: float | None,
        after_look: Callable[[], object] = lambda: None,
    ) -> Pod | None:
        """Waits until the pod is "ready", "exited" or "deleted" (then None); ``after_look`` is
        called after each look at it. Raises TimeoutError after ``timeout`` seconds, NotFound, and
        RuntimeFailure for a pod that cannot become ready any more."""
        from kubelite.node.kubelet.pods.waiting import wait

        def look(record: PodRecord) -> Pod:
            pod = self.shown(record)
            after_look()
            return pod

        return wait(
            self._home,
            lambda: self._ledger.find(namespace, name),
            look,
            name,
            pod_not_found(namespace, name),
            condition,
            timeout,
        )

    def plan(self, pod: Pod, documents: Documents | None = None) -> Plan:
        """What `pod up` would do with a checked and defaulted pod and what it refers to."""
        from kubelite.node.kubelet.act import updating
        from kubelite.node.kubelet.act.pod_state import PodState

        record = self._ledger.find(pod.metadata.namespace or "default", pod.metadata.name or "")
        if record is None:
            return updating.plan(None, pod, documents)
        state = PodState(self._home, self._ledger, record)
        state.refresh()
        return updating.plan(state, pod, documents)

    def images_in_use(self, store: ImageStore) -> set[str]:
        """The ids of the images of ``store`` that pods use, by their status and by their
        specification, and of those that are mounted.
        """
        from kubelite.node.image.errors import ImageError
        from kubelite.node.image.mounting import mounted

        ids = {image.id for image in mounted(store.list())}
        for pod in self.list(None):
            if pod.status is not None:
                statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
                ids.update(status.image_id for status in statuses)
            for name, *_ in images.named(pod):
                try:
                    ids.add(store.get(name).id)
                except ImageError:
                    continue
        return ids

    def damaged_records(self) -> Sequence[str]:
        """A sentence for each record of a pod that cannot be read."""
        self.list(None)
        return tuple(self._ledger.damaged)

    # -- the machine and what pods use of it -------------------------------------------------------

    def info(self) -> dict[str, Any]:
        """This machine and this state root, as plain values."""
        from kubelite.node.kubelet.pods.node_info import info

        return info(self._home)

    def stats(self, namespace: str, name: str | None = None) -> Sequence[Sample]:
        """The resource usage of each running container of one pod or of a namespace. Raises
        NotFound.
        """
        from kubelite.node.kubelet.pods.usage import samples

        records = [self.find(namespace, name)] if name else self._ledger.pods()
        with CgroupTree(read_world(), self._home.cgroup) as tree:
            return [
                sample
                for record in records
                if record.namespace == namespace
                for sample in samples(tree, self.pod(record), self.observe(record))
            ]

    def top(self, namespace: str, name: str) -> Sequence[Process]:
        """The processes in the containers of a pod. Raises NotFound."""
        from kubelite.node.kubelet.pods.usage import running

        with CgroupTree(read_world(), self._home.cgroup) as tree:
            return list(running(tree, self.observe(self.find(namespace, name))))

    # -- containers --------------------------------------------------------------------------------

    def diff(self, namespace: str, name: str, container: str) -> Sequence[FileChange]:
        """What the last attempt of a container has changed in its image's files. Raises NotFound,
        NotRunning for one that has not run in this boot, ImageError for an image that was
        removed."""
        from kubelite.node.image.content.changes import changes

        upper, image = self.written(namespace, name, container)
        return list(changes(upper, [str(layer) for layer in image.layers]))

    def written(self, namespace: str, name: str, container: str) -> tuple[str, Image]:
        """The directory with what the last attempt of a container has written, and the image it
        runs from. Raises as ``diff`` does.
        """
        record = self.find(namespace, name)
        self.check_container(record, container)
        observed = self._container(record, container)
        upper = ""
        if observed is not None:
            layers = f"{self._home.pod(record.uid)}/root/{container}"
            upper = f"{layers}/{observed.record.attempt}/upper"
        if observed is None or not os.path.isdir(upper):
            raise NotRunning(f'container "{container}" of pod "{name}" has left no files')
        resolved = images.resolve(self._home, self.pod(record))[observed.record.image]
        return upper, resolved.image

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
        """The log of a container, with ``follow`` until it exits. ``since_ns`` counts from 1970.
        Raises NotFound, NotRunning for a container that has not started.
        """
        from kubelite.node.kubelet.pods.pod_logs import logs

        record = self.find(namespace, name)
        self.check_container(record, container)
        return logs(self._home, self._ledger, record, container, follow, tail, since_ns, previous)

    def log_text(
        self,
        namespace: str,
        name: str,
        container: str,
        *,
        tail: int | None = None,
        previous: bool = False,
    ) -> Iterator[bytes]:
        """The text of a container's log up to now, in blocks of whole lines: the fast way for a log
        that is shown as it is. Raises NotFound, NotRunning.
        """
        from kubelite.node.kubelet.pods.pod_logs import log_text

        record = self.find(namespace, name)
        self.check_container(record, container)
        return log_text(self._home, self._ledger, record, container, tail, previous)

    # -- for commands ------------------------------------------------------------------------------

    def records(self) -> Iterator[PodRecord]:
        """The records of all pods."""
        return self._ledger.pods()

    def find(self, namespace: str, name: str) -> PodRecord:
        """The record of a pod. Raises NotFound."""
        record = self._ledger.find(namespace, name)
        if record is None:
            raise pod_not_found(namespace, name)
        return record

    def pod(self, record: PodRecord) -> Pod:
        """The specification of a pod."""
        return msgspec.json.decode(record.pod, type=Pod)

    def shown(self, record: PodRecord, pod: Pod | None = None, *, address: str = "") -> Pod:
        """A pod with its status; ``pod`` is its specification where the caller has decoded it, and
        ``address`` that of the node where the caller knows it.
        """
        specification = pod or self.pod(record)
        observed = self._with_described_exits(specification, self.observe(record))
        if needs_care(specification, observed):
            self.needing_care[record.uid] = has_dead_sandbox(observed)
        return self.with_status(specification, observed, address)

    def with_status(self, pod: Pod, observed: ObservedPod, address: str = "") -> Pod:
        """A pod with the status that follows from an observation."""
        address = address or facts.node_address()
        return status.with_status(pod, observed, facts.node_name(), address)

    def observe(self, record: PodRecord) -> ObservedPod:
        """What is there of a pod."""
        return observe(self._home, self._ledger, record, only_looks=True)

    def running(self, record: PodRecord, container: str) -> ObservedContainer:
        """A running container. Raises NotFound, NotRunning."""
        self.check_container(record, container)
        observed = self._container(record, container)
        if observed is None or not observed.running:
            raise NotRunning(
                f'container "{container}" of pod "{record.name}" is not running',
                hint=f"`kubelite pod logs {record.name} -c {container}` shows its output"
                if observed
                else None,
            )
        return observed

    def check_container(self, record: PodRecord, container: str) -> None:
        """Raises NotFound for a name that no container of the pod has."""
        spec = self.pod(record).spec
        groups = (spec.containers, spec.init_containers, spec.ephemeral_containers)
        names = [container.name for group in groups for container in group]
        if container not in names:
            raise NotFound(
                f'pod "{record.name}" has no container "{container}"',
                hint=f"it has {', '.join(names)}",
            )

    def _container(self, record: PodRecord, name: str) -> ObservedContainer | None:
        containers = self.observe(record).containers
        return next((container for container in containers if container.record.name == name), None)

    def _with_described_exits(self, pod: Pod, observed: ObservedPod) -> ObservedPod:
        """With exits that are not in the history yet as they will be there: pods without an agent
        have nobody who records them at once.
        """
        if all(c.running or c.exit is None or c.last_exit is not None for c in observed.containers):
            return observed
        from kubelite.node.kubelet.pods.unrecorded_exits import describe_exits

        return describe_exits(self._home, self._ledger, pod, observed)


def pod_not_found(namespace: str, name: str) -> NotFound:
    """The error for a name that no pod has."""
    return NotFound(
        f'pod "{name}" not found in namespace "{namespace}"',
        hint="`kubelite pod ls -A` shows the pods of every namespace",
    )
