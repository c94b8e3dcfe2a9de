"""Claims the name of a new pod: one pod per name and namespace, on record before anything else of
it exists.

A record becomes visible complete and with its lock held, by one rename. A claim killed before that
leaves a directory that nothing takes for a pod, and that the next claim removes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from kubelite.lib.digest import hexdigest
from kubelite.lib.files import MAX_RECORD_BYTES, FileLock, write_record
from kubelite.node.network.cni import Directories
from kubelite.node.runtime.clock import boottime
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.runtime.home import UNFINISHED, Home, boot_id
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.records import CREATING, PodRecord
from kubelite.objects.pod.pod import Pod

Documents = Sequence[Mapping[str, Any]]
"""The ConfigMaps and Secrets that a pod refers to."""
MAX_DOCUMENT_BYTES = MAX_RECORD_BYTES // 2
"""A record that is larger than MAX_RECORD_BYTES could not be read again."""


class Claim(NamedTuple):
    """The record of a name: a new one with its ``lock`` held by the caller, or that of the pod that
    has the name, with ``lock`` None.
    """

    record: PodRecord
    lock: FileLock | None


def digest(pod: Pod) -> str:
    """Identifies a defaulted manifest: two that are equal have the same."""
    return hexdigest(msgspec.json.encode(pod, order="deterministic"))


def encoded(documents: Documents) -> msgspec.Raw:
    """ConfigMaps and Secrets as they go on record: equal ones are equal bytes. Raises
    RuntimeFailure where there are more of them than a record holds.
    """
    ordered = sorted(
        documents, key=lambda document: (document["kind"], document["metadata"]["name"])
    )
    data = msgspec.json.encode(ordered, order="deterministic")
    if len(data) > MAX_DOCUMENT_BYTES:
        raise RuntimeFailure(
            f"the ConfigMaps and Secrets of the pod have {len(data) / (1 << 20):.1f} MiB"
            f" together; the limit is {MAX_DOCUMENT_BYTES >> 20} MiB",
            hint="put large data in a hostPath volume or in the image",
        )
    return msgspec.Raw(data)


def is_recorded(record: PodRecord, pod: Pod, documents: Documents | None) -> bool:
    """Whether the record is that of this manifest; ``documents`` None: whatever those on record."""
    has_same_documents = documents is None or encoded(documents) == record.documents
    return has_same_documents and record.source == digest(pod)


def claim(
    home: Home,
    ledger: Ledger,
    pod: Pod,
    unsafe_sysctls: tuple[str, ...] = (),
    *,
    documents: Documents = (),
    uid: str = "",
    origin: str = "",
    cni: Directories | None = None,
) -> Claim:
    """Claims the pod's name; ``unsafe_sysctls``, ``cni`` and ``documents``, the ConfigMaps and
    Secrets that it refers to, go on record. A pod of an API server brings its ``uid``. Raises
    OSError.
    """
    namespace, name = pod.metadata.namespace or "default", pod.metadata.name or ""
    with FileLock(home.lock):
        sweep(home)
        existing = ledger.find(namespace, name)
        if existing is not None:
            return Claim(existing, None)
        record = PodRecord(
            uid=uid or _new_uid(),
            origin=origin,
            namespace=namespace,
            name=name,
            stage=CREATING,
            created_at=time.time_ns(),
            pod=msgspec.Raw(msgspec.json.encode(pod)),
            documents=encoded(documents),
            source=digest(pod),
            unsafe_sysctls=unsafe_sysctls,
            boot=boot_id(),
            started=boottime(),
            cni=cni,
        )
        lock = FileLock(home.pod_lock(record.uid)).acquire()
        try:
            unfinished = home.unfinished_pod(record.uid)
            os.mkdir(unfinished, 0o700)
            write_record(f"{unfinished}/pod.json", record, durable=False)
            os.rename(unfinished, home.pod(record.uid))
        except BaseException:
            lock.release()
            raise
        return Claim(record, lock)


def _new_uid() -> str:
    """A random UUID of version 4, from the kernel."""
    with open("/proc/sys/kernel/random/uuid", encoding="utf-8") as file:
        return file.read().strip()


def sweep(home: Home) -> None:
    """Removes what killed claims and removals have left. The caller holds the lock of the state
    root.
    """
    pods = set(os.listdir(home.pods))
    for name in pods:
        if name.startswith(UNFINISHED):
            from kubelite.node.volume.removal import remove_tree  # it takes a kill

            remove_tree(f"{home.pods}/{name}")
    for uid in set(os.listdir(f"{home.run}/locks")) - pods:
        with contextlib.suppress(FileNotFoundError):  # its holder may be deleting it
            os.unlink(f"{home.run}/locks/{uid}")
