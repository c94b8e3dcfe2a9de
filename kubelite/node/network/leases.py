"""The addresses that pods of a home hold: one small file each, named after address and pod.

The file is there before the pod's interface is, and goes last. Its name alone says whose the
address is, so that one look at the directory is enough to hand out the next one; inside are the
pod's name and its host ports. It is written in place: a torn one belongs to a pod whose ports
nobody has opened yet, and leaves no second file behind.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import msgspec

from kubelite.lib.files import RecordError, encode_record, read_record
from kubelite.node.network import ipam
from kubelite.node.network.ports import HostPort

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class LeaseRecord(msgspec.Struct, kw_only=True):
    """What the file holds; ``owner`` is the pod's ``namespace/name``."""

    version: int = 1
    owner: str
    ports: tuple[HostPort, ...] = ()


class Held(NamedTuple):
    """An address and the uid of its pod, as the directory tells."""

    address: int
    uid: str

    @property
    def file(self) -> str:
        return f"{ipam.text(self.address)}@{self.uid}"


class Leases:
    """The lease files below the run directory ``run``. Whoever changes them holds the home's lock."""

    def __init__(self, run: str) -> None:
        self._directory = f"{run}/leases"

    def held(self) -> list[Held]:
        """Every lease, without a look inside the files."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return []
        found = []
        for name in names:
            address, at, uid = name.partition("@")
            if at:
                found.append(Held(ipam.number(address), uid))
        return found

    def read(self, held: Held) -> LeaseRecord | None:
        """What is in a lease, or None where it is gone or cannot be believed."""
        try:
            return read_record(f"{self._directory}/{held.file}", LeaseRecord)
        except (FileNotFoundError, RecordError):
            return None

    def write(self, held: Held, record: LeaseRecord) -> None:
        """Records a lease. Raises OSError."""
        path = f"{self._directory}/{held.file}"
        try:
            fd = os.open(path, _WRITE, 0o600)
        except FileNotFoundError:
            os.makedirs(self._directory, 0o700, exist_ok=True)
            fd = os.open(path, _WRITE, 0o600)
        try:
            os.write(fd, encode_record(record))
        finally:
            os.close(fd)

    def drop(self, held: Held) -> None:
        """Forgets a lease; one that is not there is no error."""
        try:
            os.unlink(f"{self._directory}/{held.file}")
        except FileNotFoundError:
            pass
