"""The addresses of the pods of a home: one small file each, named after address and pod.

The file exists before the pod's interface, and is removed last. Its name holds the address and the
pod, so that listing the directory is enough to choose the next address; its content is the pod's
name and host ports. It is written in place: a torn file belongs to a pod whose ports are not open
yet, and no temporary file is left behind.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import msgspec

from kubelite.lib.files import RecordError, encode_record, names, read_record, unlink_missing
from kubelite.node.network import ipam
from kubelite.node.network.ports import HostPort

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class LeaseRecord(msgspec.Struct, kw_only=True):
    """The content of the file; ``owner`` is the pod's ``namespace/name``. ``has_ipv6``: the pod has
    the IPv6 address that goes with its own.
    """

    version: int = 1
    owner: str
    ports: tuple[HostPort, ...] = ()
    has_ipv6: bool = False


class Held(NamedTuple):
    """An address and the uid of its pod, from the name of a lease file."""

    address: int
    uid: str

    @property
    def file(self) -> str:
        return f"{ipam.text(self.address)}@{self.uid}"


class Leases:
    """The lease files below the run directory ``run``. Changing them requires the home's lock."""

    def __init__(self, run: str) -> None:
        self._directory = f"{run}/leases"

    def held(self) -> list[Held]:
        """Every lease, without reading the files."""
        leases = []
        for name in names(self._directory):
            address, separator, uid = name.partition("@")
            if separator:
                leases.append(Held(ipam.number(address), uid))
        return leases

    def read(self, held: Held) -> LeaseRecord | None:
        """The content of a lease, or None when it is missing or invalid."""
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
        """Removes a lease, if it exists."""
        unlink_missing(f"{self._directory}/{held.file}")
