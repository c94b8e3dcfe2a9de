"""One pod as its worker has it before its eyes: specification, records, and what was last seen of
each container.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from kubelite.node.kubelet.act import timeline
from kubelite.node.kubelet.act.timeline import Timeline
from kubelite.node.kubelet.decide.actions import Moment
from kubelite.node.runtime.clock import boottime
from kubelite.node.runtime.home import Home, boot_id
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.observe import observe
from kubelite.node.runtime.records import ContainerRecord, Observed, PodRecord, SandboxRecord, Seen
from kubelite.objects.pod.pod import Container, Pod


class Part(NamedTuple):
    """A container of the specification."""

    container: Container
    init: bool


class Scene:
    """``seen`` is right while the pod's lock is held; :meth:`look` makes it right again."""

    def __init__(
        self, home: Home, ledger: Ledger, record: PodRecord, pod: Pod | None = None
    ) -> None:
        self.home, self.ledger = home, ledger
        self.record = record
        self.pod = _with_uid(
            pod if pod is not None else msgspec.json.decode(record.pod, type=Pod), record.uid
        )
        self.seen = Observed(record, None, False, ())
        self.timeline = Timeline(timeline.path(home.pod(record.uid)))

    @property
    def uid(self) -> str:
        return self.record.uid

    @cached_property
    def _boot(self) -> str:
        return boot_id()

    def moment(self) -> Moment:
        """Now."""
        return Moment(boottime(), self._boot, time.time_ns())

    def look(self) -> bool:
        """Reads everything anew; False when the pod is no more."""
        record = self.ledger.pod(self.uid)
        if record is None:
            return False
        if record.pod != self.record.pod:
            self.pod = _with_uid(msgspec.json.decode(record.pod, type=Pod), record.uid)
            self.__dict__.pop("_parts", None)
        self.record = record
        self.seen = observe(self.home, self.ledger, record)
        return True

    def part(self, name: str) -> Part | None:
        """A container of the specification; None for one that an update has taken out."""
        return self._parts.get(name)

    @cached_property
    def _parts(self) -> dict[str, Part]:
        spec = self.pod.spec
        found = {c.name: Part(c, True) for c in spec.init_containers}
        return found | {c.name: Part(c, False) for c in spec.containers}

    def of(self, name: str) -> Seen | None:
        """What is there of a container."""
        return next((each for each in self.seen.containers if each.record.name == name), None)

    def by_id(self, id: str) -> Seen | None:
        return next((each for each in self.seen.containers if each.record.id == id), None)

    def put(self, seen: Seen) -> None:
        """Something of a container has changed."""
        others = tuple(
            each for each in self.seen.containers if each.record.name != seen.record.name
        )
        self.seen = self.seen._replace(containers=(*others, seen))

    def put_sandbox(self, record: SandboxRecord | None, *, up: bool) -> None:
        self.seen = self.seen._replace(sandbox=record, up=up)

    def save(self) -> None:
        """The pod's own record has changed."""
        self.ledger.save_pod(self.record)
        self.seen = self.seen._replace(pod=self.record)

    def save_container(self, record: ContainerRecord) -> None:
        self.ledger.save_container(self.uid, record)

    def event(self, reason: str, message: str, name: str = "", *, warning: bool = False) -> None:
        """Puts something on the pod's timeline; ``name`` is the container it is about."""
        part = self.part(name) if name else None
        about = timeline.of_container(name, init=part.init) if part is not None else ""
        self.timeline.add(reason, message, object=about, warning=warning)


def _with_uid(pod: Pod, uid: str) -> Pod:
    return replace(pod, metadata=replace(pod.metadata, uid=uid))
