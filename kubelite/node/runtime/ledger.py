"""The records of one home on disk: pods, their sandboxes, containers and exits.

Reading never fails for the sake of one torn record: that pod is left out and named in ``damaged``.
Writing is atomic; only a pod's own record is durable, since the others describe kernel objects that
die with the boot.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from kubelite.lib.files import RecordError, flush, read_record, sync_directory, write_record
from kubelite.node.runtime.home import Home, boot_id
from kubelite.node.runtime.records import (
    ConditionsRecord,
    ContainerRecord,
    ExitRecord,
    HistoryRecord,
    PastRecord,
    PodRecord,
    SandboxRecord,
)

T = TypeVar("T", bound=msgspec.Struct)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


class Ledger:
    """The files of one home. ``damaged`` collects what could not be read."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.damaged: list[str] = []

    def _read(self, path: str, type: type[T]) -> T | None:
        try:
            return read_record(path, type)
        except FileNotFoundError:
            return None
        except RecordError as error:
            self.damaged.append(str(error))
            return None

    # -- pods -----------------------------------------------------------------------------------------------------------

    def pods(self) -> Iterator[PodRecord]:
        """Every pod of this home, half-made ones included."""
        for uid in _names(self.home.pods):
            record = self.pod(uid)
            if record is not None:
                yield record

    def pod(self, uid: str) -> PodRecord | None:
        return self._read(f"{self.home.pod(uid)}/pod.json", PodRecord)

    def find(self, namespace: str, name: str) -> PodRecord | None:
        """The pod of that name, or None."""
        for record in self.pods():
            if record.name == name and record.namespace == namespace:
                return record
        return None

    def save_pod(self, record: PodRecord) -> None:
        write_record(f"{self.home.pod(record.uid)}/pod.json", record, durable=False)

    def flush_pod(self, uid: str) -> None:
        """Makes the pod's record survive a power loss: that it was asked for, not how far it has
        come.
        """
        flush(f"{self.home.pod(uid)}/pod.json")
        sync_directory(self.home.pods)

    # -- kernel objects -------------------------------------------------------------------------------------------------

    def sandbox(self, uid: str) -> SandboxRecord | None:
        """The pod's sandbox of this boot, or None."""
        record = self._read(f"{self.home.pod_run(uid)}/sandbox.json", SandboxRecord)
        return record if record is not None and record.boot == boot_id() else None

    def save_sandbox(self, record: SandboxRecord) -> None:
        write_record(f"{self.home.pod_run(record.uid)}/sandbox.json", record, durable=False)

    def containers(self, uid: str) -> list[ContainerRecord]:
        """Every attempt on record of every container, in the order of their making."""
        run = self.home.pod_run(uid)
        found = [
            self._read(f"{run}/{name}", ContainerRecord)
            for name in _names(run)
            if name.startswith("c-") and name.endswith(".json")
        ]
        return sorted((c for c in found if c is not None), key=lambda c: c.created_at)

    def save_container(self, uid: str, record: ContainerRecord) -> None:
        write_record(f"{self.home.pod_run(uid)}/c-{record.id[:16]}.json", record, durable=False)

    def exits(self, uid: str) -> dict[str, ExitRecord]:
        """How processes of this pod ended, by id."""
        directory = f"{self.home.pod_run(uid)}/exits"
        found = (
            self._read(f"{directory}/{id}", ExitRecord) for id in _names(directory) if len(id) == 64
        )
        return {record.id: record for record in found if record is not None}

    def drop_container(self, uid: str, id: str) -> None:
        """Forgets an attempt that a later one has followed."""
        _unlink(f"{self.home.pod_run(uid)}/c-{id[:16]}.json")

    # -- what has been ------------------------------------------------------------------------------------------------------

    def history(self, uid: str) -> dict[str, tuple[PastRecord, ...]]:
        """The last attempts of each container that are over, oldest first."""
        directory = f"{self.home.pod(uid)}/past"
        whole = [name for name in _names(directory) if name.endswith(".json")]
        found = {
            name.removesuffix(".json"): self._read(f"{directory}/{name}", HistoryRecord)
            for name in whole
        }
        return {name: record.past for name, record in found.items() if record is not None}

    def save_history(
        self, uid: str, name: str, past: tuple[PastRecord, ...], *, durable: bool
    ) -> None:
        """Replaces what is known of a container's past; ``durable`` so that a power loss leaves it."""
        directory = f"{self.home.pod(uid)}/past"
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            pass
        write_record(f"{directory}/{name}.json", HistoryRecord(past=past), durable=durable)

    def conditions(self, uid: str) -> ConditionsRecord:
        return (
            self._read(f"{self.home.pod(uid)}/conditions.json", ConditionsRecord)
            or ConditionsRecord()
        )

    def save_conditions(self, uid: str, record: ConditionsRecord) -> None:
        write_record(f"{self.home.pod(uid)}/conditions.json", record, durable=False)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
