"""The records of one state root on disk: pods, their sandboxes, containers and exits.

Reading never fails because of one damaged record: that pod is left out and named in ``damaged``.
Writing is atomic, except on a full disk, where a record is overwritten in its place so that a pod
can always be stopped and removed. Only a pod's own record is durable, since the others describe
kernel objects that do not outlive the boot.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from kubelite.lib.files import (
    RecordError,
    flush,
    names,
    overwrite_record,
    read_record,
    sync_directory,
    unlink_missing,
    write_record,
)
from kubelite.node.runtime.home import UNFINISHED, Home, boot_id
from kubelite.node.runtime.records import (
    ConditionsRecord,
    ContainerRecord,
    ExitRecord,
    FinishedAttempt,
    HistoryRecord,
    PodRecord,
    SandboxRecord,
)

T = TypeVar("T", bound=msgspec.Struct)


_SPARE = 1024
"""Blanks in each record: what a request to stop or remove adds fits into the blocks it has."""
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


class Ledger:
    """The files of one state root. ``damaged`` collects a sentence for each that could not be read,
    ``damaged_pods`` the uids of pods without a readable record.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.damaged: list[str] = []
        self.damaged_pods: list[str] = []

    def _read(self, path: str, type: type[T]) -> T | None:
        try:
            return read_record(path, type)
        except FileNotFoundError:
            return None
        except RecordError as error:
            self.damaged.append(str(error))
            return None

    def _write(self, path: str, record: msgspec.Struct) -> None:
        try:
            write_record(path, record, durable=False, spare=_SPARE)
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            try:
                overwrite_record(path, record)
            except FileNotFoundError:
                raise error from None

    # -- pods --------------------------------------------------------------------------------------

    def pods(self) -> Iterator[PodRecord]:
        """Every pod, incomplete ones included; damaged ones are left out."""
        for uid in names(self.home.pods):
            if uid.startswith(UNFINISHED):
                continue
            known = len(self.damaged)
            record = self.pod(uid)
            if record is not None:
                yield record
            elif len(self.damaged) > known:
                self.damaged_pods.append(uid)

    def pod(self, uid: str) -> PodRecord | None:
        """The record of one pod, None where it is missing or damaged."""
        return self._read(f"{self.home.pod(uid)}/pod.json", PodRecord)

    def find(self, namespace: str, name: str) -> PodRecord | None:
        """The pod of that name, or None."""
        for record in self.pods():
            if record.name == name and record.namespace == namespace:
                return record
        return None

    def save_pod(self, record: PodRecord) -> None:
        """Replaces a pod's record. Raises OSError."""
        self._write(f"{self.home.pod(record.uid)}/pod.json", record)

    def flush_pod(self, uid: str) -> None:
        """Makes the pod's record survive a power loss: that it was requested, not its progress."""
        flush(f"{self.home.pod(uid)}/pod.json")
        sync_directory(self.home.pods)

    # -- kernel objects ----------------------------------------------------------------------------

    def sandbox(self, uid: str) -> SandboxRecord | None:
        """The pod's sandbox of this boot, or None."""
        record = self._read(f"{self.home.pod_run(uid)}/sandbox.json", SandboxRecord)
        return record if record is not None and record.boot == boot_id() else None

    def save_sandbox(self, record: SandboxRecord) -> None:
        """Replaces a sandbox's record. Raises OSError."""
        self._write(f"{self.home.pod_run(record.uid)}/sandbox.json", record)

    def containers(self, uid: str) -> list[ContainerRecord]:
        """Every recorded attempt of every container, in the order of their creation."""
        run = self.home.pod_run(uid)
        records = [
            self._read(f"{run}/{name}", ContainerRecord)
            for name in names(run)
            if name.startswith("c-") and name.endswith(".json")
        ]
        return sorted((c for c in records if c is not None), key=lambda c: c.created_at)

    def save_container(self, uid: str, record: ContainerRecord) -> None:
        """Replaces the record of an attempt. Raises OSError."""
        self._write(f"{self.home.pod_run(uid)}/c-{record.id[:16]}.json", record)

    def exits(self, uid: str) -> dict[str, ExitRecord]:
        """How the pod's processes ended, by id."""
        directory = f"{self.home.pod_run(uid)}/exits"
        records = (
            self._read(f"{directory}/{id}", ExitRecord) for id in names(directory) if len(id) == 64
        )
        return {record.id: record for record in records if record is not None}

    def drop_container(self, uid: str, id: str) -> None:
        """Deletes the record of an attempt that a later one has followed."""
        unlink_missing(f"{self.home.pod_run(uid)}/c-{id[:16]}.json")

    # -- history -----------------------------------------------------------------------------------

    def history(self, uid: str) -> dict[str, tuple[FinishedAttempt, ...]]:
        """The last finished attempts of each container, oldest first."""
        directory = f"{self.home.pod(uid)}/past"
        whole = [name for name in names(directory) if name.endswith(".json")]
        histories = {
            name.removesuffix(".json"): self._read(f"{directory}/{name}", HistoryRecord)
            for name in whole
        }
        return {name: record.attempts for name, record in histories.items() if record is not None}

    def save_history(
        self, uid: str, name: str, attempts: tuple[FinishedAttempt, ...], *, durable: bool
    ) -> None:
        """Replaces a container's history; ``durable``: it survives a power loss. Raises OSError."""
        directory = f"{self.home.pod(uid)}/past"
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            pass
        write_record(f"{directory}/{name}.json", HistoryRecord(attempts=attempts), durable=durable)

    def conditions(self, uid: str) -> ConditionsRecord:
        """Since when each condition of the pod has its status."""
        return (
            self._read(f"{self.home.pod(uid)}/conditions.json", ConditionsRecord)
            or ConditionsRecord()
        )

    def save_conditions(self, uid: str, record: ConditionsRecord) -> None:
        """Replaces the conditions of a pod. On a full disk they keep their old times: nothing
        depends on them.
        """
        try:
            self._write(f"{self.home.pod(uid)}/conditions.json", record)
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
