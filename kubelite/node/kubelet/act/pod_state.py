"""The worker's in-memory view of one pod: specification, records, last observation."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

from kubelite.node.kubelet.act import pod_events
from kubelite.node.kubelet.act.pod_events import Timeline
from kubelite.node.kubelet.decide.actions import TimePoint
from kubelite.node.runtime.clock import boottime
from kubelite.node.runtime.home import Home, boot_id
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.observe import observe
from kubelite.node.runtime.records import (
    API,
    Blocked,
    ContainerRecord,
    ObservedContainer,
    ObservedPod,
    PodRecord,
    SandboxRecord,
)
from kubelite.objects.pod.container import Container, EphemeralContainer
from kubelite.objects.pod.pod import Pod

if TYPE_CHECKING:
    from kubelite.node.kubelet.act.cluster_view import ClusterView
    from kubelite.node.volume.payload import Objects


class DeclaredContainer(NamedTuple):
    """A container of the specification."""

    container: Container
    init: bool

    @property
    def ephemeral(self) -> bool:
        return isinstance(self.container, EphemeralContainer)


class PodState:
    """``observed`` is the last observation. It is true while the pod's lock is held and the caller
    keeps it up to date; :meth:`refresh` reads everything again.
    """

    def __init__(
        self,
        home: Home,
        ledger: Ledger,
        record: PodRecord,
        pod: Pod | None = None,
        cluster: ClusterView | None = None,
    ) -> None:
        self.home, self.ledger = home, ledger
        self.cluster = cluster if record.origin == API else None
        self._objects: Objects | None = None
        self.just_pulled: set[str] = set()
        """Containers that have had the Pulled event of their next start."""
        """Why the sandbox or a container could not be created at the last attempt."""
        self.record = record
        self.observed = ObservedPod(record, None, False, ())
        self.timeline = Timeline(pod_events.path(home.pod(record.uid)))
        self._boot = boot_id()
        self._set_specification(pod or msgspec.json.decode(record.pod, type=Pod))

    def _set_specification(self, pod: Pod) -> None:
        self.pod = replace(pod, metadata=replace(pod.metadata, uid=self.record.uid))
        self._declared = {c.name: DeclaredContainer(c, True) for c in pod.spec.init_containers}
        others = (*pod.spec.containers, *pod.spec.ephemeral_containers)
        self._declared |= {c.name: DeclaredContainer(c, False) for c in others}

    @property
    def objects(self) -> Objects:
        """Where ConfigMaps, Secrets and tokens come from: the cluster, or the pod's manifest."""
        if self._objects is None and self.cluster is not None:
            self._objects = self.cluster.objects(self.record)
        if self._objects is None:
            from kubelite.node.volume.payload import Documents

            self._objects = Documents(msgspec.json.decode(self.record.documents))
        return self._objects

    @property
    def uid(self) -> str:
        return self.record.uid

    @property
    def sandbox_id(self) -> str:
        """The id of the sandbox's pause process, "" without a sandbox."""
        return self.observed.sandbox.pause if self.observed.sandbox is not None else ""

    def now(self) -> TimePoint:
        """The present moment."""
        return TimePoint(boottime(), self._boot, time.time_ns())

    def refresh(self) -> bool:
        """Reads records and kernel state again; False when the pod is gone."""
        record = self.ledger.pod(self.uid)
        if record is None:
            return False
        has_new_documents = record.documents != self.record.documents
        if has_new_documents:
            self._objects = None
        if has_new_documents or record.pod != self.record.pod:
            self._set_specification(msgspec.json.decode(record.pod, type=Pod))
        self.record = record
        self.observed = observe(self.home, self.ledger, record)
        return True

    def declared(self, name: str) -> DeclaredContainer | None:
        """A container of the specification; None for one that an update has removed."""
        return self._declared.get(name)

    def container(self, name: str) -> ObservedContainer | None:
        """The last attempt of a container."""
        return next(
            (container for container in self.observed.containers if container.record.name == name),
            None,
        )

    def by_id(self, id: str) -> ObservedContainer | None:
        """The attempt with this id, if it is the last of its container."""
        return next(
            (container for container in self.observed.containers if container.record.id == id), None
        )

    def put(self, changed: ObservedContainer) -> None:
        """Replaces what was observed of a container."""
        name = changed.record.name
        others = tuple(
            container for container in self.observed.containers if container.record.name != name
        )
        self.observed = self.observed._replace(containers=(*others, changed))

    def put_sandbox(self, record: SandboxRecord | None, *, up: bool) -> None:
        """Replaces what was observed of the sandbox."""
        self.observed = self.observed._replace(sandbox=record, up=up)

    def save(self) -> None:
        """Writes the pod's record, its events first: what is on record has been announced."""
        self.timeline.flush()
        self.ledger.save_pod(self.record)
        self.observed = self.observed._replace(pod=self.record)

    def save_container(self, record: ContainerRecord) -> None:
        """Writes a container's record, the events first as in :meth:`save`."""
        self.timeline.flush()
        self.ledger.save_container(self.uid, record)

    def event(self, reason: str, message: str, name: str = "", *, warning: bool = False) -> None:
        """Adds an event about the pod, or about container ``name``."""
        object = self._object(name)
        self.timeline.add(reason, message, object=object, warning=warning)
        if self.cluster is not None:
            self.cluster.event(self.record, reason, message, object, warning=warning)

    def image_event(self, reason: str, message: str, name: str, is_warning: bool) -> None:
        """Adds an event about the image of container ``name``."""
        self.event(reason, message, name, warning=is_warning)
        if reason == "Pulling":
            self.timeline.flush()  # a pull may take minutes
        elif reason == "Pulled":
            self.just_pulled.add(name)

    def show_pull(self, image: str, message: str) -> None:
        """Says in the status how far a pull is, until the sandbox is there."""
        if self.observed.up:
            return
        if message:
            self.record.blocked = Blocked(reason="", message=message, image=image)
            self.save()
        if self.cluster is not None:
            self.cluster.pod_changed(self.pod, self.observed)

    def is_wanted(self) -> bool:
        """Whether the cluster still wants the pod. What is put on record waits for its lock."""
        return self.cluster is None or not self.cluster.is_going(self.record)

    def announce_start(self, record: ContainerRecord, *, unless_announced: bool) -> None:
        """Adds the events of a started attempt, once: ``unless_announced`` looks whether a killed
        process has added them already.
        """
        name, object = record.name, self._object(record.name)
        if unless_announced and pod_events.has_started(self.timeline.path, object, record.attempt):
            return
        if name not in self.just_pulled:
            image = f'Container image "{record.image}" already present on machine'
            self.event("Pulled", f"{image} and can be accessed by the pod", name)
        self.just_pulled.discard(name)
        self.event("Created", f"Created container: {name}", name)
        text = f"Started container {name}"
        self.timeline.add(pod_events.STARTED, text, object=object, attempt=record.attempt)
        if self.cluster is not None:
            self.cluster.event(self.record, pod_events.STARTED, text, object, warning=False)

    def _object(self, name: str) -> str:
        declared = self.declared(name) if name else None
        if declared is None:
            return ""
        if declared.ephemeral:
            return pod_events.of_container(name, "ephemeralContainers")
        return pod_events.of_container(name, "initContainers" if declared.init else "containers")
